// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletGraph
import Testing

/// Channels and ranks chosen over a whole model. Costs are operations or weights, so that nothing
/// depends on time.
struct JointAllocationTests {
  private func context(_ graph: Graph) throws -> CompressionContext {
    CompressionContext(original: graph, samples: try samples(graph), threads: .serial)
  }

  private func samples(_ graph: Graph) throws -> [String: AnyTensor] {
    var random = RandomGenerator(seed: 4)
    let shape = try graph.inputs[0].shape(batch: 128)
    return [graph.inputs[0].name: .float32(Tensor(shape, normalUsing: &random))]
  }

  private func prune(
    _ ratio: Double, _ cost: AllocationCost = .macs, _ strategy: AllocationStrategy = .budget
  ) -> CompressionStep {
    .prune {
      $0.ratio = ratio
      ($0.cost, $0.allocation) = (cost, strategy)
    }
  }

  private func apply(
    _ step: CompressionStep, _ graph: Graph
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    try Compressor(context(graph)).apply(Recipe([step]))
  }

  private func decibels(_ graph: Graph, _ other: Graph) throws -> Double {
    try Agreement.measure(graph, other, CalibrationSource(samples(graph), for: graph)).decibels
  }

  private func macs(_ graph: Graph) throws -> Double { Double(try ModelCost(graph).macs) }

  /// What is there twice goes, what is not stays: at no more operations the answers are closer than
  /// with all groups cut alike.
  @Test(arguments: [AllocationStrategy.budget, .greedy])
  func allocatedWidthsLoseLessThanUniformOnes(strategy: AllocationStrategy) throws {
    let graph = try ModelBuilder.redundant()
    let allocated = try apply(prune(0.51, .macs, strategy), graph)
    let uniform = CompressionStep.prune { $0.width = 0.7 }
    let alike = try apply(uniform, graph)
    #expect(try macs(allocated.graph) <= 0.51 * macs(graph))
    #expect(try macs(allocated.graph) <= macs(alike.graph))
    #expect(allocated.graph.initializers["a.w"]?.shape[0] == 8)
    #expect(allocated.graph.initializers["c.w"]?.shape == [12, 8, 3, 3])
    #expect(try decibels(graph, allocated.graph) > decibels(graph, alike.graph) + 20)
    let report = try #require(allocated.layers.first)
    #expect(report.changed && report.rank == 8)
    #expect(report.rejected.contains { $0.choice == "keep" && $0.reason.contains("budget") })
    #expect(report.rejected.contains { $0.choice == "6 channels" && $0.reason.contains("damage") })
    // The other group is whole, and its layer says why.
    let other = allocated.layers[1]
    #expect(other.rank == 12 && other.rejected.allSatisfy { $0.choice != "keep" })
    #expect(other.rejected.count == 7)
  }

  /// With all the budget there is nothing to do.
  @Test func nothingGoesWithoutNeed() throws {
    let graph = try ModelBuilder.redundant()
    let result = try apply(prune(1), graph)
    #expect(result.graph == graph)
    #expect(result.layers.allSatisfy { !$0.changed })
    #expect(result.layers[0].remark.contains("all channels"))
    #expect(result.layers[2].remark.contains("output"))
  }

  /// Sums, concatenations, depthwise convolutions: what is left runs, and costs less.
  @Test(arguments: 0..<4)
  func branchesStayConsistent(seed: Int) throws {
    let graph =
      seed == 0 ? ModelBuilder.residual(seed: 5) : RandomNetwork.make(seed: UInt64(seed))
    let result = try apply(prune(0.5, seed % 2 == 0 ? .macs : .bytes), graph)
    let (before, after) = (try ModelCost(graph), try ModelCost(result.graph))
    #expect(after.macs < before.macs && after.parameters < before.parameters)
    #expect(try decibels(graph, result.graph) > 0)
  }

  private func wide() -> Graph {
    var model = ModelBuilder(seed: 21, input: [3, 6, 6])
    model.conv("x", "a", (3, 24))
    model.node("Relu", ["a"], "b")
    model.conv("b", "c", (24, 32))
    model.node("Relu", ["c"], "d")
    model.conv("d", "e", (32, 24))
    model.node("Add", ["e", "b"], "s")
    model.node("Relu", ["s"], "f")
    model.node("Flatten", ["f"], "g")
    model.gemm("g", "h", (24 * 36, 40))
    model.node("Relu", ["h"], "i")
    model.gemm("i", "y", (40, 5))
    model.output("y", [5])
    return model.graph
  }

  /// Channels and ranks compete; what was chosen fits what is left of the layers, and costs what it
  /// was said to.
  @Test(arguments: [0.3, 0.6], [AllocationStrategy.budget, .greedy])
  func channelsAndRanksShareABudget(ratio: Double, strategy: AllocationStrategy) throws {
    let graph = wide()
    let step = CompressionStep.eigen {
      $0.ratio = ratio
      $0.methods = [.prune, .channel, .spatial, .tucker]
      ($0.cost, $0.allocation) = (.macs, strategy)
    }
    let result = try apply(step, graph)
    // All layers read or make channels that can go, so that all of them are counted.
    #expect(try macs(result.graph) <= ratio * macs(graph))
    let pruned = result.layers.filter { $0.technique == .prune }
    let factored = result.layers.filter { $0.technique == .eigen }
    #expect(pruned.count == 5 && factored.count == 5)
    #expect(result.layers.contains { $0.changed })
    for layer in factored where layer.changed {
      let own = try #require(pruned.first { $0.layer == layer.layer })
      #expect(layer.fullRank! <= own.rank!)
      #expect(layer.rejected.contains { $0.choice == "keep" })
    }
    for alternative in result.layers.flatMap(\.rejected) {
      #expect(alternative.milliseconds.isFinite && alternative.damage.isFinite)
    }
    #expect(try decibels(graph, result.graph) > 3)
  }

  /// The quantize step behind makes integers of those layers that were chosen for it, and of no
  /// other.
  @Test(arguments: [0.9, 0.3], [["int8", "fp32"], ["bf16", "int8"], ["fp32", "bf16"]])
  func precisionsAreHandedOn(ratio: Double, names: [String]) throws {
    let graph = wide()
    let precisions = names.compactMap(LayerPrecision.init(rawValue:))
    let (wide, narrow) = (precisions.min()!, precisions.max()!)
    let step = CompressionStep.eigen {
      ($0.ratio, $0.cost, $0.precisions) = (ratio, .bytes, precisions)
    }
    let result = try Compressor(context(graph)).apply(Recipe([step, CompressionStep(.quantize)]))
    let chosen = result.layers.filter { $0.precision != nil }
    #expect(chosen.map(\.layer).sorted() == graph.nodes.filter { $0.inputs.count > 2 }.map(\.name))
    #expect(chosen.contains { $0.precision == narrow })
    #expect(ratio < 0.9 || chosen.contains { $0.precision == wide })
    for layer in chosen {
      #expect(layer.rejected.contains { names.contains($0.choice) })
      for name in layer.parts ?? [layer.layer] {
        let own = result.layers.filter { $0.technique == .quantize && $0.layer == name }
        #expect(own.map(\.changed) == [layer.precision != .fp32], "\(name)")
        #expect(own[0].remark.hasPrefix("bf16") == (layer.precision == .bf16), "\(name)")
      }
    }
  }

  /// Chains that are computed stripe by stripe, together with what reads them, are no free ones.
  @Test func largeImagesTakeTime() throws {
    var model = ModelBuilder(seed: 3, input: [16, 104, 104])
    model.conv("x", "a", (16, 16))
    model.output("a", [16, 104, 104])
    var random = RandomGenerator(seed: 4)
    let context = CompressionContext(
      original: model.graph,
      samples: ["x": .float32(Tensor([2, 16, 104, 104], normalUsing: &random))], threads: .serial)
    let step = CompressionStep.lowrank { ($0.methods, $0.timingBatch) = ([.spatial], 1) }
    let layers = try Compressor(context).apply(Recipe([step])).layers
    let times =
      layers.flatMap { [$0.millisecondsBefore, $0.millisecondsAfter].compactMap { $0 } }
      + layers.flatMap { $0.rejected.map(\.milliseconds) }
    #expect(times.count > 2 && times.allSatisfy { $0 > 0 }, "\(times)")
  }

  /// Channels and precisions of depthwise convolutions too.
  @Test func channelsAndPrecisionsShareABudget() throws {
    let graph = ModelBuilder.residual(seed: 5)
    var step = prune(0.1, .bytes)
    step[PruneSettings.self]?.precisions = [.fp32, .int8, .int4]
    let result = try Compressor(context(graph)).apply(Recipe([step, CompressionStep(.quantize)]))
    let chosen = result.layers.filter { $0.precision != nil }
    #expect(chosen.count == 5 && Set(chosen.map(\.layer)).count == 5)
    #expect(chosen.contains { $0.precision == .int4 })
    #expect(result.graph.initializers.values.contains { $0.dtype == .int4 })
    #expect(try decibels(graph, result.graph) > 0)
  }

  @Test func dataAreNotNeeded() throws {
    let graph = wide()
    let step = CompressionStep.eigen {
      ($0.ratio, $0.methods) = (0.4, [.prune, .channel])
      ($0.cost, $0.dataAware) = (.bytes, false)
    }
    let result = try apply(step, graph)
    let (before, after) = (try ModelCost(graph), try ModelCost(result.graph))
    #expect(Double(after.parameters) < 0.5 * Double(before.parameters))
    #expect(result.layers.allSatisfy { $0.plainDamage == nil })
  }
}
