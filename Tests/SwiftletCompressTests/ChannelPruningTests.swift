// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletGraph
import Testing

struct ChannelPruningTests {
  private func source(_ graph: Graph, count: Int = 128) throws -> CalibrationSource {
    var random = RandomGenerator(seed: 4)
    let shape = try graph.inputs[0].shape(batch: count)
    return try CalibrationSource(
      ["x": .float32(Tensor(shape, normalUsing: &random))], for: graph)
  }

  @Test func whatIsThereTwiceCostsNothing() throws {
    let graph = try ModelBuilder.redundant()
    let pruning = try ChannelPruning(graph, source(graph))
    let ranking = try pruning.rankings()[0]
    let kept = ranking.kept(8)
    #expect(Set(kept.map { min($0, 15 - $0) }).count == 8, "\(kept)")
    #expect(ranking.damage[8] < 1e-6)
    let result = try pruning.pruned(keeping: [0: kept])
    #expect(result.initializers["a.w"]?.shape == [8, 3, 3, 3])
    let damage = try pruning.damage(of: result, keeping: [0: kept])
    #expect(damage.count == 1)
    #expect(damage.values.allSatisfy { $0 < 1e-6 }, "\(damage)")
    // Without the refit as much is lost as the other halves carried.
    let plain = try pruning.damage(
      of: pruning.groups.pruned(keeping: [0: kept]), keeping: [0: kept])
    #expect(plain.values.allSatisfy { $0 > 1e-2 }, "\(plain)")
    #expect(try Agreement.measure(graph, result, source(graph)).decibels > 50)
  }

  /// On data that the model was fitted to, looking at them never costs more.
  @Test(arguments: 0..<6)
  func dataSayMoreThanNorms(seed: Int) throws {
    let graph = RandomNetwork.make(seed: UInt64(seed))
    let pruning = try ChannelPruning(graph, source(graph))
    let (best, plain) = (try pruning.rankings(), pruning.plainRankings())
    var keeping: [Int: [Int]] = [:]
    var plainKeeping = keeping
    for group in pruning.groups.groups where group.pinned == nil {
      keeping[group.id] = best[group.id].kept(max(1, group.channels / 2))
      plainKeeping[group.id] = plain[group.id].kept(max(1, group.channels / 2))
    }
    let sliced = try pruning.groups.pruned(keeping: plainKeeping)
    let result = try pruning.pruned(keeping: keeping)
    let fresh = try source(graph)
    #expect(
      try Agreement.measure(graph, result, fresh).decibels
        > Agreement.measure(graph, sliced, fresh).decibels)
    let damage = try pruning.damage(of: result, keeping: keeping).values
    let plainDamage = try pruning.damage(of: sliced, keeping: plainKeeping).values
    #expect(damage.reduce(0, +) < plainDamage.reduce(0, +))
  }

  @Test(arguments: 0..<6)
  func rankingsAreNestedAndDescend(seed: Int) throws {
    let graph = RandomNetwork.make(seed: UInt64(seed))
    let pruning = try ChannelPruning(graph, source(graph))
    for ranking in try pruning.rankings() + pruning.plainRankings() {
      let count = ranking.order.count
      #expect(ranking.order.sorted() == Array(0..<count))
      #expect(ranking.damage.count == count + 1)
      #expect(ranking.damage.first == 1 && ranking.damage.last == 0)
      for (more, less) in zip(ranking.damage, ranking.damage.dropFirst()) {
        #expect(less <= more + 1e-9)
      }
    }
  }

  /// Where the reader is a 1×1 convolution, the refit can do all that the ranking expects.
  @Test func theRankingForetellsTheDamage() throws {
    var model = ModelBuilder(seed: 11, input: [3, 6, 6])
    model.conv("x", "a", (3, 12))
    model.node("Relu", ["a"], "b")
    model.conv("b", "y", (12, 5), kernel: 1)
    model.output("y", [5, 6, 6])
    let pruning = try ChannelPruning(model.graph, source(model.graph, count: 256))
    let ranking = try pruning.rankings()[0]
    for count in [3, 6, 9] {
      let keeping = [0: ranking.kept(count)]
      let damage = try pruning.damage(of: pruning.pruned(keeping: keeping), keeping: keeping)
      let found = try #require(damage.values.first)
      #expect(abs(found - ranking.damage[count]) < 0.15 * ranking.damage[count])
    }
  }

  /// Without a bias to shift, and with inputs that do not vary.
  @Test func singularDataAreNoTrouble() throws {
    var model = ModelBuilder(seed: 12, input: [4])
    model.weights("u", [4, 8])
    model.weights("v", [8, 3])
    model.node("MatMul", ["x", "u"], "a")
    model.node("Relu", ["a"], "b")
    model.node("MatMul", ["b", "v"], "y")
    model.output("y", [3])
    let constant = try CalibrationSource(
      ["x": .float32(Tensor([40, 4], repeating: 1))], for: model.graph)
    let pruning = try ChannelPruning(model.graph, constant)
    let keeping = [0: try pruning.rankings()[0].kept(4)]
    let result = try pruning.pruned(keeping: keeping)
    #expect(result.nodes.map(\.opType) == ["MatMul", "Relu", "MatMul"])
    #expect(try Agreement.measure(model.graph, result, constant).decibels > 60)
  }

  @Test func calibrationThatIsNotFiniteIsSaid() throws {
    let graph = try ModelBuilder.redundant()
    let broken = try CalibrationSource(
      ["x": .float32(Tensor([4, 3, 6, 6], repeating: .infinity))], for: graph)
    let error = #expect(throws: SwiftletError.self) {
      try ChannelPruning(graph, broken).rankings()
    }
    #expect(error?.code == .numerical)
  }
}

extension ModelBuilder {
  /// Two convolutions and a classifier; the first has every channel twice, in a mixed order.
  static func redundant() throws -> Graph {
    var model = ModelBuilder(seed: 8, input: [3, 6, 6])
    model.conv("x", "a", (3, 16))
    model.node("Relu", ["a"], "b")
    model.conv("b", "c", (16, 12))
    model.node("Relu", ["c"], "d")
    model.node("GlobalAveragePool", ["d"], "e")
    model.node("Flatten", ["e"], "f")
    model.gemm("f", "y", (12, 4))
    model.output("y", [4])
    for name in ["a.w", "a.b"] {
      let tensor = try model.graph.weight(name).contiguous()
      let row = tensor.count / 16
      var elements = tensor.elements
      for channel in 0..<8 {
        for i in 0..<row { elements[(15 - channel) * row + i] = elements[channel * row + i] }
      }
      model.graph.initializers[name] = .float32(Tensor(tensor.shape, elements))
    }
    return model.graph
  }
}
