// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// Makes a copy of a graph with fewer layers: of the blocks whose outputs have the shape of their
/// inputs, some are removed, evenly over the network.
///
/// A block begins and ends where everything that follows depends on a single value, so that its
/// input can replace its output: a residual block, or a layer with as many outputs as inputs, each
/// with the elementwise nodes after it.
///
/// - Source: removing blocks as in Sanh et al. 2019, arXiv:1910.01108 (DistilBERT).
struct ShallowStudent {
  /// The nodes from `first` up to but not including `end`, which compute `output` from `input`.
  struct Block: Equatable {
    let first, end: Int
    let input, output: String
  }

  /// Removes blocks from a copy of the teacher.
  ///
  /// - Parameters:
  ///   - teacher: The graph to copy.
  ///   - depth: Fraction of the blocks to keep, 0 to 1.
  /// - Throws: `unsupported` if blocks are to be removed and there are none.
  static func make(from teacher: Graph, depth: Double) throws -> Graph {
    guard depth < 1 else { return teacher }
    let blocks = try blocks(of: teacher)
    guard !blocks.isEmpty else {
      throw SwiftletError(
        .unsupported, "no layer can be removed: none has outputs of the shape of its inputs",
        mend: "use width to make the student narrower instead")
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

  /// The blocks that may be removed, without overlap.
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
        // Nodes without weights after a block belong to it.
        blocks[blocks.count - 1] = Block(
          first: last.first, end: to.position, input: last.input, output: output)
      }
    }
    return blocks
  }

  /// Positions between nodes where all later nodes depend on a single earlier value.
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
