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
      #expect(isFine == (few.cause == .none) && isFine == few.mend.isEmpty)
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
}
