// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// `Pad` with one number, and `Expand`: copies of a value, beside or instead of constants.
enum PadLowering: LoweredOperator {
  static let opTypes = ["Pad", "Expand"]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    guard facts.isValue(node.inputs[0]), facts.isValue(node.outputs[0]) else { return false }
    let (from, to) = (facts.shape(node.inputs[0]), facts.shape(node.outputs[0]))
    guard facts.images == 1 || from.rank == to.rank && from[0] == to[0] else { return false }
    return node.opType == "Expand" ? from.rank == to.rank : margins(node, facts) != nil
  }

  /// The number of elements before each axis, and their number.
  private static func margins(
    _ node: Node, _ facts: GraphFacts
  ) -> (before: [Int], number: Float)? {
    let shape = facts.shape(node.inputs[0])
    guard (try? node.string("mode", default: "constant")) == "constant",
      let given = facts.constant(node, 1)?.integers ?? (try? node.ints("pads"))
    else { return nil }
    var number: Float = 0
    if facts.has(node, 2) {
      guard let constant = facts.floats(node, 2), constant.count == 1 else { return nil }
      number = constant.elements[0]
    } else if let value = try? node.float("value", default: 0) {
      number = value
    }
    var axes = Array(0..<shape.rank)
    if facts.has(node, 3) {
      guard let named = facts.constant(node, 3) else { return nil }
      axes = named.integers.map { ($0 + shape.rank) % shape.rank }
    }
    guard given.count == 2 * axes.count, given.allSatisfy({ $0 >= 0 }) else { return nil }
    var before = [Int](repeating: 0, count: shape.rank)
    for (index, axis) in axes.enumerated() { before[axis] = given[index] }
    return (before, number)
  }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    let facts = lowering.facts
    let (name, result) = (node.inputs[0], node.outputs[0])
    let (shape, target) = (facts.shape(name), facts.shape(result))
    let layout = facts.layout(result)
    let (from, to) = (layout.distances(shape), layout.distances(target))
    let (small, large) = (
      shape.perImage(facts.images, layout), target.perImage(facts.images, layout)
    )
    let input = lowering.float(name, layout)
    var boxes: [CopyInstruction.Box] = []
    if node.opType == "Expand" {
      let repeated = from.indices.map { small[$0] == 1 ? Distance() : from[$0] }
      boxes = [CopyInstruction.Box(.value(input), large, from: repeated, to: to)]
    } else {
      let (before, number) = margins(node, facts)!
      let constant = AlignedMemory([number])
      var inside = CopyInstruction.Box(.value(input), small, from: from, to: to)
      for axis in small.indices { inside.target = inside.target + to[axis] * before[axis] }
      boxes.append(inside)
      // Slabs before and after each axis, within those of the axes so far.
      var extents = large
      var corner = Distance()
      for axis in small.indices {
        let after = large[axis] - before[axis] - small[axis]
        for (start, count) in [(0, before[axis]), (before[axis] + small[axis], after)]
        where count > 0 {
          var slab = extents
          slab[axis] = count
          var box = CopyInstruction.Box(
            .constant(constant, image: 0), slab, from: from.map { _ in Distance() }, to: to)
          box.target = corner + to[axis] * start
          boxes.append(box)
        }
        extents[axis] = small[axis]
        corner = corner + to[axis] * before[axis]
      }
    }
    let output = lowering.newValue(for: result, .float)
    lowering.bind(result, .float(output))
    lowering.add(CopyInstruction(label: node.label, boxes: boxes, output: output))
  }
}
