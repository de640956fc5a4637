// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletKernels

/// `MaxPool`, `AveragePool` and `GlobalAveragePool` over two axes.
enum PoolLowering: LoweredOperator {
  static let opTypes = ["MaxPool", "AveragePool", "GlobalAveragePool"]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    facts.isImages(node.inputs[0]) && facts.isValue(node.outputs[0])
      && place(node, facts) != nil
  }

  private static func place(_ node: Node, _ facts: GraphFacts) -> SlidingWindow.Placement? {
    let shape = facts.shape(node.inputs[0])
    if node.opType == "GlobalAveragePool" {
      let whole = Node("AveragePool", name: node.name, inputs: [], outputs: [])
      return try? SlidingWindow(whole, kernel: [shape[2], shape[3]]).place(shape)
    }
    return try? SlidingWindow(node).place(shape)
  }

  /// Whether it takes the largest of non-overlapping 2×2 neighbours, which the preceding
  /// instruction can do.
  static func halves(_ node: Node, _ facts: GraphFacts) -> Bool {
    guard node.opType == "MaxPool", facts.layout(node.inputs[0]).isPlanes,
      let place = place(node, facts)
    else { return false }
    let (input, output) = (facts.shape(node.inputs[0]), facts.shape(node.outputs[0]))
    return [(place.height, 2), (place.width, 3)].allSatisfy { along, axis in
      along.kernel == 2 && along.stride == 2 && along.dilation == 1 && along.before == 0
        && output[axis] == input[axis] / 2
    }
  }

  static func layout(_ node: Node, _ result: String, _ facts: GraphFacts) -> Layout { .planes(4) }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    let place = place(node, lowering.facts)!
    let (name, layout) = (node.inputs[0], Layout.planes(4))
    if node.opType == "MaxPool" {
      // The largest code is that of the largest value.
      let source = lowering.dequantized(name, layout)
      // After an odd number of bf16 channels there is a zero, which pools do not write.
      let isEven = lowering.facts.shape(name)[1] % 2 == 0
      let input =
        source?.value
        ?? (isEven ? lowering.anyFloat(name, layout) : lowering.float(name, layout))
      let output = lowering.newValue(for: node.outputs[0], lowering.values[input].kind)
      lowering.bind(
        node.outputs[0],
        source.map { .dequantized(output, $0.by) } ?? lowering.floatBinding(output))
      return lowering.add(
        PoolInstruction(
          label: node.label, input: input, output: output, place: place, operation: .max))
    }
    let includesPadding = (try? node.int("count_include_pad", default: 0)) == 1
    if let (input, by) = lowering.dequantized(name, layout),
      let (quantized, target) = lowering.takeQuantization(after: node.outputs[0])
    {
      let output = lowering.newValue(for: quantized, target.kind)
      lowering.bind(quantized, .quantized(output, target))
      return lowering.add(
        PoolInstruction(
          label: node.label, input: input, output: output, place: place,
          operation: .averageBytes(
            AverageU8(
              scaleIn: by.scale, scaleOut: target.scale, zeroIn: Int32(by.zeroPoint),
              zeroOut: Int32(target.zeroPoint), includePad: includesPadding))))
    }
    let input = lowering.anyFloat(name, layout)
    let output = lowering.newValue(for: node.outputs[0], .float)
    lowering.bind(node.outputs[0], .float(output))
    lowering.add(
      PoolInstruction(
        label: node.label, input: input, output: output, place: place,
        operation: .average(includesPadding: includesPadding)))
  }

  static func takesBFloat(_ node: Node, _ name: String, _ lowering: Lowering) -> Bool {
    lowering.facts.layout(name).isPlanes
      && (node.opType != "MaxPool" || lowering.prefersBFloat(node.outputs[0]))
  }
}
