// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// `Concat` of values, and of constants among them.
enum ConcatLowering: LoweredOperator {
  static let opTypes = ["Concat"]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    guard facts.isValue(node.outputs[0]), let axis = axis(node, facts), !data(node, facts).isEmpty,
      node.inputs.indices.allSatisfy({
        facts.isValue(node.inputs[$0]) || facts.floats(node, $0).map { $0.count > 0 } == true
      })
    else { return false }
    return facts.images == 1
      || axis != 0 && facts.shape(node.outputs[0])[0] == facts.images
        && facts.isBatched(layout(node, node.outputs[0], facts))
  }

  private static func axis(_ node: Node, _ facts: GraphFacts) -> Int? {
    let rank = facts.shape(node.outputs[0]).rank
    return (try? node.int("axis", default: 1)).map { ($0 + rank) % rank }
  }

  static func data(_ node: Node, _ facts: GraphFacts) -> [String] { facts.values(node.inputs) }

  static func layout(_ node: Node, _ result: String, _ facts: GraphFacts) -> Layout {
    let values = data(node, facts)
    return facts.layout(values.first(where: facts.isComputed) ?? values[0])
  }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    let facts = lowering.facts
    let (result, axis) = (node.outputs[0], axis(node, facts)!)
    let layout = facts.layout(result)
    let hasOneLayout = node.inputs.allSatisfy {
      facts.graph.initializers[$0] == nil && facts.layout($0) == layout
    }
    let views = hasOneLayout ? node.inputs.map { lowering.dequantized($0) } : [nil]
    let output: Int
    var sources: [OperandSource] = []
    if let by = views[0]?.by, views.allSatisfy({ $0?.by == by }) {
      sources = views.map { .value($0!.value) }
      output = lowering.newValue(for: result, by.kind)
      lowering.bind(result, .dequantized(output, by))
    } else {
      let kind = hasOneLayout ? lowering.floatKind(result) : .float
      for (index, name) in node.inputs.enumerated() {
        if let tensor = facts.floats(node, index) {
          let isBatched = facts.images > 1 && tensor.shape[0] > 1
          sources.append(
            .constant(
              AlignedMemory(tensor.elements),
              image: isBatched ? 4 * tensor.count / facts.images : 0))
        } else {
          sources.append(
            .value(kind == .bfloat ? lowering.bfloat(name) : lowering.float(name, layout)))
        }
      }
      output = lowering.newValue(for: result, kind)
      lowering.bind(result, lowering.floatBinding(output))
    }
    let to = layout.distances(facts.shape(result))
    var start = 0
    let boxes = zip(node.inputs.indices, sources).map { index, source in
      let shape = facts.constant(node, index)?.shape ?? facts.shape(node.inputs[index])
      let from =
        if case .constant = source { Distance.elements(shape) } else { layout.distances(shape) }
      var box = CopyInstruction.Box(
        source, shape.perImage(facts.images, layout), from: from, to: to)
      box.target = to[axis] * start
      start += shape[axis]
      return box
    }
    lowering.add(CopyInstruction(label: node.label, boxes: boxes, output: output))
  }

  static func takesBFloat(_ node: Node, _ name: String, _ lowering: Lowering) -> Bool {
    let (facts, result) = (lowering.facts, node.outputs[0])
    return data(node, facts).count == node.inputs.count
      && node.inputs.allSatisfy {
        facts.layout($0) == facts.layout(result) && facts.channels(of: $0) % 2 == 0
      } && lowering.prefersBFloat(result)
  }
}

extension Distance {
  /// Between the elements of a constant.
  static func elements(_ shape: Shape) -> [Distance] {
    var step = 1
    var distances: [Distance] = []
    for extent in shape.dimensions.reversed() {
      distances.append(Distance(channels: step))
      step *= extent
    }
    return distances.reversed()
  }
}
