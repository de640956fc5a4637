// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletKernels

/// `DynamicQuantizeMatMul` with constant int8 weights around zero.
enum DynamicQuantizeLowering: LoweredOperator {
  static let opTypes = [DynamicQuantizeMatMul.opType]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    facts.isValue(node.inputs[0]) && facts.isValue(node.outputs[0])
      && facts.layout(node.inputs[0]).channelAxis == facts.shape(node.inputs[0]).rank - 1
      && (!facts.has(node, 4) || facts.floats(node, 4) != nil)
      && DynamicWeights(node, facts) != nil
  }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    let facts = lowering.facts
    let weights = DynamicWeights(node, facts)!
    let image = lowering.size(of: node.inputs[0])
    let (input, ranges) = lowering.dynamicallyQuantized(node.inputs[0])
    var ending = Ending(
      bias: .dynamic(sums: weights.rows.rowSums, scale: weights.scales, ranges: ranges))
    let bias = facts.floats(node, 4)?.elements
    var (low, high) = (-Float.infinity, Float.infinity)
    let last = lowering.takeClamps(after: node.outputs[0], low: &low, high: &high)
    if bias == nil { (ending.low, ending.high) = (low, high) }
    ending.output = lowering.newValue(for: last, .float)
    lowering.add(
      ProductInstruction(
        label: node.label, key: node.outputs[0], input: input,
        window: Window(of: image, depth: weights.rows.shape[1]),
        columns: weights.scales.count, groups: 1, weights: .integer(weights.rows),
        kernel: Selection.kernel(.integer, .integer(weights.rows)), ending: ending,
        cache: lowering.cache))
    guard let bias else { return lowering.bind(last, .float(ending.output)) }
    let output = lowering.combine(
      ending.output, .add, bias, axis: facts.shape(last).rank - 1, node.label, like: last,
      low: low, high: high)
    lowering.bind(last, .float(output))
  }
}

extension Lowering {
  /// The bytes of an fp32 value and the ranges they are derived from, shared by all readers.
  fileprivate mutating func dynamicallyQuantized(_ name: String) -> DynamicBytes {
    if let known = dynamicBytes[name] { return known }
    let input = float(name)
    let ranges = add(DynamicRangeInstruction.ranges(of: values[input]))
    add(DynamicRangeInstruction(label: name, input: input, output: ranges))
    // Nothing surrounds them, so no byte has to represent zero.
    let bytes = add(Value(like: values[input], .byte(zeroPoint: 0)))
    add(DynamicQuantizeInstruction(label: name, input: input, ranges: ranges, output: bytes))
    dynamicBytes[name] = (bytes, ranges)
    return (bytes, ranges)
  }
}

/// Constant int8 weights K×N with a scale for each column, stored as one row per column.
private struct DynamicWeights {
  /// N×K, a view until it is packed.
  let rows: Tensor<Int8>
  let scales: [Float]

  init?(_ node: Node, _ facts: GraphFacts) {
    guard case .int8(let matrix)? = facts.constant(node, 1), matrix.shape.rank == 2,
      matrix.count > 0, matrix.shape[0] <= ProductWeights.integerDepth,
      facts.isCentred(node, zeroPoint: 3), let scales = facts.floats(node, 2)?.elements
    else { return nil }
    rows = matrix.permuted(to: [1, 0])
    self.scales =
      scales.count == 1 ? [Float](repeating: scales[0], count: matrix.shape[1]) : scales
  }
}
