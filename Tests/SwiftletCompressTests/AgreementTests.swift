// SPDX-License-Identifier: Apache-2.0

import Foundation
import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletGraph
import SwiftletRuntime
import Testing

struct AgreementTests {
  private func normal(_ shape: Shape, seed: UInt64) -> Tensor<Float> {
    var generator = RandomGenerator(seed: seed)
    return Tensor(shape, normalUsing: &generator)
  }

  private func scalar(_ name: String, _ value: Float, _ model: inout ModelBuilder) {
    model.graph.initializers[name] = .float32(Tensor(.scalar, [value]))
  }

  /// y = g / ‖g‖: where 8 bits make g 0, 0 / 0 is NaN.
  private func normalizing() -> Graph {
    var model = ModelBuilder(seed: 3, input: [6])
    model.weights("w", [6, 8])
    model.node("MatMul", ["x", "w"], "g")
    model.node("ReduceL2", ["g"], "n", ["axes": .ints([1])])
    model.node("Div", ["g", "n"], "y")
    model.output("y", [8])
    return model.graph
  }

  /// Rows of which the first ones vanish beside the others.
  private func rows(tiny: Int, of count: Int) -> [String: AnyTensor] {
    let x = normal([count, 6], seed: 5)
    return [
      "x": .float32(
        Tensor(x.shape, x.elements.enumerated().map { $0 < tiny * 6 ? $1 * 1e-4 : $1 }))
    ]
  }

  @Test func distancesOfNumbersThatAreNotFinite() {
    func ratio(_ a: [Float], _ b: [Float]) -> SignalToNoise {
      var ratio = SignalToNoise()
      ratio.add(Tensor([a.count], a), Tensor([b.count], b))
      return ratio
    }
    #expect(ratio([3, 4], [3, 4]).decibels == 200)
    // 25 over 0.25
    #expect(abs(ratio([3, 4], [3, 4.5]).decibels - 20) < 1e-9)
    let broken = ratio([3, 4, 5], [.nan, 4, .infinity])
    #expect(broken.decibels == -.infinity && broken.broken == 2 && broken.undefined == 0)
    #expect(broken.finiteDecibels == 200)
    let partial = ratio([.infinity, .nan, 3, 4], [.infinity, 1, 3, 4.5])
    #expect(partial.undefined == 2 && abs(partial.decibels - 20) < 1e-9)
    #expect(ratio([.nan], [.nan]).decibels == -.infinity)
    #expect(ratio([0, 0], [1, 1]).decibels == -200)
    // Nothing is worse, and sums of it are numbers.
    let worst = SignalToNoise.noiseToSignal(-.infinity)
    #expect(worst.isFinite && worst > SignalToNoise.noiseToSignal(-200))
  }

  @Test func answersThatBreakAreCountedAndTheirLayerNamed() throws {
    let graph = normalizing()
    let source = try CalibrationSource(rows(tiny: 10, of: 16), for: graph)
    let quantized = try StaticQuantization(settings: QuantizationSettings()).apply(
      to: graph, source
    ).graph
    let agreement = try Agreement.measure(graph, quantized, source)
    #expect(agreement.decibels == -.infinity && agreement.brokenBy == "Div 'Div y'")
    #expect(agreement.outputs[0].broken == 80 && agreement.outputs[0].elements == 128)
    #expect(agreement.outputs[0].finiteDecibels > 30)
    #expect(agreement.noiseToSignal > 1e20)
    // Those that distances are not taken of count too.
    #expect(
      try Agreement.measure(graph, quantized, source, judging: 12..<16).decibels == -.infinity)
    // A model's own are no fault of the other's.
    #expect(try Agreement.measure(quantized, quantized, source).outputs[0].undefined == 80)
    #expect(try Agreement.measure(quantized, quantized, source).decibels == 200)
    let sensitivity = try Sensitivity.measure(graph, QuantizationSettings(), source)
    #expect(sensitivity.layers[0].answers == -.infinity && sensitivity.layers[0].cause != .none)
  }

  @Test func filesHaveNumbersOrNull() throws {
    let graph = normalizing()
    let source = try CalibrationSource(rows(tiny: 10, of: 16), for: graph)
    let sensitivity = try Sensitivity.measure(graph, QuantizationSettings(), source)
    // Throws where a number is not finite.
    let text = try JSONEncoder().encode(sensitivity)
    let document = try #require(try JSONSerialization.jsonObject(with: text) as? [String: Any])
    let layer = try #require((document["layers"] as? [[String: Any]])?.first)
    #expect(layer["answers"] is NSNull && layer["weightDecibels"] is Double)
    let answers = try #require(document["answers"] as? [String: Any])
    let output = try #require((answers["outputs"] as? [[String: Any]])?.first)
    #expect(output["broken"] as? Int ?? 0 > 0 && output["decibels"] is NSNull)
    let again = try JSONDecoder().decode(Sensitivity.self, from: text)
    #expect(again.layers[0].answers == -.infinity && again.answers == sensitivity.answers)
  }

  /// An even output and one in which an exponential magnifies errors, classes, and labels.
  private func manyOutputs() -> Graph {
    var model = ModelBuilder(seed: 8, input: [6])
    model.weights("w", [6, 8])
    scalar("big", 40, &model)
    model.node("MatMul", ["x", "w"], "y")
    model.node("ArgMax", ["y"], "label", ["axis": .int(1)])
    model.node("Mul", ["y", "big"], "m")
    model.node("Sin", ["m"], "z")
    model.node("Reshape", ["z", "shape"], "image")
    model.graph.initializers["shape"] = .int64(Tensor([3], [-1, 4, 2]))
    model.graph.outputs = [
      ValueInfo("label", .int64, [.symbolic("N"), .fixed(1)]),
      ValueInfo("y", .float32, [.symbolic("N"), .fixed(8)]),
      ValueInfo("image", .float32, [.symbolic("N"), .fixed(4), .fixed(2)]),
    ]
    return model.graph
  }

  /// The indices, or the largest three, of the products of x with two matrices that differ.
  private func ranked(_ node: Node, _ outputs: [ValueInfo], _ seed: UInt64) -> Graph {
    var model = ModelBuilder(seed: 11, input: [16])
    model.weights("w", [16, 8])
    var other = ModelBuilder(seed: seed, input: [16])
    other.weights("v", [16, 8], size: 0.05)
    model.graph.initializers["v"] = other.graph.initializers["v"]
    model.graph.initializers["k"] = .int64(Tensor([1], [3]))
    model.node("Add", ["w", "v"], "sum")
    model.node("MatMul", ["x", "sum"], "s")
    model.graph.nodes.append(node)
    model.graph.outputs = outputs
    model.graph.removeUnusedInitializers()
    return model.graph
  }

  /// Answers that are integers alone have no decibels: the share that is equal is told.
  @Test func integersAreEqualOrNot() throws {
    let node = Node(
      "ArgMax", name: "label", inputs: ["s"], outputs: ["y"], attributes: ["axis": .int(1)])
    let output = ValueInfo("y", .int64, [.symbolic("N"), .fixed(1)])
    let (one, two) = (ranked(node, [output], 1), ranked(node, [output], 2))
    var generator = RandomGenerator(seed: 3)
    let x = Tensor<Float>([200, 16], normalUsing: &generator)
    let source = try CalibrationSource(["x": .float32(x)], for: one)
    let agreement = try Agreement.measure(one, two, source)
    let labels = try [one, two].map { graph in
      try Session(graph).run(["x": .float32(x)])["y"]!.require(Int64.self).elements
    }
    let equal = Double(zip(labels[0], labels[1]).count { $0 == $1 }) / 200
    #expect(equal < 1 && agreement.equal == equal && agreement.top1 == nil)
    #expect(try Agreement.measure(one, one, source).equal == 1)
    let verdict = CompressionVerdict(
      layers: [], bytes: (10, 5), speedup: nil, decibels: agreement.decibels,
      equal: agreement.equal, drop: nil)
    #expect(verdict.text.contains("% of the answers equal") && !verdict.text.contains("dB"))
  }

  /// The first of sorted values is the largest by definition; its position says nothing.
  @Test func sortedValuesHaveNoFirstChoice() throws {
    let node = Node("TopK", name: "top", inputs: ["s", "k"], outputs: ["y", "i"])
    let outputs = [
      ValueInfo("y", .float32, [.symbolic("N"), .fixed(3)]),
      ValueInfo("i", .int64, [.symbolic("N"), .fixed(3)]),
    ]
    let (one, two) = (ranked(node, outputs, 1), ranked(node, outputs, 2))
    var generator = RandomGenerator(seed: 3)
    let source = try CalibrationSource(
      ["x": .float32(Tensor([32, 16], normalUsing: &generator))], for: one)
    let agreement = try Agreement.measure(one, two, source)
    #expect(agreement.top1 == nil && agreement.outputs.allSatisfy { $0.top1 == nil })
    #expect(agreement.equal == nil && agreement.decibels.isFinite)
  }

  @Test func everyOutputIsJudgedTheWorstFirst() throws {
    let graph = manyOutputs()
    var source = try CalibrationSource(rows(tiny: 0, of: 64), for: graph)
    let quantized = try StaticQuantization(settings: QuantizationSettings()).apply(
      to: graph, source
    ).graph
    let agreement = try Agreement.measure(graph, quantized, source)
    #expect(agreement.outputs.map(\.name) == ["image", "y", "label"])
    let (image, scores, label) = (
      agreement.outputs[0], agreement.outputs[1], agreement.outputs[2]
    )
    #expect(agreement.decibels == image.decibels && image.decibels < 15)
    #expect(scores.decibels > 35)
    // First choices are of samples × classes alone.
    #expect(image.top1 == nil && label.top1 == nil && scores.top1 ?? 0 > 0.9)
    #expect(label.equal == scores.top1 && scores.equal == nil)
    source.outputs = ["y"]
    let chosen = try Agreement.measure(graph, quantized, source)
    #expect(chosen.decibels == scores.decibels && chosen.outputs == [scores])
    source.outputs = ["label"]
    // 1 − equal counts as noise.
    let labels = try Agreement.measure(graph, quantized, source)
    let noise = 1 - (label.equal ?? 0)
    #expect(noise == 0 ? labels.decibels == 200 : abs(labels.noiseToSignal - noise) < 1e-9)
    source.outputs = ["heat"]
    let error = #expect(throws: SwiftletError.self) {
      try Agreement.measure(graph, quantized, source)
    }
    #expect(error?.description.contains("no output 'heat'") == true)
  }

  /// The cosine of each sample's angle, as a mean over samples.
  @Test func cosinesCompareDirections() throws {
    func mean(_ a: [Float], _ b: [Float], _ shape: Shape, samples: Int? = nil) -> Double? {
      var sum = CosineSum()
      sum.add(Tensor(shape, a), Tensor(shape, b), samples: samples ?? shape[0])
      return sum.mean
    }
    #expect(mean([3, 4, 1, 7], [3, 4, 1, 7], [2, 2]) == 1)
    // 24/25, and opposite directions.
    #expect(abs(mean([3, 4], [4, 3], [1, 2])! - 0.96) < 1e-12)
    #expect(abs(mean([3, 4, 1, 2], [4, 3, -2, -4], [2, 2])! + 0.02) < 1e-12)
    // A factor does not matter; a zero vector has no direction.
    #expect(abs(mean([1, 2, 2], [10, 20, 20], [1, 3])! - 1) < 1e-12)
    #expect(mean([0, 0], [0, 0], [1, 2]) == 1 && mean([0, 0], [1, 0], [1, 2]) == 0)
    // Of the original not finite: left out; only of the other: no agreement.
    #expect(mean([.nan, 1, 3, 4], [1, 1, 3, 4], [2, 2]) == 1)
    #expect(mean([1, 1, 3, 4], [.infinity, 1, 3, 4], [2, 2]) == 0.5)
    #expect(mean([.nan, 1], [1, 1], [1, 2]) == nil)
    // Not a vector for each sample.
    #expect(mean([1, 2], [1, 2], [2, 1]) == nil && mean([1, 2], [1, 2], [2]) == nil)
    #expect(mean([1, 2, 3, 4], [1, 2, 3, 4], [2, 2], samples: 3) == nil)
    // Samples may be matrices.
    #expect(mean([1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 2]) == 1)
  }

  @Test func cosinesAreOfTheWorstOutput() throws {
    let graph = manyOutputs()
    let source = try CalibrationSource(rows(tiny: 0, of: 64), for: graph)
    let quantized = try StaticQuantization(settings: QuantizationSettings()).apply(
      to: graph, source
    ).graph
    let agreement = try Agreement.measure(graph, quantized, source)
    let cosines = agreement.outputs.map(\.cosine)
    #expect(cosines.count == 3 && cosines[2] == nil)
    #expect(agreement.cosine == cosines.compactMap { $0 }.min())
    let (image, scores) = (try #require(cosines[0]), try #require(cosines[1]))
    #expect(scores > 0.999 && image < scores)
    #expect(try Agreement.measure(graph, graph, source).cosine == 1)
    // A manifest of an older version has none.
    var json = try #require(
      try JSONSerialization.jsonObject(with: JSONEncoder().encode(agreement)) as? [String: Any])
    json["cosine"] = nil
    json["outputs"] = (json["outputs"] as! [[String: Any]]).map { $0.filter { $0.key != "cosine" } }
    let old = try JSONDecoder().decode(
      Agreement.self, from: JSONSerialization.data(withJSONObject: json))
    #expect(agreement != old && agreement.isSame(as: old) && agreement.isSame(as: agreement))
    #expect(!old.isSame(as: agreement))
  }
}
