// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletKernels

/// Functions of two operands, which may be broadcast or constant, and the clamps and quantization
/// after them.
enum BinaryLowering: LoweredOperator {
  static let opTypes = ["Add", "Sub", "Mul", "Div", "Max", "Min"]

  private static let functions: [String: BinaryFunction] = [
    "Add": .add, "Sub": .subtract, "Mul": .multiply, "Div": .divide, "Max": .larger,
    "Min": .smaller,
  ]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    // Operator sets up to 6 may align the right side with an axis in the middle.
    guard node.inputs.count == 2, node.attributes["axis"] == nil, facts.isValue(node.outputs[0])
    else { return false }
    let result = facts.shape(node.outputs[0])
    let operands = node.inputs.indices.filter { facts.constant(node, $0) == nil }
    return !operands.isEmpty
      && node.inputs.indices.allSatisfy { index in
        operands.contains(index)
          ? facts.isBroadcastValue(node.inputs[index], to: result)
          : facts.isBroadcastConstant(node, index, to: result)
      }
  }

  static func data(_ node: Node, _ facts: GraphFacts) -> [String] { facts.values(node.inputs) }

  /// That of an operand of the same shape, if possible one that a segment computes.
  static func layout(_ node: Node, _ result: String, _ facts: GraphFacts) -> Layout {
    let shape = facts.shape(result)
    let values = data(node, facts).filter { facts.shape($0).rank == shape.rank }
    let full = values.filter { facts.shape($0) == shape }
    let best = full.first(where: facts.isComputed) ?? full.first ?? values.first
    return best.map(facts.layout) ?? .rows(shape.rank)
  }

  private static func isElementwise(_ node: Node, _ facts: GraphFacts) -> Bool {
    node.inputs.allSatisfy {
      facts.graph.initializers[$0] == nil && facts.shape($0) == facts.shape(node.outputs[0])
    }
  }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    let facts = lowering.facts
    var (low, high) = (-Float.infinity, Float.infinity)
    let (function, isElementwise) = (functions[node.opType]!, isElementwise(node, facts))
    let layout = facts.layout(node.outputs[0])
    let isAligned = isElementwise && node.inputs.allSatisfy { facts.layout($0) == layout }
    if isAligned, function == .add, addBytes(node, &lowering) { return }
    let last = lowering.takeClamps(after: node.outputs[0], low: &low, high: &high)
    if isAligned, function == .add, facts.precision == .bf16, lowering.prefersBFloat(last) {
      return lowering.addBFloats(node, last, low: low, high: high)
    }
    if isElementwise {
      let inputs = node.inputs.map { lowering.float($0, layout) }
      let output = lowering.add(Value(like: lowering.values[inputs[0]], .float))
      lowering.bind(last, .float(output))
      return lowering.add(
        ElementwiseInstruction(
          label: node.label, inputs: inputs, output: output,
          operation: .binary(function, low: low, high: high)))
    }
    let shape = facts.shape(node.outputs[0])
    let operands = node.inputs.indices.map { index in
      lowering.operand(node, index, broadcast: shape, layout)
    }
    let output = lowering.newValue(for: last, .float)
    lowering.bind(last, .float(output))
    lowering.add(
      BroadcastInstruction(
        label: node.label, function: function, a: operands[0], b: operands[1],
        extents: shape.perImage(facts.images, layout), to: layout.distances(shape), output: output,
        low: low, high: high))
  }

  static func takesBFloat(_ node: Node, _ name: String, _ lowering: Lowering) -> Bool {
    node.opType == "Add" && isElementwise(node, lowering.facts)
      && lowering.facts.layout(name) == lowering.facts.layout(node.outputs[0])
      && lowering.prefersBFloat(node.outputs[0])
  }

  /// A sum of 8-bit values whose result is 8-bit too.
  private static func addBytes(_ node: Node, _ lowering: inout Lowering) -> Bool {
    guard let first = lowering.dequantized(node.inputs[0]),
      let second = lowering.dequantized(node.inputs[1])
    else { return false }
    var (low, high) = (-Float.infinity, Float.infinity)
    guard let (clamps, name, by) = lowering.quantizedResult(of: node.outputs[0], &low, &high)
    else { return false }
    for index in clamps { lowering.markDone(index) }
    var sum = AddU8(
      scaleA: first.by.scale / by.scale, scaleB: second.by.scale / by.scale,
      zeroA: Int32(first.by.zeroPoint), zeroB: Int32(second.by.zeroPoint),
      zeroY: Int32(by.zeroPoint))
    (sum.low, sum.high) = by.limits(low, high)
    let output = lowering.add(Value(like: lowering.values[first.value], by.kind))
    lowering.bind(name, .quantized(output, by))
    lowering.add(
      ElementwiseInstruction(
        label: node.label, inputs: [first.value, second.value], output: output,
        operation: .addBytes(sum)))
    return true
  }
}

/// `BatchNormalization` that no preceding instruction absorbed: a factor and an addend per channel.
enum BatchNormalizationLowering: LoweredOperator {
  static let opTypes = ["BatchNormalization"]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    facts.isValue(node.inputs[0]) && ChannelScaling(node, facts.graph) != nil
  }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    let scaling = ChannelScaling(node, lowering.facts.graph)!
    var (low, high) = (-Float.infinity, Float.infinity)
    let name = node.outputs[0]
    let input = lowering.float(node.inputs[0])
    let last = lowering.takeClamps(after: name, low: &low, high: &high)
    let factors = scaling.factors.map(Float.init)
    let scaled = lowering.combine(input, .multiply, factors, axis: 1, node.label, like: name)
    let output = lowering.combine(
      scaled, .add, scaling.shifts.map(Float.init), axis: 1, node.label, like: name, low: low,
      high: high)
    lowering.bind(last, .float(output))
  }
}

extension GraphFacts {
  /// Those of a node's inputs that are values rather than constants.
  func values(_ inputs: [String]) -> [String] {
    inputs.filter { !$0.isEmpty && graph.initializers[$0] == nil }
  }

  /// Whether a value can be broadcast to a shape image by image.
  func isBroadcastValue(_ name: String, to result: Shape) -> Bool {
    guard isValue(name) else { return false }
    let shape = shape(name)
    return images == 1 || shape.rank == result.rank && shape[0] == result[0]
  }

  /// Whether a constant of fp32 can be.
  func isBroadcastConstant(_ node: Node, _ index: Int, to result: Shape) -> Bool {
    guard let tensor = floats(node, index), tensor.shape.rank <= result.rank, tensor.count > 0
    else { return false }
    return images == 1 || tensor.shape.rank < result.rank || tensor.shape[0] == 1
      || tensor.shape[0] == result[0]
  }
}

extension Lowering {
  /// A function of a value and of one number for each index of an axis.
  ///
  /// - Parameter name: A name of the shape and layout of the value and the result.
  mutating func combine(
    _ input: Int, _ function: BinaryFunction, _ numbers: [Float], axis: Int, _ label: String,
    like name: String, low: Float = -.infinity, high: Float = .infinity
  ) -> Int {
    let (shape, layout) = (facts.shape(name), facts.layout(name))
    let to = layout.distances(shape)
    var from = to.map { _ in Distance() }
    from[axis] = Distance(channels: 1)
    let output = newValue(for: name, .float)
    add(
      BroadcastInstruction(
        label: label, function: function, a: .init(source: .value(input), from: to),
        b: .init(source: .constant(AlignedMemory(numbers), image: 0), from: from),
        extents: shape.perImage(facts.images, layout), to: to, output: output, low: low,
        high: high))
    return output
  }

  /// An operand of a function whose result has the given shape and layout.
  mutating func operand(
    _ node: Node, _ index: Int, broadcast result: Shape, _ layout: Layout
  ) -> Operand {
    let name = node.inputs[index]
    let constant = facts.floats(node, index)
    let shape = constant?.shape ?? facts.shape(name)
    let missing = result.rank - shape.rank
    let own = layout.trailing(shape.rank)
    var from = [Distance](repeating: Distance(), count: missing)
    guard let constant else {
      from += own.distances(shape).enumerated().map { shape[$0] == 1 ? Distance() : $1 }
      return .init(source: .value(float(name, own)), from: from)
    }
    var steps = [Distance](repeating: Distance(), count: shape.rank)
    let stored = Distance.elements(Shape(own.order.map { shape[$0] }))
    for (axis, step) in zip(own.order, stored) where shape[axis] > 1 { steps[axis] = step }
    let isBatched = facts.images > 1 && missing == 0 && shape[0] > 1
    let numbers = AlignedMemory(constant.permuted(to: own.order).contiguous().elements)
    return .init(
      source: .constant(numbers, image: isBatched ? 4 * constant.count / facts.images : 0),
      from: from + steps)
  }
}
