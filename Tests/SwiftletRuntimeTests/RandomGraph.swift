// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// Random models of layers that the runtime has kernels for, and others in between.
struct RandomGraph {
  private var builder: GraphBuilder
  private let onlyLowered: Bool
  /// The value that is most likely read next.
  private var latest = "x"

  /// - Parameter onlyLowered: Leaves out operators that run on the reference.
  static func make(seed: UInt64, onlyLowered: Bool) -> Graph {
    var random = RandomGraph(seed: seed, onlyLowered: onlyLowered)
    random.grow()
    return random.builder.graph
  }

  private init(seed: UInt64, onlyLowered: Bool) {
    var generator = RandomGenerator(seed: seed, stream: 0)
    let channels = [1, 3, 3, 5, 8, 16, 17, 33][generator.below(8)]
    let sizes = [1, 2, 5, 6, 7, 8, 9, 12]
    let size =
      generator.below(12) == 0
      ? [channels, 1, 1] : [channels, sizes[generator.below(8)], sizes[generator.below(8)]]
    builder = GraphBuilder(seed: seed, input: size)
    self.onlyLowered = onlyLowered
  }

  private mutating func grow() {
    for _ in 0..<4 + builder.numbers.below(9) {
      if !builder.graph.nodes.isEmpty && builder.chance(5) {
        latest = builder.pick(Array(builder.shapes.keys))
      }
      let shape = builder.shapes[latest]!
      let result =
        switch shape.rank {
        case 4: onImages(shape)
        case 3: onRows(shape)
        default: onVectors(shape)
        }
      if let result { latest = result }
    }
    if builder.graph.nodes.isEmpty { latest = builder.add("Relu", ["x"])! }
    builder.output(latest)
    for name in builder.shapes.keys.dropFirst() where builder.chance(6) { builder.output(name) }
  }

  // MARK: Operators

  private mutating func onImages(_ shape: Shape) -> String? {
    switch builder.numbers.below(onlyLowered ? 13 : 18) {
    case 0...4: return convolution(shape)
    case 5: return clamp()
    case 6: return addition(shape)
    case 7: return residual(shape)
    case 8: return builder.add("MaxPool", [latest], window(isPool: true))
    case 9:
      var attributes = window(isPool: true)
      if !builder.chance(3) { attributes["count_include_pad"] = .int(builder.numbers.below(2)) }
      return builder.add("AveragePool", [latest], attributes)
    case 10: return builder.add("GlobalAveragePool", [latest])
    case 11 where shape[2] * shape[3] == 1 || builder.chance(2):
      let flat = builder.add("Flatten", [latest])
      return flat.flatMap { flat in
        latest = flat
        return product(builder.shapes[flat]!)
      }
    case 12:
      guard shape[2] * shape[3] == 1 else { return convolution(shape) }
      return reshape([0, -1])
    case 13: return normalization(shape)
    case 14: return elsewhere(shape)
    case 15 where builder.chance(2):
      // Pixels as rows, for matrix products.
      guard let rows = reshape([0, Int64(shape[1]), -1]) else { return nil }
      return builder.add("Transpose", [rows], ["perm": .ints([0, 2, 1])])
    case 16 where builder.chance(2): return builder.add("Flatten", [latest])
    case 17:
      return builder.add(
        "Transpose", [latest], ["perm": .ints(builder.pick([[0, 1, 3, 2], [0, 2, 3, 1]]))])
    default: return convolution(shape)
    }
  }

  /// What is convolved is added to what it came from, on either side, before or behind clamps.
  private mutating func residual(_ shape: Shape) -> String? {
    let start = latest
    let channels = shape[1]
    for _ in 0..<1 + builder.numbers.below(2) {
      let weights = builder.weights(
        [channels, channels, 3, 3], times: 1 / Float(9 * channels).squareRoot())
      let same: [String: Attribute] = ["auto_pad": .string("SAME_UPPER")]
      guard let next = builder.add("Conv", [latest, weights], same) else { return nil }
      latest = next
      if builder.chance(2), let next = clamp() { latest = next }
    }
    return builder.add("Add", builder.chance(2) ? [latest, start] : [start, latest])
  }

  private mutating func onRows(_ shape: Shape) -> String? {
    switch builder.numbers.below(onlyLowered ? 6 : 9) {
    case 0...2: return matmul(shape)
    case 3: return clamp()
    case 4, 5: return addition(shape)
    case 6: return elsewhere(shape)
    case 7: return builder.add("Transpose", [latest], ["perm": .ints([0, 2, 1])])
    default: return builder.add("Flatten", [latest])
    }
  }

  private mutating func onVectors(_ shape: Shape) -> String? {
    switch builder.numbers.below(onlyLowered ? 6 : 9) {
    case 0...2: return product(shape)
    case 3: return clamp()
    case 4, 5: return addition(shape)
    case 6: return elsewhere(shape)
    case 7: return reshape([0, 1, -1])
    default: return reshape([0, Int64(shape[1]), 1, 1])
    }
  }

  private mutating func reshape(_ target: [Int64]) -> String? {
    let target = builder.constant(.int64(Tensor([target.count], target)))
    return builder.add("Reshape", [latest, target])
  }

  private mutating func window(isPool: Bool) -> [String: Attribute] {
    let kernel = [builder.pick([1, 2, 3, 3, 5]), builder.pick([1, 2, 3, 3, 5])]
    let dilations = builder.chance(4) ? [builder.pick([1, 2]), 2] : [1, 1]
    var attributes: [String: Attribute] = ["kernel_shape": .ints(kernel)]
    if builder.chance(2) {
      attributes["strides"] = .ints([builder.pick([1, 2, 3]), builder.pick([1, 2])])
    }
    // opset 17 knows no dilations of AveragePool; our reference does.
    if dilations != [1, 1] { attributes["dilations"] = .ints(dilations) }
    switch builder.numbers.below(5) {
    case 0: attributes["auto_pad"] = .string("SAME_UPPER")
    case 1: attributes["auto_pad"] = .string("SAME_LOWER")
    case 2: attributes["auto_pad"] = .string("VALID")
    case 3:
      let most = zip(kernel, dilations).map { ($0 - 1) * $1 / (isPool ? 2 : 1) }
      attributes["pads"] = .ints((most + most).map { builder.numbers.below($0 + 1) })
    default:
      let half = zip(kernel, dilations).map { ($0 - 1) * $1 / 2 }
      attributes["pads"] = .ints(half + half)
    }
    if isPool && builder.chance(2) { attributes["ceil_mode"] = .int(1) }
    return attributes
  }

  private mutating func convolution(_ shape: Shape) -> String? {
    var attributes = window(isPool: false)
    guard case .ints(let kernel)? = attributes["kernel_shape"] else { return nil }
    let channels = shape[1]
    var groups = 1
    var filters = builder.pick([1, 3, 5, 8, 16, 17, 33])
    if builder.chance(4) {
      (groups, filters) = (channels, channels * builder.pick([1, 1, 1, 2]))
    } else if builder.chance(4) {
      groups = builder.pick([2, 3].filter { channels % $0 == 0 } + [1])
      filters = groups * builder.pick([1, 3, 8, 9])
    }
    if groups > 1 || builder.chance(2) { attributes["group"] = .int(groups) }
    if builder.chance(2) { attributes["kernel_shape"] = nil }
    let depth = channels / groups * kernel[0] * kernel[1]
    var inputs = [
      latest,
      builder.weights(
        [filters, channels / groups, kernel[0], kernel[1]], times: 1 / Float(depth).squareRoot()),
    ]
    if !builder.chance(3) { inputs.append(builder.weights([filters], times: 0.5)) }
    return builder.add("Conv", inputs, attributes)
  }

  private mutating func product(_ shape: Shape) -> String? {
    guard !builder.chance(3) else { return matmul(shape) }
    let (depth, columns) = (shape[1], builder.pick([1, 3, 10, 17, 33]))
    let isTransposed = builder.chance(2)
    var inputs = [
      latest,
      builder.weights(
        isTransposed ? [columns, depth] : [depth, columns], times: 1 / Float(depth).squareRoot()),
    ]
    if !builder.chance(3) {
      inputs.append(builder.weights(builder.pick([[columns], [1, columns], [1], []]), times: 0.5))
    }
    let transB: [String: Attribute] = isTransposed ? ["transB": .int(1)] : [:]
    return builder.add("Gemm", inputs, transB)
  }

  private mutating func matmul(_ shape: Shape) -> String? {
    let (depth, columns) = (shape[shape.rank - 1], builder.pick([1, 3, 10, 17, 33]))
    let weights = builder.weights([depth, columns], times: 1 / Float(depth).squareRoot())
    return builder.add("MatMul", [latest, weights])
  }

  private mutating func clamp() -> String? {
    if builder.chance(2) { return builder.add("Relu", [latest]) }
    let low = builder.constant(.float32(Tensor([], [-0.5])))
    let high = builder.constant(.float32(Tensor([], [0.75])))
    return builder.add("Clip", [latest] + builder.pick([[low, high], [low], ["", high], []]))
  }

  private mutating func addition(_ shape: Shape) -> String? {
    let others = builder.shapes.filter { $0.value == shape && $0.key != latest }.map(\.key)
    let other = others.isEmpty || builder.chance(6) ? latest : builder.pick(others)
    return builder.add("Add", builder.chance(2) ? [latest, other] : [other, latest])
  }

  private mutating func normalization(_ shape: Shape) -> String? {
    let channels: Shape = [shape[1]]
    let variance = Tensor<Float>(channels, uniformIn: 0.5...2, using: &builder.numbers)
    return builder.add(
      "BatchNormalization",
      [
        latest, builder.weights(channels, times: 0.2, plus: 1),
        builder.weights(channels, times: 0.3), builder.weights(channels, times: 0.3),
        builder.constant(.float32(variance)),
      ])
  }

  /// Operators without kernels of the runtime's own.
  private mutating func elsewhere(_ shape: Shape) -> String? {
    switch builder.numbers.below(7) {
    case 0: return builder.add("Sigmoid", [latest])
    case 1: return builder.add("Softmax", [latest], ["axis": .int(1)])
    case 2: return builder.add("Tanh", [latest])
    case 3:
      return builder.add("Mul", [latest, builder.constant(.float32(Tensor([], [1.25])))])
    case 4:
      return builder.add("Add", [latest, builder.constant(.float32(Tensor([1], [0.25])))])
    case 5: return builder.add("LeakyRelu", [latest])
    default:
      let others = builder.shapes.filter {
        $0.value.rank == shape.rank && $0.value.replacing(axis: 1, with: shape[1]) == shape
      }.map(\.key)
      return builder.add("Concat", [latest, builder.pick(others)], ["axis": .int(1)])
    }
  }
}
