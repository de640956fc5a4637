// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletGraph
import SwiftletLinalg
import SwiftletRuntime
import Testing

/// Ranks that shrink, without training in between.
@Suite struct RankAnnealingTests {
  /// A matrix of a rank.
  private func lowRank(_ rows: Int, _ columns: Int, rank: Int, seed: UInt64) -> Tensor<Float> {
    var generator = RandomGenerator(seed: seed)
    return matrixProduct(
      Tensor<Float>([rows, rank], normalUsing: &generator),
      Tensor<Float>([rank, columns], normalUsing: &generator))
  }

  private func normal(_ shape: Shape, seed: UInt64) -> Tensor<Float> {
    var generator = RandomGenerator(seed: seed)
    return Tensor(shape, normalUsing: &generator)
  }

  private func graph(
    _ nodes: [Node], _ constants: OrderedDictionary<String, Tensor<Float>>, input: [Int]
  ) -> Graph {
    Graph(
      name: "pair", nodes: nodes, initializers: constants.mapValues { .float32($0) },
      inputs: [ValueInfo("x", .float32, [.symbolic("N")] + input.map(Dimension.fixed))],
      outputs: [
        ValueInfo("y", .float32, (0...input.count).map { .symbolic("d\($0)") })
      ])
  }

  /// 8 channels between the layers, of which 3 say all: 1×1 and 3×3 with a window at the border.
  private var convolutions: Graph {
    graph(
      [
        Node("Conv", name: "a", inputs: ["x", "wa"], outputs: ["z"]),
        Node(
          "Conv", name: "b", inputs: ["z", "wb", "bias"], outputs: ["y"],
          attributes: ["pads": .ints([1, 1, 1, 1])]),
      ],
      [
        "wa": lowRank(8, 4, rank: 3, seed: 1).reshaped(to: [8, 4, 1, 1]),
        "wb": normal([5, 8, 3, 3], seed: 2), "bias": normal([5], seed: 3),
      ], input: [4, 6, 6])
  }

  /// Matrices in the order that `Gemm` without transposition has them, with a bias in between.
  private func matrices(activation: Bool) -> Graph {
    var nodes = [
      Node("Gemm", name: "a", inputs: ["x", "wa", "ba"], outputs: ["z"]),
      Node(
        "Gemm", name: "b", inputs: ["z", "wb"], outputs: ["y"], attributes: ["transB": .int(1)]),
    ]
    if activation {
      nodes.insert(Node("Relu", name: "r", inputs: ["z"], outputs: ["zr"]), at: 1)
      nodes[2].inputs[0] = "zr"
    }
    return graph(
      nodes,
      [
        "wa": normal([6, 8], seed: 4), "ba": normal([8], seed: 5),
        "wb": lowRank(7, 8, rank: 2, seed: 6),
      ], input: [6])
  }

  private func samples(_ graph: Graph, count: Int) throws -> CalibrationSource {
    let shape = try graph.inputs[0].shape(batch: count)
    return try CalibrationSource(["x": .float32(normal(shape, seed: 7))], for: graph)
  }

  /// max|a − b| / max|b| of the answers to other inputs.
  private func difference(_ graph: Graph, _ other: Graph) throws -> Float {
    let x = normal(try graph.inputs[0].shape(batch: 9), seed: 8)
    let (a, b) = (
      try Session(graph, threads: .serial).run(x), try Session(other, threads: .serial).run(x)
    )
    let largest = b.elements.reduce(0) { max($0, abs($1)) }
    return zip(a.elements, b.elements).reduce(0) { max($0, abs($1.0 - $1.1)) } / largest
  }

  @Test(arguments: [true, false])
  func directionsThatSayNothingGoFirst(isConv: Bool) throws {
    let dense = isConv ? convolutions : matrices(activation: false)
    let rank = isConv ? 3 : 2
    let annealing = try RankAnnealing(dense, end: 0.1)
    let source = try samples(dense, count: 40)
    var graph = dense
    // In two cuts, as between epochs.
    for share in [0.7, Double(rank) / 8] {
      graph = try annealing.shrunk(graph, to: share, source, threads: .serial)
    }
    #expect(try annealing.ranks(of: graph).map(\.after) == [rank])
    #expect(try difference(graph, dense) < 1e-4)
    #expect(
      try Interpreter(graph).macs(batch: 1).reduce(0, +) <= Interpreter(dense).macs(batch: 1).reduce(0, +)
        * rank / 8)
    // One direction less is one that counts.
    let less = try annealing.shrunk(graph, to: Double(rank - 1) / 8, source, threads: .serial)
    #expect(try annealing.ranks(of: less).map(\.after) == [rank - 1])
    #expect(try difference(less, dense) > 1e-2)
  }

  @Test func ranksStayAtLeastOne() throws {
    let annealing = try RankAnnealing(convolutions, end: 0.01)
    let graph = try annealing.shrunk(
      convolutions, to: 0.01, samples(convolutions, count: 8), threads: .serial)
    #expect(try annealing.ranks(of: graph).map(\.after) == [1])
  }

  @Test func layersWithSomethingInBetweenAreNoPair() throws {
    let error = #expect(throws: SwiftletError.self) {
      try RankAnnealing(matrices(activation: true), end: 0.5)
    }
    #expect(error?.code == .unsupported)
  }

  /// Falls along a cosine, ends in time, and needs no more than one epoch.
  @Test(arguments: [1, 2, 3, 10, 40])
  func theCourseOfTheShare(epochs: Int) throws {
    let annealing = try RankAnnealing(convolutions, end: 0.25)
    let shares = (0..<epochs).map { annealing.share(epoch: $0, of: epochs) }
    #expect(zip(shares, shares.dropFirst()).allSatisfy { $0 >= $1 })
    #expect(shares.allSatisfy { 0.25...1 ~= $0 } && shares.last == 0.25)
    #expect(shares[(3 * epochs + 3) / 4 - 1] == 0.25)
    if epochs == 40 { #expect(abs(shares[14] - 0.625) < 1e-9) }
  }
}
