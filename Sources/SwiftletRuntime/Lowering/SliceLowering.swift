// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// `Slice`, `Split`, and `Gather` of constant positions: copies of parts of a value.
enum SliceLowering: LoweredOperator {
  static let opTypes = ["Slice", "Split", "Gather"]
  static var hasManyResults: Bool { true }

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    guard facts.isValue(node.inputs[0]), node.outputs.allSatisfy({ !$0.isEmpty }),
      node.outputs.allSatisfy({ facts.isValue($0) }), let parts = parts(node, facts)
    else { return false }
    let batch = facts.layout(node.inputs[0]).order[0]
    return facts.images == 1
      || parts.allSatisfy { $0.runs.joined().allSatisfy { $0.axis != batch } }
  }

  /// A result: its parts, one after the other along an axis.
  private struct Part {
    /// The cuts that select each of them.
    var runs: [[Slice.Cut]]
    /// The axis along which the parts follow each other, and one that the result loses.
    var axis = 0
    var lost: Int?
  }

  /// More runs of positions are left to the reference.
  private static let mostRuns = 64

  private static func parts(_ node: Node, _ facts: GraphFacts) -> [Part]? {
    let shape = facts.shape(node.inputs[0])
    switch node.opType {
    case "Slice":
      guard let slice = try? OperatorRegistry.make(node, opset: facts.graph.opset) as? Slice,
        (1..<max(1, node.inputs.count)).allSatisfy({
          facts.constant(node, $0) != nil || !facts.has(node, $0)
        }),
        let cuts = try? slice.cuts(shape, (1...4).map { facts.constant(node, $0)?.integers })
      else { return nil }
      return [Part(runs: [cuts])]
    case "Split":
      guard let axis = try? node.int("axis", default: 0) else { return nil }
      let place = (axis + shape.rank) % shape.rank
      var start = 0
      return node.outputs.map { name in
        let count = facts.shape(name)[place]
        defer { start += count }
        return Part(runs: [[Slice.Cut(axis: place, start: start, step: 1, count: count)]])
      }
    default:
      guard let positions = facts.constant(node, 1),
        let axis = try? node.int("axis", default: 0), positions.shape.rank <= 1
      else { return nil }
      let given = positions.integers
      let place = (axis + shape.rank) % shape.rank
      let extent = shape[place]
      var runs: [[Slice.Cut]] = []
      var start = 0
      let places = given.map { $0 < 0 ? $0 + extent : $0 }
      for index in places.indices
      where index + 1 == places.count || places[index + 1] != places[index] + 1 {
        let cut = Slice.Cut(
          axis: place, start: places[start], step: 1, count: index + 1 - start)
        runs.append([cut])
        start = index + 1
      }
      guard runs.count <= mostRuns else { return nil }
      return [Part(runs: runs, axis: place, lost: positions.shape.rank == 0 ? place : nil)]
    }
  }

  static func layout(_ node: Node, _ result: String, _ facts: GraphFacts) -> Layout {
    let layout = facts.layout(node.inputs[0])
    return parts(node, facts)![0].lost.map(layout.removing) ?? layout
  }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    let facts = lowering.facts
    let (name, shape) = (node.inputs[0], facts.shape(node.inputs[0]))
    let layout = facts.layout(name)
    let from = layout.distances(shape)
    for (result, part) in zip(node.outputs, parts(node, facts)!) {
      var to = facts.layout(result).distances(facts.shape(result))
      if let lost = part.lost { to.insert(Distance(), at: lost) }
      let binding = lowering.moved(name) { lowering, source in
        var boxes: [CopyInstruction.Box] = []
        var start = 0
        for run in part.runs {
          var box = CopyInstruction.Box(
            .value(source), shape.perImage(facts.images, layout), from: from, to: to)
          for cut in run { box.cut(cut.axis, cut.start, step: cut.step, count: cut.count) }
          box.target = to[part.axis] * start
          start += run[0].count
          boxes.append(box)
        }
        let target = lowering.newValue(for: result, lowering.values[source].kind)
        lowering.add(CopyInstruction(label: node.label, boxes: boxes, output: target))
        return target
      }
      lowering.bind(result, binding)
    }
  }
}

extension CopyInstruction.Box {
  /// Takes only some indices of an axis.
  mutating func cut(_ axis: Int, _ start: Int, step: Int = 1, count: Int) {
    first = first + from[axis] * start
    from[axis] = from[axis] * step
    extents[axis] = count
  }
}
