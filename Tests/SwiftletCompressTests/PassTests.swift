// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletData
import SwiftletFormats
import SwiftletGraph
import SwiftletRuntime
import SwiftletTraining
import Testing
import _SwiftletTestSupport

struct PassTests {
  /// A small trained network: conv 1→8, conv 8→16, fc 144→32, fc 32→4.
  private static let trained:
    Result<(graph: Graph, data: ImageDataset, test: ImageDataset), any Error> =
      Result {
        let data = try pictures(240, seed: 1)
        let test = try pictures(100, seed: 2)
        var trainer = try Trainer(
          network(), training: data, validation: test,
          settings: TrainingSettings(
            epochs: 5, batch: 16, schedule: LearningRateSchedule(.cosine, rate: 5e-3)))
        return (try trainer.run().graph, data, test)
      }

  private static func pictures(_ count: Int, seed: UInt64) throws -> ImageDataset {
    let (images, labels) = Pictures.make(count: count, classes: 4, seed: seed)
    return try ImageDataset(name: "pictures", images: images, labels: labels, classCount: 4)
  }

  private static func network() -> Graph {
    var generator = RandomGenerator(seed: 3)
    var graph = Graph(name: "net")
    graph.inputs = [ValueInfo("x", .float32, [.symbolic("N"), .fixed(1), .fixed(12), .fixed(12)])]
    graph.outputs = [ValueInfo("y", .float32, [.symbolic("N"), .fixed(4)])]
    func weight(_ name: String, _ shape: Shape) {
      let bound = 1.5 / Double(shape.count / shape[0]).squareRoot()
      graph.initializers[name] = .float32(
        Tensor(shape, uniformIn: -bound...bound, using: &generator))
      graph.initializers["\(name).b"] = .float32(
        Tensor([shape[0]], uniformIn: -0.1...0.1, using: &generator))
    }
    weight("c1", [8, 1, 3, 3])
    weight("c2", [16, 8, 3, 3])
    weight("f1", [32, 144])
    weight("f2", [4, 32])
    let pads: [String: Attribute] = ["pads": .ints([1, 1, 1, 1])]
    let pool: [String: Attribute] = ["kernel_shape": .ints([2, 2]), "strides": .ints([2, 2])]
    graph.nodes = [
      Node("Conv", name: "conv1", inputs: ["x", "c1", "c1.b"], outputs: ["a"], attributes: pads),
      Node("Relu", name: "r1", inputs: ["a"], outputs: ["b"]),
      Node("MaxPool", name: "p1", inputs: ["b"], outputs: ["c"], attributes: pool),
      Node("Conv", name: "conv2", inputs: ["c", "c2", "c2.b"], outputs: ["d"], attributes: pads),
      Node("Relu", name: "r2", inputs: ["d"], outputs: ["e"]),
      Node("MaxPool", name: "p2", inputs: ["e"], outputs: ["f"], attributes: pool),
      Node("Flatten", name: "flat", inputs: ["f"], outputs: ["g"]),
      Node(
        "Gemm", name: "fc1", inputs: ["g", "f1", "f1.b"], outputs: ["h"],
        attributes: ["transB": .int(1)]),
      Node("Relu", name: "r3", inputs: ["h"], outputs: ["i"]),
      Node(
        "Gemm", name: "fc2", inputs: ["i", "f2", "f2.b"], outputs: ["y"],
        attributes: ["transB": .int(1)]),
    ]
    return graph
  }

  private func compress(
    _ steps: [CompressionStep], goals: Goals = Goals()
  ) throws -> CompressionResult {
    let (graph, data, test) = try Self.trained.get()
    let context = CompressionContext(original: graph, training: data, validation: test)
    return try Compressor(context, goals: goals).run(Recipe(steps))
  }

  /// Nothing that depends on time, unless a test asks for it.
  private func factors(
    _ technique: Technique, _ change: (inout FactorSettings) -> Void = { _ in }
  ) -> CompressionStep {
    var step = CompressionStep(technique)
    step[FactorSettings.self]?.allocation = .ratio
    if var settings = step[FactorSettings.self] {
      change(&settings)
      step[FactorSettings.self] = settings
    }
    return step
  }

  private func logits(_ graph: Graph) throws -> [Float] {
    let (_, _, test) = try Self.trained.get()
    let input = try Preprocessing.stored(in: graph, images: test)
      .batch(test, Array(0..<50), threads: .serial)
    return try Session(graph).run(input).elements
  }

  private func largestDifference(_ a: Graph, _ b: Graph) throws -> Float {
    let (x, y) = (try logits(a), try logits(b))
    let scale = x.reduce(0) { max($0, abs($1)) }
    return zip(x, y).reduce(0) { max($0, abs($1.0 - $1.1)) } / scale
  }

  @Test func theModelToCompressIsGood() throws {
    let (graph, _, test) = try Self.trained.get()
    #expect(try Evaluation.run(graph, on: test).top1 > 0.95)
  }

  /// At the ranks that keep everything, factoring changes nothing but the rounding.
  @Test(arguments: [Technique.svd, .lowrank, .eigen])
  func keepingAllEnergyKeepsTheAnswers(technique: Technique) throws {
    let (graph, _, _) = try Self.trained.get()
    // Layers at full rank cost more and are kept, so that a little has to be cut.
    let result = try compress([factors(technique) { $0.energy = 0.99999 }])
    #expect(try largestDifference(graph, result.graph) < 0.02)
    #expect(result.drop <= 1)
  }

  @Test func svdFactorsTheFullyConnectedLayersOnly() throws {
    let result = try compress([factors(.svd) { $0.ratio = 0.3 }])
    #expect(result.graph.nodes.filter { $0.opType == "Gemm" }.count == 3)
    #expect(result.graph.nodes.filter { $0.opType == "Conv" }.count == 2)
    let report = try #require(result.layers.first { $0.layer == "fc1" })
    // floor(0.3 · 32·144 / (32 + 144)) = 7
    #expect(report.rank == 7 && report.fullRank == 32 && report.changed)
    #expect(result.layers.first { $0.layer == "fc2" }?.changed == false)
    #expect(result.after.macs == result.before.macs - 32 * 144 + 7 * (32 + 144))
    #expect(result.after.parameters == result.before.parameters - 32 * 144 + 7 * (32 + 144))
    #expect(result.after.fileBytes < result.before.fileBytes)
  }

  @Test func lowrankFactorsTheConvolutionsOnly() throws {
    let result = try compress([factors(.lowrank) { $0.methods = [.channel] }])
    #expect(result.graph.nodes.filter { $0.opType == "Conv" }.count == 3)
    #expect(result.layers.map(\.layer) == ["conv1", "conv2"])
    #expect(!result.layers[0].changed && result.layers[0].remark.contains("thin"))
    // floor(0.5 · 16·72 / (16 + 72)) = 6
    #expect(result.layers[1].rank == 6)
    #expect(result.after.macs < result.before.macs)
    #expect(result.accuracyAfter.top1 > 0.8)
  }

  /// Along the responses' main directions less is lost than along the weights'.
  @Test func eigenFollowsTheData() throws {
    let (graph, _, _) = try Self.trained.get()
    let eigen = try compress([factors(.eigen) { $0.ratio = 0.35 }])
    let plain = try compress(
      [Technique.svd, .lowrank].map { technique in
        factors(technique) {
          $0.ratio = 0.35
          // svd makes two factors whatever the methods, and refuses them.
          $0.methods = technique == .svd ? nil : [.channel]
          $0.dataAware = false
        }
      })
    #expect(eigen.after.macs == plain.after.macs)
    #expect(
      try largestDifference(graph, eigen.graph) < largestDifference(graph, plain.graph))
  }

  /// Over all layers at once, by what they take here: what is chosen takes no longer, and is said.
  @Test(arguments: [AllocationStrategy.budget, .greedy], [AllocationCost.macs, .bytes])
  func ranksAreAllocatedOverAllLayers(strategy: AllocationStrategy, cost: AllocationCost) throws {
    func result(_ share: Double) throws -> CompressionResult {
      try compress([
        factors(.eigen) {
          $0.ratio = share
          $0.allocation = strategy
          $0.cost = cost
        }
      ])
    }
    let (half, most) = (try result(0.6), try result(0.9))
    #expect(half.after.macs <= half.before.macs && half.after.parameters < half.before.parameters)
    #expect(half.after.parameters <= most.after.parameters)
    for layer in half.layers where layer.changed {
      #expect(layer.rejected.contains { $0.choice == "keep" })
      #expect(try #require(layer.damage) <= #require(layer.plainDamage) + 1e-9)
      #expect(layer.millisecondsBefore != nil && layer.millisecondsAfter != nil)
    }
  }

  @Test func quantizingKeepsTheAnswersWithinSteps() throws {
    let (graph, _, _) = try Self.trained.get()
    let result = try compress([.quantize { $0.calibrationImages = 100 }])
    #expect(try largestDifference(graph, result.graph) < 0.1)
    #expect(abs(result.drop) <= 2)
    #expect(result.graph.initializers["c2.quantized"]?.dtype == .int8)
    #expect(result.graph.nodes.filter { $0.opType == "QuantizeLinear" }.count == 7)
    #expect(result.after.macs == result.before.macs)
    // Every weight lies on its channel's grid, whose end is the channel's largest weight.
    let codes: Tensor<Int8> = try #require(result.graph.initializers["f1.quantized"]).require()
    for row in 0..<32 {
      let line = codes.slice(axis: 0, range: row..<row + 1).elements
      #expect(line.map { abs(Int($0)) }.max() == 127)
    }
  }

  @Test func trainingWithQuantizationLosesLess() throws {
    func loss(_ epochs: Int) throws -> CompressionResult {
      try compress([
        .quantize {
          $0.bits = 4
          $0.qatEpochs = epochs
          $0.qatLearningRate = 1e-3
        }
      ])
    }
    let (plain, trained) = (try loss(0), try loss(2))
    #expect(trained.accuracyAfter.loss < plain.accuracyAfter.loss)
    #expect(trained.drop <= 1)
    // Nothing of what only training needs is left.
    #expect(trained.after.fileBytes < plain.after.fileBytes + 200)
    #expect(trained.graph.nodes.allSatisfy { $0.domain.isEmpty })
    #expect(trained.graph.initializers["c2.quantized"]?.dtype == .int4)
  }

  @Test func precisionIsMixedWithinTheLimit() throws {
    func mixed(_ drop: Double) throws -> CompressionResult {
      try compress([.quantize { $0.mixedDrop = drop }])
    }
    let result = try mixed(5)
    #expect(result.drop <= 5)
    #expect(result.graph.initializers.values.contains { $0.dtype == .int4 })
    #expect(result.paired.images == 100 && result.paired.upperBound <= 5)
    // The surer it has to be, the less may go.
    let sure = try compress([
      .quantize {
        // Two equal answers to 100 images leave 5.26 points of doubt.
        $0.mixedDrop = 8
        $0.mixedConfidence = 0.9999
      }
    ])
    #expect(sure.confidence == 0.9999 && sure.paired.upperBound(confidence: 0.9999) <= 8)
    #expect(result.confidence == 0.95)
    let surer = #expect(throws: SwiftletError.self) {
      try compress([
        .quantize {
          $0.mixedDrop = 2
          $0.mixedConfidence = 0.999
        }
      ])
    }
    #expect(surer?.description.contains("with 99.9 % confidence") == true)
    // A hundred images cannot show that less than a tenth of a point is lost.
    let error = #expect(throws: SwiftletError.self) { try mixed(0.1) }
    #expect(error?.code == .unsupported && error?.description.contains("more images") == true)
  }

  @Test func distillingMakesANarrowerStudent() throws {
    let result = try compress([
      .distill {
        $0.epochs = 4
        $0.learningRate = 5e-3
      }
    ])
    #expect(result.graph.initializers["c1"]?.shape == [4, 1, 3, 3])
    #expect(result.graph.initializers["c2"]?.shape == [8, 4, 3, 3])
    #expect(result.graph.initializers["f1"]?.shape == [16, 72])
    #expect(result.graph.initializers["f2"]?.shape == [4, 16])
    #expect(result.accuracyAfter.top1 > 0.9)
  }

  @Test func pruningRefitsWhatIsLeft() throws {
    let result = try compress([CompressionStep(.prune)])
    #expect(result.graph.initializers["c1"]?.shape == [4, 1, 3, 3])
    #expect(result.graph.initializers["c2"]?.shape == [8, 4, 3, 3])
    #expect(result.graph.initializers["f1"]?.shape == [16, 72])
    #expect(result.graph.initializers["f2"]?.shape == [4, 16])
    #expect(result.layers.map(\.layer) == ["conv1", "conv2", "fc1", "fc2"])
    #expect(result.layers.allSatisfy { $0.changed })
    #expect(result.layers.map(\.rank) == [4, 8, 16, 4])
    #expect(result.layers[0].damage == nil && result.layers[3].remark == "16 of 32 inputs")
    for layer in result.layers[1...] {
      let (damage, plain) = (try #require(layer.damage), try #require(layer.plainDamage))
      #expect(damage < plain, "\(layer.layer)")
    }
    let plain = try compress([.prune { $0.dataAware = false }])
    #expect(plain.after.macs == result.after.macs)
    #expect(plain.layers.allSatisfy { $0.damage == nil })
    #expect(result.accuracyAfter.top1 > 0.9)
    #expect(result.accuracyAfter.loss < plain.accuracyAfter.loss)
  }

  @Test func pruningWorksAmongOtherTechniques() throws {
    let mild = CompressionStep.prune { $0.width = 0.75 }
    let alone = try compress([mild])
    let before = try compress([mild, CompressionStep(.quantize)])
    #expect(before.graph.initializers["c1.quantized"]?.shape == [6, 1, 3, 3])
    #expect(before.accuracyAfter.top1 > 0.85)
    let after = try compress([factors(.eigen) { $0.ratio = 0.7 }, mild])
    #expect(after.after.macs < alone.after.macs)
    #expect(after.accuracyAfter.top1 > 0.85)
    // What is quantized has no weights to refit.
    let error = #expect(throws: SwiftletError.self) {
      try compress([CompressionStep(.quantize), mild])
    }
    #expect(error?.code == .unsupported && error?.description.contains("quantize last") == true)
  }

  @Test func widthsFollowFromGoals() throws {
    let result = try compress([CompressionStep(.prune)], goals: Goals(macs: .fraction(0.5)))
    #expect(Double(result.after.macs) <= 0.5 * Double(result.before.macs))
    #expect(try #require(result.recipe.steps[0][PruneSettings.self]).width < 1)
  }

  @Test func distillingAfterwardsRecoversWhatWasLost() throws {
    let harsh = factors(.lowrank) { $0.ratio = 0.1 }
    let alone = try compress([harsh])
    let recovered = try compress([
      harsh,
      .distill {
        $0.epochs = 3
        $0.learningRate = 3e-3
      },
    ])
    #expect(recovered.after.macs == alone.after.macs)
    #expect(recovered.accuracyAfter.loss < alone.accuracyAfter.loss)
  }

  @Test func ranksAnnealWhileTheyAreTrained() throws {
    func result(_ share: Double?) throws -> CompressionResult {
      try compress([
        factors(.eigen) { $0.ratio = 0.6 },
        .distill {
          $0.epochs = 4
          $0.learningRate = 3e-3
          $0.annealRanks = share
        },
      ])
    }
    let (whole, annealed) = (try result(nil), try result(0.5))
    #expect(Double(annealed.after.macs) < 0.9 * Double(whole.after.macs))
    #expect(annealed.accuracyAfter.top1 > 0.9)
    let shrunk = annealed.layers.filter { $0.technique == .distill && $0.rank != nil }
    #expect(!shrunk.isEmpty && shrunk.allSatisfy { $0.rank! < $0.fullRank! })
    // There is nothing to shrink in layers that are whole.
    let error = #expect(throws: SwiftletError.self) {
      try compress([.distill { $0.annealRanks = 0.5 }])
    }
    #expect(error?.code == .unsupported)
  }

  @Test func goalsAreReached() throws {
    let byMACs = try compress([factors(.lowrank)], goals: Goals(macs: .fraction(0.6)))
    #expect(Double(byMACs.after.macs) <= 0.6 * Double(byMACs.before.macs))
    let bySize = try compress([factors(.svd)], goals: Goals(size: .absolute(20_000)))
    #expect(bySize.after.fileBytes <= 20_000)
    let byDrop = try compress([factors(.eigen)], goals: Goals(maxDrop: 2))
    // What was tried on the way, and why it was not taken, is told.
    for (result, isJudged) in [(byMACs, false), (byDrop, true)] {
      #expect(result.candidates.count { $0.chosen } == 1)
      #expect(result.candidates.last?.chosen == true)
      #expect(result.candidates.last?.top1 == result.accuracyAfter.top1)
      for candidate in result.candidates.dropLast() {
        #expect((candidate.top1 != nil) == isJudged && (candidate.milliseconds != nil) == isJudged)
        #expect(candidate.reason != nil && candidate.label.hasPrefix("ratio"))
      }
    }
    #expect(byDrop.drop <= 2)
    // The strongest ratio within the drop is at least as strong as the default one.
    #expect(try #require(byDrop.recipe.steps[0][FactorSettings.self]).ratio <= 0.5)
  }

  @Test func goalsOutOfReachAreSaid() throws {
    let error = #expect(throws: SwiftletError.self) {
      _ = try compress([factors(.svd)], goals: Goals(macs: .fraction(0.01)))
    }
    #expect(error?.code == .unsupported)
    #expect(error?.description.contains("MACs") == true)
  }

  @Test func sameInputSameModel() throws {
    func run() throws -> [UInt8] {
      try ONNXFile.encode(
        compress([factors(.eigen), CompressionStep(.prune), CompressionStep(.quantize)]).graph)
    }
    #expect(try run() == run())
  }

  @Test func whatCannotBeFactoredIsKeptWithAReason() throws {
    let (graph, data, test) = try Self.trained.get()
    var grouped = graph
    grouped.nodes[3].attributes["group"] = .int(8)
    grouped.initializers["c2"] = .float32(Tensor(zeros: [16, 1, 3, 3]))
    let context = CompressionContext(original: grouped, training: data, validation: test)
    let layers = try Compressor(context).run(Recipe([factors(.lowrank)])).layers
    #expect(layers.allSatisfy { !$0.changed })
    #expect(layers[1].remark.contains("grouped"))
  }

  @Test func modelsWithoutSuchLayersAreRefused() throws {
    let (_, data, test) = try Self.trained.get()
    var graph = Graph(name: "relu")
    graph.inputs = [ValueInfo("x", .float32, [.symbolic("N"), .fixed(1), .fixed(12), .fixed(12)])]
    graph.nodes = [
      Node("GlobalAveragePool", name: "p", inputs: ["x"], outputs: ["h"]),
      Node("Flatten", name: "f", inputs: ["h"], outputs: ["y"]),
    ]
    graph.outputs = [ValueInfo("y", .float32, [.symbolic("N"), .fixed(1)])]
    let context = CompressionContext(
      original: graph, training: data.subset([0]), validation: test.subset([0]))
    for technique in Technique.allCases {
      let error = #expect(throws: SwiftletError.self) {
        _ = try Compressor(context).run(Recipe([factors(technique)]))
      }
      #expect(error?.code == .unsupported, "\(technique)")
    }
  }

  @Test func reportsAreCompletePages() throws {
    let result = try compress([factors(.svd)])
    let report = CompressionReport(result, model: "<a>.onnx", output: "b.onnx", threads: 2)
    #expect(report.html.hasPrefix("<!doctype html>"))
    #expect(report.html.contains("&lt;a&gt;.onnx"))
    #expect(report.html.contains("fc1"))
    #expect(!report.html.contains("http:") && !report.html.contains("https:"))
  }
}
