// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// A copy of a graph with fewer layers: of the blocks that give what they take in shape, some are
/// left out, evenly over the network.
///
/// A block begins and ends where everything behind depends on one value alone, so that its input
/// can stand for its output: a residual block, or a layer of as many outputs as inputs, each with
/// the elementwise nodes behind it.
///
/// - Source: leaving blocks out as in Sanh et al. 2019, arXiv:1910.01108 (DistilBERT).
struct ShallowStudent {
  /// Nodes from `first` up to `end` compute `output` from `input`.
  struct Block: Equatable {
    let first, end: Int
    let input, output: String
  }

  /// - Parameter depth: The share of these blocks that stays, 0 to 1.
  /// - Throws: `unsupported` if blocks are to be left out and there are none.
  static func make(from teacher: Graph, depth: Double) throws -> Graph {
    guard depth < 1 else { return teacher }
    let blocks = try blocks(of: teacher)
    guard !blocks.isEmpty else {
      throw SwiftletError(
        .unsupported, "no layer can be left out: none gives what it takes in shape",
        mend: "make the student narrower instead, with width")
    }
    let count = blocks.count - Int((depth * Double(blocks.count)).rounded())
    // Spread evenly: the middle of each of `count` equal parts.
    let dropped = (0..<count).map { blocks[(2 * $0 + 1) * blocks.count / (2 * count)] }
    var graph = teacher
    for block in dropped.reversed() {
      graph.nodes.removeSubrange(block.first..<block.end)
      for index in graph.nodes.indices {
        graph.nodes[index].inputs = graph.nodes[index].inputs.map {
          $0 == block.output ? block.input : $0
        }
      }
    }
    graph.removeUnusedInitializers()
    return graph
  }

  /// The blocks that may be left out, without overlap.
  static func blocks(of graph: Graph) throws -> [Block] {
    let interpreter = try Interpreter(graph)
    let infos = try interpreter.infer(interpreter.inputShapes(batch: 2))
    let outputs = Set(graph.outputs.map(\.name))
    let cuts = self.cuts(of: graph)
    var blocks: [Block] = []
    for (from, to) in zip(cuts, cuts.dropFirst()) {
      let (input, output) = (from.value, to.value)
      guard let before = infos[input], let after = infos[output], before == after,
        !outputs.contains(output)
      else { continue }
      let nodes = graph.nodes[from.position..<to.position]
      if nodes.contains(where: { WeightedLayer.operators.contains($0.opType) }) {
        blocks.append(Block(first: from.position, end: to.position, input: input, output: output))
      } else if let last = blocks.last, last.end == from.position {
        // What stands behind a block and has no weights of layers belongs to it.
        blocks[blocks.count - 1] = Block(
          first: last.first, end: to.position, input: last.input, output: output)
      }
    }
    return blocks
  }

  /// Positions between nodes at which one single value is all that the nodes behind read of what
  /// was computed before.
  private static func cuts(of graph: Graph) -> [(position: Int, value: String)] {
    var lastRead: [String: Int] = [:]
    for (index, node) in graph.nodes.enumerated() {
      for name in node.reads where graph.initializers[name] == nil && !name.isEmpty {
        lastRead[name] = index
      }
    }
    for output in graph.outputs { lastRead[output.name] = graph.nodes.count }
    var live = Set(graph.dataInputs.map(\.name).filter { lastRead[$0] != nil })
    var cuts: [(position: Int, value: String)] = []
    func note(_ position: Int) {
      if live.count == 1, let value = live.first { cuts.append((position, value)) }
    }
    note(0)
    for (index, node) in graph.nodes.enumerated() {
      live.formUnion(node.outputs.filter { lastRead[$0] ?? -1 > index })
      live = live.filter { lastRead[$0]! > index }
      note(index + 1)
    }
    return cuts
  }
}
