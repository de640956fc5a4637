// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletGraph
import Testing

struct SensitivityTests {
  private func source(_ graph: Graph) throws -> CalibrationSource {
    var generator = RandomGenerator(seed: 1)
    let shape = try graph.inputs[0].shape(batch: 32)
    return try CalibrationSource(
      ["x": .float32(Tensor(shape, normalUsing: &generator))], for: graph)
  }

  private func measure(
    _ graph: Graph, _ change: (inout QuantizationSettings) -> Void = { _ in }
  ) throws -> Sensitivity {
    var settings = QuantizationSettings()
    change(&settings)
    return try Sensitivity.measure(graph, settings, source(graph))
  }

  @Test func eachLayerIsJudged() throws {
    let graph = ModelBuilder.residual(seed: 4)
    let result = try measure(graph)
    #expect(result.layers.map(\.layer) == ["Conv a", "Conv c", "Conv f", "Conv j", "Gemm y"])
    for layer in result.layers {
      // Both together are no better than the worse one of them, but for chance.
      #expect(layer.answers < min(layer.answersByWeights, layer.answersByInput) + 3)
      #expect(layer.weightDecibels > 30 && layer.inputDecibels > 30)
    }
    let coarse = try measure(graph) { $0.bits = 4 }
    for (few, many) in zip(coarse.layers, result.layers) {
      #expect(few.answersByWeights < many.answersByWeights - 10)
      let isFine = few.answers >= 35
      #expect(isFine == (few.cause == .none) && isFine == few.remedy.isEmpty)
      #expect(isFine || few.cause == .weights || few.cause == .unevenWeights)
    }
    #expect(coarse.answers.decibels < result.answers.decibels)
  }

  @Test func outlierChannelsAreNamed() throws {
    let result = try measure(ModelBuilder.encoder(seed: 5)) { $0.observer = .minmax }
    let first = result.layers[0]
    #expect(first.outlierChannels == [3] && first.outlierRatio > 10)
    #expect(first.answersByInput < first.answersByWeights)
    #expect(first.cause == .outlierChannels)
  }

  @Test func clippingIsNoticed() throws {
    let graph = ModelBuilder.residual(seed: 4)
    let result = try measure(graph) {
      $0.observer = .percentile
      $0.percentile = 90
    }
    #expect(result.layers[0].clippedPercent > 5)
    #expect(result.layers[0].cause == .clipping)
  }

  @Test func pairsThatDifferAreCounted() {
    let first = (0..<1000).map { $0 % 10 != 0 }
    let second = first.indices.map { first[$0] && $0 % 100 != 7 || $0 % 200 == 0 }
    let test = PairedTest(first, second)
    #expect(test.images == 1000 && test.lost == 10 && test.won == 5)
    #expect(abs(test.drop - 0.5) < 1e-9)
    // 0.5 + 164.5 · √(17 − 25/1000) / 1000
    #expect(abs(test.upperBound - 1.1777) < 1e-3)
    // 2 · Σ C(15, k) / 2¹⁵ for k from 0 to 5
    #expect(abs(test.pValue - 0.3018) < 1e-3)
    let same = PairedTest(first, first)
    #expect(same.drop == 0 && same.pValue == 1 && same.upperBound > 0)
  }

  /// No drop exceeds 100 points, however few images there are.
  @Test(arguments: [0.5, 0.9, 0.95, 0.999])
  func boundsStayWithinThePossible(confidence: Double) {
    for images in [1, 2, 3, 10, 1000] {
      for lost in Set([0, 1, images / 2, images]) {
        let test = PairedTest(
          Array(repeating: true, count: images), (0..<images).map { $0 >= lost })
        let bound = test.upperBound(confidence: confidence)
        #expect(test.drop <= bound + 1e-9 && bound <= 100)
        #expect(test.upperBound <= 100 && test.pValue <= 1)
      }
    }
    let one = PairedTest([true], [true])
    #expect(one.upperBound == 100 && one.summary.contains("below 100.0 with 95 %"))
    #expect(one.summary(confidence: 0.5).contains("with 50 %"))
  }

  /// Layers that are quantized are judged on others than they were calibrated with.
  @Test func othersMayJudge() throws {
    let graph = ModelBuilder.residual(seed: 4)
    let all = try source(graph)
    let split = try SampleSplit(all, wanted: 128, most: 128)
    #expect((split.calibrating, split.judging) == (24, 24..<32))
    let result = try Sensitivity.measure(
      graph, QuantizationSettings(), all.part(0..<24), judging: all.part(24..<32))
    #expect(result.answers.samples == 8 && result.calibrationSamples == 24 && result.isHeldBack)
    #expect(try !measure(graph).isHeldBack)
    let parts = try (all.part(24..<32).digest(0..<8), all.digest(24..<32))
    #expect(parts.0 == parts.1)
    #expect(try all.part(0..<24).shared(with: all.part(20..<32)) == 4)
  }
}
