import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// A layer that reads fewer channels than it did: where its weights and its bias are.
struct PrunedLayer {
  let node: Node
  private let weights: Tensor<Float>
  /// Products per output.
  let depth: Int
  let outputs: Int
  /// Whether the weights are stored depth × outputs.
  private let isTransposed: Bool
  private let bias: Tensor<Float>?
  /// Whether a constant can be added to each output.
  let canShift: Bool

  /// - Returns: `nil` if its weights cannot change alone.
  init?(_ node: Node, in graph: Graph) throws {
    guard let weights: Tensor<Float> = graph.initializers[node.inputs[1]]?.typed(),
      weights.isFinite, graph.consumers(of: node.inputs[1]).count == 1,
      try node.float("alpha", default: 1) == 1, try node.float("beta", default: 1) == 1
    else { return nil }
    self.node = node
    self.weights = weights.contiguous()
    isTransposed =
      try node.opType == "MatMul"
      || (node.opType == "Gemm" && node.int("transB", default: 0) == 0)
    outputs = weights.shape[isTransposed ? 1 : 0]
    depth = weights.count / max(1, outputs)
    guard node.inputs.count > 2, !node.inputs[2].isEmpty else {
      bias = nil
      canShift = node.opType != "MatMul"
      return
    }
    let stored: Tensor<Float>? = graph.initializers[node.inputs[2]]?.typed()
    bias = stored
    canShift = stored?.count == outputs && graph.consumers(of: node.inputs[2]).count == 1
  }

  var kernel: [Int] { Array(weights.shape.dimensions[2...]) }

  /// Adds to the weights, depth × outputs, and to the bias.
  func add(_ change: Tensor<Double>?, shift: [Double], at index: Int, in graph: inout Graph) {
    if let change {
      var elements = weights.elements
      let source = change.span
      for output in 0..<outputs {
        for product in 0..<depth {
          let place = isTransposed ? product * outputs + output : output * depth + product
          elements[place] = Float(Double(elements[place]) + source[product * outputs + output])
        }
      }
      graph.initializers[node.inputs[1]] = .float32(Tensor(weights.shape, elements))
    }
    guard canShift, shift.contains(where: { $0 != 0 }) else { return }
    if let bias {
      graph.initializers[node.inputs[2]] = .float32(
        Tensor(bias.shape, zip(bias.elements, shift).map { Float(Double($0) + $1) }))
    } else {
      let name = graph.freshName("\(node.reportName).bias")
      graph.initializers[name] = .float32(Tensor([outputs], shift.map { Float($0) }))
      graph.nodes[index].inputs = [node.inputs[0], node.inputs[1], name]
    }
  }

  // MARK: Samples

  /// Places of the result that are looked at in each image.
  private static let samplesPerImage = 32

  /// What products are made with at some places of the result, and where these lie.
  struct Samples {
    /// Rows of `depth` inputs, and a 1 behind each.
    var rows: [Double] = []
    /// Of each row, the place of its first output, and the step to the next output.
    var places: [Int] = []
    var step = 1
  }

  /// - Parameters:
  ///   - image: Which image of the batch.
  ///   - number: Its number among all, so that each is looked at in other places.
  ///   - depth: That of the layer, or 0 for rows of a 1 only.
  func samples(
    of input: Tensor<Float>, image: Int, number: Int, depth: Int
  ) throws -> Samples {
    var result = Samples()
    let source = input.span
    guard node.opType == "Conv" else {
      let width = input.shape[input.shape.rank - 1]
      let lines = input.count / max(1, width * input.shape[0])
      let taken = min(lines, Self.samplesPerImage)
      for index in 0..<taken {
        let line = image * lines + (index * lines / taken + number * 7) % lines
        if depth > 0 { for i in 0..<width { result.rows.append(Double(source[line * width + i])) } }
        result.rows.append(1)
        result.places.append(line * outputs)
      }
      return result
    }
    let place = try SlidingWindow(node, kernel: kernel).place(input.shape)
    let axes = [place.depth, place.height, place.width]
    let count = axes.reduce(1) { $0 * $1.output }
    let area = axes.reduce(1) { $0 * $1.input }
    let channels = input.shape[1]
    result.step = count
    let taken = min(count, Self.samplesPerImage)
    for index in 0..<taken {
      let position = (index * count / taken + number * 7) % count
      result.places.append(image * outputs * count + position)
      let x = position % axes[2].output
      let y = position / axes[2].output % axes[1].output
      let z = position / axes[2].output / axes[1].output
      for channel in 0..<(depth > 0 ? channels : 0) {
        let start = (image * channels + channel) * area
        for kz in 0..<axes[0].kernel {
          let plane = z * axes[0].stride - axes[0].before + kz * axes[0].dilation
          for ky in 0..<axes[1].kernel {
            let line = y * axes[1].stride - axes[1].before + ky * axes[1].dilation
            for kx in 0..<axes[2].kernel {
              let column = x * axes[2].stride - axes[2].before + kx * axes[2].dilation
              let isInside =
                0..<axes[0].input ~= plane && 0..<axes[1].input ~= line
                && 0..<axes[2].input ~= column
              let offset = (plane * axes[1].input + line) * axes[2].input + column
              result.rows.append(isInside ? Double(source[start + offset]) : 0)
            }
          }
        }
      }
      result.rows.append(1)
    }
    return result
  }
}
