import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletLinalg

/// A Conv or Gemm with constant weights, seen as a matrix of outputs × depth, where depth is the
/// number of products per output.
struct WeightedLayer {
  let node: Node
  let weight: Tensor<Float>
  let bias: Tensor<Float>?
  let outputs: Int
  let depth: Int

  /// The operators that can be such layers.
  static let operators: Set<String> = ["Conv", "Gemm"]

  var isConv: Bool { node.opType == "Conv" }

  /// The layer, or why there is none to work on.
  enum Finding {
    case layer(WeightedLayer)
    case refusal(String)
  }

  /// - Returns: `nil` if the node is neither Conv nor Gemm.
  static func find(_ node: Node, in graph: Graph) throws -> Finding? {
    guard operators.contains(node.opType) else { return nil }
    guard let tensor = graph.initializers[node.inputs[1]] else {
      return .refusal("its weights are computed, not constant")
    }
    guard let stored: Tensor<Float> = tensor.typed(), stored.isFinite else {
      return .refusal("its weights are \(tensor.dtype), or not finite")
    }
    var bias: Tensor<Float>?
    if node.inputs.count > 2, !node.inputs[2].isEmpty {
      guard let constant: Tensor<Float> = graph.initializers[node.inputs[2]]?.typed() else {
        return .refusal("its bias is computed, not constant")
      }
      bias = constant
    }
    if node.opType == "Conv" {
      guard try node.int("group", default: 1) == 1 else {
        return .refusal("it is grouped: each group is small already")
      }
      return .layer(
        WeightedLayer(
          node: node, weight: stored, bias: bias, outputs: stored.shape[0],
          depth: stored.shape.count(of: 1..<stored.shape.rank)))
    }
    guard try node.int("transA", default: 0) == 0, try node.float("alpha", default: 1) == 1,
      try node.float("beta", default: 1) == 1
    else { return .refusal("it transposes or scales its input") }
    let isTransposed = try node.int("transB", default: 0) == 1
    let weight = isTransposed ? stored : stored.transposed().contiguous()
    guard bias == nil || bias!.count == weight.shape[0] else {
      return .refusal("its addend is no bias per output")
    }
    return .layer(
      WeightedLayer(
        node: node, weight: weight, bias: bias, outputs: weight.shape[0], depth: weight.shape[1]))
  }

  /// The weights as a matrix, outputs × depth.
  var matrix: Tensor<Float> { weight.reshaped(to: [outputs, depth]) }

  /// The rank at which two factors cost as much as the layer itself.
  var breakEvenRank: Double { Double(outputs * depth) / Double(outputs + depth) }

  /// Replaces node `index` by two that compute left · (right · x) + bias.
  ///
  /// - Parameters:
  ///   - right: rank × depth; takes the layer's place, kernel and strides included.
  ///   - left: outputs × rank; a 1×1 convolution, or a second Gemm.
  func replace(
    at index: Int, in graph: inout Graph, right: Tensor<Float>, left: Tensor<Float>,
    bias: Tensor<Float>?
  ) {
    let rank = right.shape[0]
    let base = node.name.isEmpty ? node.outputs[0] : node.name
    let inner = graph.freshName("\(base).inner")
    let firstWeight = graph.freshName("\(base).right")
    let secondWeight = graph.freshName("\(base).left")
    var first = node
    first.name = graph.freshName("\(base).1")
    first.inputs = [node.inputs[0], firstWeight]
    first.outputs = [inner]
    var second = Node(
      node.opType, name: graph.freshName("\(base).2"), inputs: [inner, secondWeight],
      outputs: node.outputs)
    if isConv {
      let kernel = Array(weight.shape.dimensions[1...])
      graph.initializers[firstWeight] = .float32(right.reshaped(to: Shape([rank] + kernel)))
      graph.initializers[secondWeight] = .float32(left.reshaped(to: [outputs, rank, 1, 1]))
      second.attributes = ["kernel_shape": .ints([1, 1])]
    } else {
      first.attributes["transB"] = .int(1)
      graph.initializers[firstWeight] = .float32(right)
      graph.initializers[secondWeight] = .float32(left)
      second.attributes = ["transB": .int(1)]
    }
    if let bias {
      let name = graph.freshName("\(base).bias")
      graph.initializers[name] = .float32(bias)
      second.inputs.append(name)
    }
    graph.replaceNode(at: index, with: [first, second])
  }
}

/// How the rank of a factored layer is chosen.
struct RankRule {
  let ratio: Double
  let energy: Double?

  init(_ step: CompressionStep) {
    ratio = step.ratio
    energy = step.energy
  }

  /// The smallest layers worth factoring. Thinner ones lose much and gain little: the first
  /// convolution sees few products per output, a classifier has few outputs, and all of them matter.
  private static let (smallestDepth, fewestOutputs) = (64, 16)

  enum Choice {
    case rank(Int)
    case keep(String)
  }

  /// - Parameter energies: Squared singular values, or variances; descending.
  func choose(_ layer: WeightedLayer, _ energies: [Double]) -> Choice {
    guard layer.depth >= Self.smallestDepth else {
      return .keep("only \(layer.depth) products per output: too thin to factor")
    }
    guard layer.outputs >= Self.fewestOutputs else {
      return .keep("only \(layer.outputs) outputs: too thin to factor")
    }
    let wanted =
      energy.map { Spectrum.rank(energies, keeping: $0) }
      ?? max(1, Int((ratio * layer.breakEvenRank).rounded(.down)))
    let rank = min(wanted, energies.count)
    guard Double(rank) < layer.breakEvenRank else {
      return .keep("rank \(rank) costs no less than the layer itself")
    }
    return .rank(rank)
  }
}
