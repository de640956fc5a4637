// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletData
import SwiftletFiles
import SwiftletFormats
import SwiftletGraph
import Testing
import _SwiftletTestSupport

/// Answers are judged on samples that nothing was calibrated with, and by figures that mean
/// something.
struct HeldBackTests {
  private func samples(_ count: Int, _ graph: Graph) throws -> [String: AnyTensor] {
    var generator = RandomGenerator(seed: 6)
    return [
      graph.inputs[0].name: .float32(
        Tensor(try graph.inputs[0].shape(batch: count), normalUsing: &generator))
    ]
  }

  /// Two layers that are worth factoring.
  private func wide() -> Graph {
    var generator = RandomGenerator(seed: 7)
    var graph = Graph(name: "wide")
    graph.inputs = [ValueInfo("x", .float32, [.symbolic("N"), .fixed(96)])]
    graph.outputs = [ValueInfo("y", .float32, [.symbolic("N"), .fixed(80)])]
    graph.initializers = [
      "v": .float32(Tensor([96, 80], normalUsing: &generator)),
      "w": .float32(Tensor([80, 80], normalUsing: &generator)),
      "b": .float32(Tensor([80], normalUsing: &generator)),
    ]
    graph.nodes = [
      Node("Gemm", name: "first", inputs: ["x", "v", "b"], outputs: ["a"]),
      Node("Relu", name: "relu", inputs: ["a"], outputs: ["r"]),
      Node("Gemm", name: "second", inputs: ["r", "w"], outputs: ["y"]),
    ]
    return graph
  }

  @Test(arguments: [
    (1, 512, 1, 0..<1, false), (2, 512, 1, 1..<2, true), (3, 512, 2, 2..<3, true),
    (4, 512, 3, 3..<4, true), (5, 512, 3, 3..<5, true), (12, 8, 8, 8..<12, true),
    (512, 512, 384, 384..<512, true), (513, 512, 384, 384..<513, true),
    (2000, 512, 512, 512..<2000, true),
  ])
  func aQuarterIsHeldBack(
    count: Int, wanted: Int, calibrating: Int, judging: Range<Int>, isHeldBack: Bool
  ) throws {
    var graph = Graph(name: "none")
    graph.inputs = [ValueInfo("x", .float32, [.symbolic("N"), .fixed(1)])]
    let source = try CalibrationSource(samples(count, graph), for: graph)
    let split = try SampleSplit(source, wanted: wanted)
    #expect((split.calibrating, split.judging) == (calibrating, judging))
    #expect(split.isHeldBack == isHeldBack)
    let nobody = try SampleSplit(source, wanted: nil)
    #expect(nobody.calibrating == 0 && nobody.judging == 0..<count && nobody.isHeldBack)
    if count > 3 {
      let half = try SampleSplit(source, wanted: wanted, share: 0.5)
      #expect(half.calibrating == min(wanted, (count + 1) / 2) && half.isHeldBack)
    }
    for share in [0, 1, 1.5, -.infinity, .nan] {
      #expect(throws: SwiftletError.self) {
        try SampleSplit(source, wanted: wanted, share: share)
      }
    }
  }

  /// No pass sees a sample that judges: those are all alike, and unlike the others.
  @Test(arguments: [Technique.quantize, .eigen, .svd])
  func passesDoNotSeeThem(technique: Technique) throws {
    let graph = wide()
    let name = graph.inputs[0].name
    var recipe = Recipe([CompressionStep(technique)])
    recipe.steps[0][FactorSettings.self]?.allocation = .ratio
    func compressed(_ judging: Float) throws -> UnlabelledResult {
      var all = try #require(samples(16, graph)[name]?.typed(as: Float.self)).elements
      let size = all.count / 16
      for index in 12 * size..<all.count { all[index] = judging * all[index] }
      let shape = try graph.inputs[0].shape(batch: 16)
      let context = CompressionContext(
        original: graph, samples: [name: .float32(Tensor(shape, all))])
      return try Compressor(context).runUnlabelled(recipe, times: false)
    }
    let (small, large) = (try compressed(1), try compressed(50))
    #expect(small.graph.initializers == large.graph.initializers)
    #expect(small.calibrationSamples == 12 && small.agreement?.samples == 4)
    #expect(small.agreement != large.agreement)
  }

  @Test func targetsNeedNoLabels() throws {
    let graph = wide()
    let context = CompressionContext(original: graph, samples: try samples(8, graph))
    let bytes = try ONNXFile.encode(graph).count
    var recipe = Recipe([CompressionStep(.eigen)])
    recipe.steps[0][FactorSettings.self]?.allocation = .ratio
    let result = try Compressor(context, goals: Goals(macs: .fraction(0.8)))
      .runUnlabelled(recipe, times: false)
    let macs = try [result.before, result.after].map { Double(try #require($0.macs)) }
    #expect(macs[1] <= 0.8 * macs[0])
    #expect(result.before.fileBytes == bytes)
    let ratio = try #require(result.recipe.steps[0][FactorSettings.self]).ratio
    #expect(ratio != 0.5 || result.recipe == recipe)
    let error = #expect(throws: SwiftletError.self) {
      try Compressor(context, goals: Goals(size: .absolute(10)))
        .runUnlabelled(recipe, times: false)
    }
    #expect(error?.description.contains("more than 10") == true)
  }

  @Test func errorsAreBounded() {
    func fraction(_ noise: Double, _ variance: Double, _ power: Double) -> Double {
      RelativeError.fraction(noise: noise, variance: variance, power: power)
    }
    #expect(fraction(0, 0, 0) == 0 && fraction(0, 4, 9) == 0)
    #expect(fraction(1, 4, 9) == 0.25)
    // Responses that do not vary: what is lost of their power.
    #expect(fraction(3, 0, 9) == 3.0 / 9 && fraction(3, -1e-14, 9) == 3.0 / 9)
    #expect(fraction(1, 1e-300, 0) == RelativeError.limit && fraction(1, 0, 0) == 1)
    #expect(fraction(1e300, 1e-5, 1) == 10 && fraction(.infinity, 1, 1) == 10)
    #expect(fraction(.nan, 1, 1) == 10)
  }

  /// To one sample responses do not vary.
  @Test(arguments: [Technique.eigen, .prune, .svd])
  func errorsToOneSampleAreBounded(technique: Technique) throws {
    let graph = wide()
    var recipe = Recipe([CompressionStep(technique)])
    recipe.steps[0][FactorSettings.self]?.allocation = .ratio
    for count in [1, 2] {
      let context = CompressionContext(original: graph, samples: try samples(count, graph))
      let layers = try Compressor(context).apply(recipe).layers
      let errors = layers.flatMap { [$0.damage, $0.plainDamage] }.compactMap { $0 }
      #expect(!errors.isEmpty)
      for error in errors {
        #expect(0...10 ~= error, "\(technique), \(count) samples: \(error)")
      }
    }
  }

  /// A manifest names files as seen from its folder, wherever it is read.
  @Test func manifestsAreReadAnywhere() throws {
    try withTemporaryFolder { folder in
      let graph = ModelBuilder.residual(seed: 4)
      let (model, output) = ("\(folder)/a.onnx", "\(folder)/b.onnx")
      for path in [model, output] { try ONNXFile.write(graph, to: path) }
      let inputs = try samples(4, graph)
      let context = CompressionContext(original: graph, samples: inputs)
      let result = try Compressor(context).runUnlabelled(
        Recipe([CompressionStep(.quantize)]), times: false)
      var use = Manifest.Use(data: "inputs:\(folder)/x.npz")
      use.fixed = ["rate=16000", "state=\(folder)/zeros.npy"]
      let manifest = Manifest(
        version: "1", threads: 1, seed: 0, model: try Manifest.File(model), use: use,
        samples: try Manifest.Samples(
          ImageDataset(arrays: InputArrays(inputs)), CalibrationSource(inputs, for: graph)),
        judges: nil,
        latencies: LatencyCache(), output: try Manifest.File(output),
        answers: UnlabelledReport(result, model: model, output: output, threads: 1))
      try manifest.write(to: "\(folder)/b.manifest.json")
      for name in ["x.npz", "zeros.npy"] { try AtomicFile.write("", to: "\(folder)/\(name)") }
      let text = String(decoding: try InputFile.read("\(folder)/b.manifest.json"), as: UTF8.self)
      #expect(text.contains(#""path" : "a.onnx""#) && text.contains(#""inputs:x.npz""#))
      let read = try Manifest(reading: "\(folder)/b.manifest.json")
      #expect(read.model == manifest.model && read.output == manifest.output)
      #expect(read.data == use.data && read.use == use)
      #expect(read.samples == manifest.samples && read.report == nil)
    }
  }

  /// Samples that are there twice are told: what judges is no longer what nothing was calibrated
  /// with.
  @Test(arguments: [0, 1, 3])
  func repeatedSamplesAreCounted(repeated: Int) throws {
    let graph = wide()
    let name = graph.inputs[0].name
    var elements = try #require(samples(12, graph)[name]?.typed(as: Float.self)).elements
    let size = elements.count / 12
    // The last ones judge, and repeat the first one.
    for sample in 12 - repeated..<12 {
      for place in 0..<size { elements[sample * size + place] = elements[place] }
    }
    let source = try CalibrationSource([name: .float32(Tensor([12, size], elements))], for: graph)
    let split = try SampleSplit(source, wanted: 512)
    #expect(split.judging == 9..<12 && split.repeated == repeated)
    #expect(split.isHeldBack == (repeated < 3))
    let context = CompressionContext(
      original: graph, samples: [name: .float32(Tensor([12, size], elements))], threads: .serial)
    let result = try Compressor(context).runUnlabelled(
      Recipe([CompressionStep(.quantize)]), times: false)
    #expect(result.repeated == repeated && result.isHeldBack == (repeated < 3))
    let report = UnlabelledReport(result, model: "m", output: "o", threads: 1)
    #expect(report.repeated == (repeated == 0 ? nil : repeated))
  }
}
