// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// `ReduceMean` over all pixels: an average pool as large as the image.
enum ReduceLowering: LoweredOperator {
  static let opTypes = ["ReduceMean"]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    guard facts.isValue(node.inputs[0]), facts.isValue(node.outputs[0]),
      let axes = axes(node, facts)
    else { return false }
    let (layout, shape) = (facts.layout(node.inputs[0]), facts.shape(node.inputs[0]))
    guard facts.isBatched(layout), !axes.isEmpty, !axes.contains(layout.channelAxis) else {
      return false
    }
    let extents = shape.perImage(facts.images, layout)
    return layout.order.dropLast().allSatisfy { extents[$0] == 1 || axes.contains($0) }
      && (facts.images == 1 || !axes.contains(layout.order[0]))
  }

  private static func axes(_ node: Node, _ facts: GraphFacts) -> Set<Int>? {
    let rank = facts.shape(node.inputs[0]).rank
    var given = try? node.ints("axes")
    if facts.has(node, 1) {
      guard let constant = facts.constant(node, 1) else { return nil }
      given = constant.integers
    }
    return given.map { Set($0.map { ($0 + rank) % rank }) }
  }

  static func layout(_ node: Node, _ result: String, _ facts: GraphFacts) -> Layout {
    let layout = facts.layout(node.inputs[0])
    guard facts.shape(result).rank < layout.rank else { return layout }
    return axes(node, facts)!.sorted(by: >).reduce(layout) { $0.removing($1) }
  }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    let input = lowering.float(node.inputs[0])
    let image = lowering.values[input]
    let output = lowering.newValue(for: node.outputs[0], .float)
    lowering.bind(node.outputs[0], .float(output))
    let pool = Node("AveragePool", name: node.name, inputs: [], outputs: [])
    let place = try! SlidingWindow(pool, kernel: [image.height, image.width])
      .place([lowering.facts.images, image.channels, image.height, image.width])
    lowering.add(
      PoolInstruction(
        label: node.label, input: input, output: output, place: place,
        operation: .average(includesPadding: false)))
  }
}
