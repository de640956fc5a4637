// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// Random models whose values have any rank and order of axes, as in transformers and hybrids.
struct RandomLayouts {
  private var builder: GraphBuilder
  private var latest = "x"
  /// Whether the batch is always 1, so that it may be moved like other axes.
  private let isSingle: Bool

  static func make(seed: UInt64, isSingle: Bool) -> Graph {
    var random = RandomLayouts(seed: seed, isSingle: isSingle)
    random.grow()
    return random.builder.graph
  }

  private init(seed: UInt64, isSingle: Bool) {
    var generator = RandomGenerator(seed: seed, stream: 5)
    let rank = 2 + generator.below(3)
    let shape = (0..<rank).map { _ in [1, 2, 3, 4, 6, 8, 17, 24][generator.below(8)] }
    builder = GraphBuilder(seed: seed, input: shape, batch: isSingle ? 1 : GraphBuilder.batch)
    self.isSingle = isSingle
  }

  private mutating func grow() {
    for _ in 0..<5 + builder.numbers.below(10) {
      if !builder.graph.nodes.isEmpty && builder.chance(5) {
        latest = builder.pick(Array(builder.shapes.keys))
      }
      if let result = next(builder.shapes[latest]!), builder.shapes[result]!.count < 20_000 {
        latest = result
      }
    }
    if builder.graph.nodes.isEmpty { latest = builder.add("Relu", ["x"])! }
    builder.output(latest)
    for name in builder.shapes.keys.dropFirst() where builder.chance(8) { builder.output(name) }
  }

  private mutating func next(_ shape: Shape) -> String? {
    let rank = shape.rank
    // The axis of the batch stays where it is, unless there is one image.
    let first = isSingle ? 0 : 1
    guard rank > first + 1 else { return nil }
    let axis = first + builder.numbers.below(rank - first)
    switch builder.numbers.below(17) {
    case 0, 1: return transposition(rank, first)
    case 2, 3: return reshape(shape)
    case 4: return product(shape)
    case 5: return batchedProduct(shape)
    case 6: return normalization(shape)
    case 7: return builder.add("Softmax", [latest], ["axis": .int(axis)])
    case 8: return builder.add(builder.pick(["Relu", "Gelu", "Sigmoid", "Swish"]), [latest])
    case 9, 10: return combination(shape)
    case 11: return builder.add("Concat", [latest, latest], ["axis": .int(axis)])
    case 12: return slice(shape, axis)
    case 13: return gather(shape, axis)
    case 14: return padding(shape, first)
    case 15: return convolution(shape)
    default: return mean(shape, first)
    }
  }

  private mutating func integers(_ numbers: [Int]) -> String {
    builder.constant(.int64(Tensor([numbers.count], numbers.map(Int64.init))))
  }

  private mutating func transposition(_ rank: Int, _ first: Int) -> String? {
    var order = Array(first..<rank)
    for index in order.indices.dropFirst().reversed() {
      order.swapAt(index, builder.numbers.below(index + 1))
    }
    return builder.add("Transpose", [latest], ["perm": .ints(Array(0..<first) + order)])
  }

  /// Merges two axes, splits one, or adds one of extent 1.
  private mutating func reshape(_ shape: Shape) -> String? {
    var extents = shape.dimensions
    let axis = builder.numbers.below(shape.rank)
    switch builder.numbers.below(3) {
    case 0 where axis + 1 < shape.rank && shape.rank > 2:
      extents[axis] *= extents.remove(at: axis + 1)
    case 1 where shape.rank < 6:
      let parts = [2, 3, 4].filter { shape[axis] % $0 == 0 && (isSingle || axis > 0) }
      guard !parts.isEmpty else { return nil }
      let part = builder.pick(parts)
      extents[axis] /= part
      extents.insert(part, at: axis + builder.numbers.below(2))
    default:
      guard shape.rank < 6 else { return nil }
      return builder.add("Unsqueeze", [latest, integers([1 + axis])])
    }
    // The leading extent follows from the batch.
    if !isSingle { extents[0] = -1 }
    return builder.add("Reshape", [latest, integers(extents)])
  }

  private mutating func product(_ shape: Shape) -> String? {
    let depth = shape[shape.rank - 1]
    let columns = [1, 5, 8, 16, 40][builder.numbers.below(5)]
    let weights = builder.weights([depth, columns], times: 1 / Float(depth).squareRoot())
    guard let product = builder.add("MatMul", [latest, weights]) else { return nil }
    guard builder.chance(2) else { return product }
    return builder.add("Add", [product, builder.weights([columns], times: 1)])
  }

  private mutating func batchedProduct(_ shape: Shape) -> String? {
    let rank = shape.rank
    guard rank > (isSingle ? 1 : 2) else { return nil }
    var order = Array(0..<rank)
    order.swapAt(rank - 1, rank - 2)
    guard let other = builder.add("Transpose", [latest], ["perm": .ints(order)]) else { return nil }
    let factor = builder.constant(.float32(Tensor([], [0.2])))
    let (left, right) = builder.chance(2) ? (latest, other) : (other, latest)
    return builder.add("MatMul", [left, right]).flatMap { builder.add("Mul", [$0, factor]) }
  }

  private mutating func normalization(_ shape: Shape) -> String? {
    let channels = shape[shape.rank - 1]
    guard channels > 2 else { return nil }
    return builder.add(
      "LayerNormalization",
      [
        latest, builder.weights([channels], times: 0.2, plus: 1),
        builder.weights([channels], times: 0.2),
      ])
  }

  /// With a constant, a value of the same shape, or a mean, on either side.
  private mutating func combination(_ shape: Shape) -> String? {
    let rank = shape.rank
    let other: String
    switch builder.numbers.below(3) {
    case 0:
      let twins = builder.shapes.filter { $0.value == shape }.map(\.key)
      other = builder.pick(twins)
    case 1:
      guard let mean = mean(shape, 1, keepsAxes: true) else { return nil }
      other = mean
    default:
      let missing = builder.numbers.below(rank)
      let extents = (missing..<rank).map { axis in
        axis == 0 && !isSingle || builder.chance(2) ? 1 : shape[axis]
      }
      other = builder.weights(Shape(extents), times: 0.2, plus: 1)
    }
    let operands = builder.chance(2) ? [latest, other] : [other, latest]
    let operators = ["Add", "Sub", "Mul", "Max", "Min"]
    return builder.add(builder.pick(operators), operands)
  }

  private mutating func slice(_ shape: Shape, _ axis: Int) -> String? {
    let step = builder.pick([1, 1, 2, -1])
    let (start, end) = step > 0 ? (builder.numbers.below(shape[axis]), shape[axis]) : (-1, -1000)
    return builder.add(
      "Slice",
      [latest, integers([start]), integers([end]), integers([axis]), integers([step])])
  }

  private mutating func gather(_ shape: Shape, _ axis: Int) -> String? {
    let position = Int64(builder.numbers.below(shape[axis]))
    let places =
      builder.chance(2) && shape.rank > 3
      ? Tensor<Int64>([], [position]) : Tensor<Int64>([3], [position, 0, -1])
    return builder.add("Gather", [latest, builder.constant(.int64(places))], ["axis": .int(axis)])
  }

  private mutating func padding(_ shape: Shape, _ first: Int) -> String? {
    let before = (0..<2 * shape.rank).map { index in
      index % shape.rank < first || builder.chance(2) ? 0 : 1 + index % 2
    }
    return builder.add(
      "Pad", [latest, integers(before), builder.constant(.float32(Tensor([], [0.5])))])
  }

  private mutating func convolution(_ shape: Shape) -> String? {
    guard shape.rank == 4, shape[0] == (isSingle ? 1 : GraphBuilder.batch) else { return nil }
    if builder.chance(3) {
      return builder.add(
        "MaxPool", [latest],
        ["kernel_shape": .ints([2, 2]), "strides": .ints([1, 1]), "pads": .ints([0, 1, 1, 0])])
    }
    let filters = builder.weights([6, shape[1], 3, 3], times: 0.2)
    return builder.add("Conv", [latest, filters], ["pads": .ints([1, 1, 1, 1])])
  }

  private mutating func mean(
    _ shape: Shape, _ first: Int, keepsAxes: Bool? = nil
  ) -> String? {
    let kept = first + builder.numbers.below(max(1, shape.rank - first))
    let axes = (first..<shape.rank).filter { $0 != kept }
    guard !axes.isEmpty else { return nil }
    let keepsAxes = keepsAxes ?? builder.chance(2)
    return builder.add(
      "ReduceMean", [latest, integers(axes)], ["keepdims": .int(keepsAxes ? 1 : 0)])
  }
}
