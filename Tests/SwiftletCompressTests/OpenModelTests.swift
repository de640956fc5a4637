// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletData
import SwiftletFiles
import SwiftletFormats
import SwiftletGraph
import SwiftletTraining
import Testing
import _SwiftletTestSupport

/// Models that leave extents open, or take a fixed number of images at once.
struct OpenModelTests {
  private let threads = Threads(count: 2)

  private func pictures(_ count: Int, size: Int = 12) throws -> ImageDataset {
    let (images, labels) = Pictures.make(count: count, classes: 4, size: size)
    return try ImageDataset(name: "pictures", images: images, labels: labels, classCount: 4)
  }

  /// Convolutions 1→32→64, mean over space, 4 classes.
  private func network(
    _ dimensions: [Dimension], flat: [Int64]? = nil, isNormalized: Bool = false
  ) -> Graph {
    var model = ModelBuilder(seed: 3, input: [1, 12, 12])
    model.graph.inputs[0].dimensions = dimensions
    model.conv("x", "a", (1, 32))
    model.node("Relu", ["a"], "b")
    model.conv("b", "c", (32, 64))
    if isNormalized {
      for name in ["s", "t", "m", "v"] {
        model.graph.initializers[name] = .float32(
          Tensor([64], repeating: name == "s" || name == "v" ? 1 : 0))
      }
      model.node("BatchNormalization", ["c", "s", "t", "m", "v"], "n")
    }
    model.node("Relu", [isNormalized ? "n" : "c"], "d")
    model.node("GlobalAveragePool", ["d"], "e")
    if let flat {
      model.graph.initializers["flat"] = .int64(Tensor([flat.count], flat))
      model.node("Reshape", ["e", "flat"], "f")
    } else {
      model.node("Flatten", ["e"], "f")
    }
    model.gemm("f", "y", (64, 4))
    model.graph.outputs = [ValueInfo("y", .float32, [dimensions[0], .fixed(4)])]
    return model.graph
  }

  private let open: [Dimension] = [
    .symbolic("N"), .fixed(1), .symbolic("height"), .symbolic("width"),
  ]

  // MARK: Extents

  @Test func openExtentsAreThoseOfLabelledPictures() throws {
    let data = try pictures(8, size: 20)
    let context = CompressionContext(
      original: network(open), training: data, validation: data, threads: threads)
    #expect(context.original.extents == ["height": 20, "width": 20])
    // 20×20 positions: 9·32 products in the first layer, 9·32·64 in the second; 64·4 in the last.
    #expect(try ModelCost(context.original).macs == 400 * (9 * 32 + 9 * 32 * 64) + 256)
  }

  @Test func openExtentsAreThoseOfArrays() throws {
    let samples: [String: AnyTensor] = ["x": .float32(Tensor([6, 1, 10, 14], repeating: 0.5))]
    let context = CompressionContext(original: network(open), samples: samples, threads: threads)
    #expect(context.original.extents == ["height": 10, "width": 14])
    var other = network(open)
    other.extents = ["height": 11]
    let wrong = CompressionContext(original: other, samples: samples, threads: threads)
    let error = #expect(throws: SwiftletError.self) {
      try Compressor(wrong).apply(Recipe([CompressionStep(.quantize)]))
    }
    #expect(error?.what == "height=11 was given, but the arrays have height=10")
  }

  @Test func extentsThatAreGivenResizePictures() throws {
    var graph = network(open)
    graph.extents = ["height": 16, "width": 24]
    let data = try pictures(4)
    let preprocessing = try Preprocessing.stored(in: graph, images: data)
    #expect(preprocessing.shape(batch: 2) == [2, 1, 16, 24])
    // A trained model keeps to what it was trained with.
    preprocessing.store(in: &graph)
    graph.extents = [:]
    #expect(try Preprocessing.stored(in: graph, images: data) == preprocessing)
    graph.extents = ["height": 17]
    #expect(throws: SwiftletError.self) { try Preprocessing.stored(in: graph, images: data) }
  }

  /// Where the images are too small for the model, they are as large as it needs them.
  @Test func picturesThatDoNotFitAreResized() throws {
    var graph = network(open)
    graph.nodes.removeAll { ["GlobalAveragePool", "Flatten", "Gemm"].contains($0.opType) }
    graph.nodes.append(
      Node(
        "AveragePool", name: "mean", inputs: ["d"], outputs: ["e"],
        attributes: ["kernel_shape": .ints([32, 32])]))
    graph.nodes.append(Node("Flatten", name: "flat", inputs: ["e"], outputs: ["f"]))
    graph.nodes.append(
      Node(
        "Gemm", name: "fc", inputs: ["f", "y.w"], outputs: ["y"], attributes: ["transB": .int(1)]))
    let preprocessing = try Preprocessing.stored(in: graph, images: pictures(2))
    #expect(preprocessing.shape(batch: 1) == [1, 1, 32, 32])
  }

  @Test(arguments: ["lowrank", "eigen", "prune", "distill", "quantize"])
  func techniquesTakeOpenExtentsFromTheData(name: String) throws {
    var step = CompressionStep(try #require(Technique(rawValue: name)))
    step.update { $0.calibrationImages = 16 }
    step[FactorSettings.self]?.cost = .macs
    step[PruneSettings.self]?.cost = .macs
    step[PruneSettings.self]?.ratio = 0.5
    let data = try pictures(24)
    let context = CompressionContext(
      original: network(open), training: data, validation: data.slice(0..<8), threads: threads)
    let (graph, layers) = try Compressor(context).apply(Recipe([step]))
    #expect(layers.contains { $0.changed })
    #expect(graph.inputs[0].dimensions == open)
    #expect(graph.extents == ["height": 12, "width": 12])
  }

  // MARK: Fixed batches

  private func fixed(_ batch: Int) -> [Dimension] { [batch, 1, 12, 12].map(Dimension.fixed) }

  @Test(arguments: [1, 4])
  func fixedBatchesAreJudgedOnAllImages(batch: Int) throws {
    let data = try pictures(10)
    let graph = network(fixed(batch), flat: [Int64(batch), -1])
    var free = graph
    free.inputs[0].dimensions[0] = .symbolic("N")
    free.outputs[0].dimensions[0] = .symbolic("N")
    free.initializers["flat"] = .int64(Tensor([2], [0, -1]))
    let found = try Evaluation.judge(graph, on: data, threads: threads)
    let wanted = try Evaluation.judge(free, on: data, threads: threads)
    #expect(found.choices == wanted.choices && found.evaluation.images == 10)
    #expect(abs(found.evaluation.loss - wanted.evaluation.loss) < 1e-6)
    #expect(try ModelCost(graph).macs == ModelCost(free).macs)
  }

  @Test(arguments: [1, 4], ["prune", "distill", "quantize", "lowrank"])
  func fixedBatchesAreCompressed(batch: Int, name: String) throws {
    var step = CompressionStep(try #require(Technique(rawValue: name)))
    step.update { $0.calibrationImages = 10 }
    step[FactorSettings.self]?.cost = .macs
    step[DistillationSettings.self]?.hints = 1
    step[QuantizationSettings.self]?.qatEpochs = 1
    let data = try pictures(18)
    let context = CompressionContext(
      original: network(fixed(batch), flat: [Int64(batch), -1]), training: data,
      validation: data.slice(0..<10), threads: threads)
    let (graph, layers) = try Compressor(context).apply(Recipe([step]))
    #expect(layers.contains { $0.changed })
    #expect(graph.inputs[0].dimensions == fixed(batch))
    #expect(graph.outputs[0].dimensions == [.fixed(batch), .fixed(4)])
  }

  @Test func openedBatchesAnswerAsBefore() throws {
    let flat = network(fixed(4), flat: [4, -1])
    let freed = try #require(flat.withOpenBatch())
    let interpreter = try Interpreter(freed)
    #expect(try interpreter.infer(interpreter.inputShapes(batch: 7))["y"]?.shape == [7, 4])
    // Half of the batch in each row: the number is part of what the model computes.
    var mixing = network(fixed(4), flat: [2, -1])
    mixing.initializers["y.w"] = .float32(Tensor([4, 128], repeating: 0.1))
    mixing.outputs[0].dimensions[0] = .fixed(2)
    #expect(mixing.withOpenBatch() == nil)
  }

  /// Trained as with an open batch, bit for bit.
  @Test func trainingOpensTheBatch() throws {
    let data = try pictures(12)
    var settings = TrainingSettings()
    (settings.epochs, settings.batch) = (1, 6)
    func trained(_ graph: Graph) throws -> Graph {
      var trainer = try Trainer(
        graph, training: data, validation: data, settings: settings, threads: threads)
      return try trainer.run().graph
    }
    let one = try trained(network(fixed(1), flat: [1, -1], isNormalized: true))
    let any = try trained(
      network([.symbolic("N")] + fixed(1).dropFirst(), flat: [0, -1], isNormalized: true))
    #expect(try one.weight("a.w").elements == any.weight("a.w").elements)
    #expect(try one.weight("m").elements == any.weight("m").elements)
    #expect(one.inputs[0].dimensions == fixed(1))
  }

  /// Where a node needs the number, images go in shards of it, and with batch normalization not at
  /// all.
  @Test func batchesThatCannotBeOpened() throws {
    func rigid(isNormalized: Bool) -> Graph {
      var graph = network(fixed(2), isNormalized: isNormalized)
      graph.initializers["places"] = .int64(Tensor([2], [0, 1]))
      let place = graph.nodes.firstIndex { $0.opType == "Flatten" }!
      graph.nodes.insert(
        Node(
          "Gather", name: "pick", inputs: ["e", "places"], outputs: ["picked"],
          attributes: ["axis": .int(0)]),
        at: place)
      graph.nodes[place + 1].inputs[0] = "picked"
      return graph
    }
    let data = try pictures(9)
    var settings = TrainingSettings()
    (settings.epochs, settings.batch) = (1, 5)
    #expect(rigid(isNormalized: false).withOpenBatch() == nil)
    var trainer = try Trainer(
      rigid(isNormalized: false), training: data, validation: data, settings: settings,
      threads: threads)
    let history = try trainer.run().history
    #expect(history.epochs[0].trainingTop1 <= 1 && history.epochs[0].trainingLoss.isFinite)
    let error = #expect(throws: SwiftletError.self) {
      try Trainer(
        rigid(isNormalized: true), training: data, validation: data, settings: settings,
        threads: threads)
    }
    #expect(error?.what.contains("exactly 2 image") == true)
  }

  // MARK: Stages

  private func context(_ data: ImageDataset, stop: Int = .max) -> CompressionContext {
    let steps = Counter()
    return CompressionContext(
      original: network(fixed(1), flat: [1, -1]), training: data, validation: data.slice(0..<8),
      threads: threads
    ) { progress in
      if progress.task.hasPrefix("epoch"), steps.next() > stop { throw CancellationError() }
    }
  }

  private final class Counter: @unchecked Sendable {
    private var value = 0
    func next() -> Int {
      value += 1
      return value
    }
  }

  private func origin(_ context: CompressionContext) throws -> String {
    let images = try [context.training, context.validation].map { try Digest.sha256($0) }
    return try Manifest.origin(
      context, data: images.joined(separator: " "), use: Manifest.Use(data: nil), version: "1")
  }

  @Test func aStudentOfOtherContentIsTaughtAfresh() throws {
    try withTemporaryFolder { folder in
      let data = try pictures(16)
      let path = "\(folder)/student.onnx"
      var student = network(fixed(1), flat: [1, -1])
      try ONNXFile.write(student, to: path)
      let step = CompressionStep.distill { $0.student = path }
      let context = context(data)
      let store = StageStore(
        folder: "\(folder)/stages", origin: try origin(context))
      func made() throws -> Graph {
        try Compressor(context, stages: store).apply(Recipe([step])).graph
      }
      let first = try made()
      #expect(try made().initializers == first.initializers)
      #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder)/stages").count == 2)
      student.initializers["a.w"] = .float32(Tensor([32, 1, 3, 3], repeating: 0.2))
      try ONNXFile.write(student, to: path)
      #expect(try made().initializers != first.initializers)
      #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder)/stages").count == 4)
    }
  }

  @Test func originsNameAllThatMatters() throws {
    let data = try pictures(16)
    let own = try origin(context(data))
    #expect(try origin(context(data)) == own)
    var weights = network(fixed(1), flat: [1, -1])
    weights.initializers["a.w"] = .float32(Tensor([32, 1, 3, 3], repeating: 0.2))
    var sized = network(open)
    sized.extents = ["height": 30]
    for (graph, judges) in [
      (weights, data.slice(0..<8)), (sized, data.slice(0..<8)), (network(open), data.slice(0..<8)),
      (network(fixed(1), flat: [1, -1]), data.slice(0..<7)),
    ] {
      let other = CompressionContext(
        original: graph, training: data, validation: judges, threads: threads)
      #expect(try origin(other) != own)
    }
  }

  /// Stopped in the middle of an epoch, and continued: the same bits as without.
  @Test(arguments: ["distill", "quantize"])
  func trainingGoesOnWithinAStep(name: String) throws {
    try withTemporaryFolder { folder in
      let data = try pictures(32)
      var step = CompressionStep(try #require(Technique(rawValue: name)))
      step.update { $0.calibrationImages = 16 }
      step[DistillationSettings.self]?.epochs = 2
      step[DistillationSettings.self]?.batch = 8
      step[QuantizationSettings.self]?.qatEpochs = 2
      let recipe = Recipe([step])
      let whole = try Compressor(context(data)).apply(recipe).graph
      let store = StageStore(
        folder: "\(folder)/stages", origin: try origin(context(data)))
      // A batch of QAT is all of the images.
      let stop = name == "quantize" ? 1 : 6
      #expect(throws: CancellationError.self) {
        try Compressor(context(data, stop: stop - 1), stages: store).apply(recipe)
      }
      let files = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/stages")
      #expect(files.count == 1 && files[0].hasSuffix(".checkpoint"))
      let rest = Counter()
      let last = CompressionContext(
        original: network(fixed(1), flat: [1, -1]), training: data, validation: data.slice(0..<8),
        threads: threads
      ) { progress in
        if progress.task.hasPrefix("epoch") { _ = rest.next() }
      }
      let again = try Compressor(last, stages: store).apply(recipe).graph
      #expect(rest.next() - 1 == (name == "quantize" ? 2 : 8) - stop)
      #expect(try ONNXFile.encode(again) == ONNXFile.encode(whole))
      let left = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/stages")
      #expect(left.allSatisfy { !$0.hasSuffix(".checkpoint") })
    }
  }
}
