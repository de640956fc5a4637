// SPDX-License-Identifier: Apache-2.0

import CSwiftletABI
import Glibc
import OrderedCollections
import SwiftletCore
import SwiftletFiles
import SwiftletFormats
import SwiftletGraph
import Testing
import _SwiftletTestSupport

/// Samples, metrics and progress of the calling program.
struct SamplesTests {
  /// Ten samples of four scores: sample i is of class i mod 4 for a model that returns them. Seven
  /// labels say so.
  private static let count = 10
  private static let rows = Memory<Float>(
    (0..<count).flatMap { sample in
      (0..<4).map { score in score == sample % 4 ? Float(1) : 0 }
    })
  private static let labels = Memory<Int64>([0, 1, 2, 3, 0, 1, 2, 0, 1, 2])
  private static let shape = Memory<Int64>([10, 4])

  /// What the callbacks saw, and when they stop.
  private final class Calls {
    var filled = 0
    var scored: [Int64] = []
    var labels: [Int64] = []
    var progress = 0
    var stops = false
  }

  /// The arguments of a call, with what they point to.
  private final class Arguments {
    let calls = Calls()
    let array = Memory<swiftlet_array>([swiftlet_array()])
    var samples = swiftlet_samples()
    var metric = swiftlet_metric()

    var context: UnsafeMutableRawPointer { Unmanaged.passUnretained(calls).toOpaque() }

    /// - Parameter isFilled: Whether a callback writes the samples.
    init(isFilled: Bool = false) {
      array[0].dtype = SWIFTLET_FLOAT32
      (array[0].rank, array[0].shape) = (2, UnsafePointer(SamplesTests.shape.start))
      samples.struct_size = MemoryLayout<swiftlet_samples>.size
      (samples.count, samples.array_count) = (SamplesTests.count, 1)
      samples.arrays = UnsafePointer(array.start)
      samples.labels = UnsafePointer(SamplesTests.labels.start)
      metric.struct_size = MemoryLayout<swiftlet_metric>.size
      (metric.is_fraction, metric.context) = (1, context)
      metric.score = { batch, scores, count, context in
        let calls = Unmanaged<Calls>.fromOpaque(context!).takeUnretainedValue()
        let batch = batch!.pointee
        let output = batch.outputs[0].value
        let data = output.data!.assumingMemoryBound(to: Float.self)
        guard String(cString: batch.outputs[0].name) == "y", output.rank == 2,
          output.shape[0] == batch.count, count!.pointee == batch.count
        else { return 1 }
        for row in 0..<batch.count {
          calls.scored.append(batch.samples[row])
          calls.labels.append(batch.labels[row])
          scores![row] = data[row * 4 + Int(batch.labels[row])] == 1 ? 1 : 0
        }
        return calls.stops ? 1 : 0
      }
      guard isFilled else {
        array[0].data = UnsafeRawPointer(SamplesTests.rows.start)
        array[0].byte_count = SamplesTests.rows.byteCount
        return
      }
      samples.context = context
      samples.fill = { array, first, count, target, context in
        let calls = Unmanaged<Calls>.fromOpaque(context!).takeUnretainedValue()
        guard array == 0, first + count <= SamplesTests.count, !calls.stops else { return 1 }
        calls.filled += count
        target!.copyMemory(
          from: SamplesTests.rows.start + first * 4, byteCount: count * 4 * MemoryLayout<Float>.size
        )
        return 0
      }
    }

    func evaluate(
      _ model: String, ownMetric: Bool = false, data: String? = nil,
      _ change: (inout swiftlet_evaluate_options) -> Void = { _ in }
    ) -> (status: swiftlet_status, json: String) {
      withUnsafePointer(to: samples) { samples in
        withUnsafePointer(to: metric) { metric in
          var options = swiftlet_evaluate_options()
          options.struct_size = MemoryLayout<swiftlet_evaluate_options>.size
          (options.threads, options.samples) = (1, samples)
          if ownMetric { options.own_metric = metric }
          change(&options)
          var text: UnsafeMutablePointer<CChar>?
          let status = swiftlet_evaluate(
            model, data, &options,
            { task, _, _, _, context in
              let calls = Unmanaged<Calls>.fromOpaque(context!).takeUnretainedValue()
              calls.progress += 1
              return task != nil && !calls.stops ? 0 : 1
            }, context, &text)
          defer { swiftlet_string_free(text) }
          return (status, text.map { String(cString: $0) } ?? "")
        }
      }
    }
  }

  private func withModel(_ graph: Graph, _ body: (_ path: String) throws -> Void) throws {
    try withTemporaryFolder { folder in
      try ONNXFile.write(graph, to: "\(folder)/m.onnx")
      try body("\(folder)/m.onnx")
    }
  }

  /// y = x, of four scores.
  private var scores: Graph {
    model(
      [value("x", .float32, .symbolic("N"), .fixed(4))], [node("Identity", ["x"], "y")], [:],
      value("y", .float32, .symbolic("N"), .fixed(4)))
  }

  @Test(arguments: [false, true]) func samplesAreEvaluated(isFilled: Bool) throws {
    try withModel(scores) { path in
      let arguments = Arguments(isFilled: isFilled)
      let (status, json) = arguments.evaluate(path)
      expectOK(status)
      #expect(json.contains("\"score\":0.7"), "\(json)")
      #expect(json.contains("\"top1\":0.7"), "\(json)")
      #expect(arguments.calls.progress > 0)
      #expect(arguments.calls.filled >= (isFilled ? 10 : 0))
    }
  }

  @Test(arguments: [false, true]) func aMetricIsCalled(isFilled: Bool) throws {
    try withModel(scores) { path in
      let arguments = Arguments(isFilled: isFilled)
      let (status, json) = arguments.evaluate(path, ownMetric: true)
      expectOK(status)
      #expect(json.contains("\"score\":0.7"), "\(json)")
      #expect(arguments.calls.scored == Array(0..<10))
      #expect(arguments.calls.labels == Self.labels.elements)
      // One score for a batch.
      arguments.metric.score = { _, scores, count, _ in
        scores![0] = 0.25
        count!.pointee = 1
        return 0
      }
      #expect(arguments.evaluate(path, ownMetric: true).json.contains("\"score\":0.25"))
      arguments.metric.score = { _, _, count, _ in
        count!.pointee = 3
        return 0
      }
      expect(arguments.evaluate(path, ownMetric: true).status, SWIFTLET_USAGE, "3 scores for 10")
    }
  }

  @Test func callbacksStopTheCall() throws {
    try withModel(scores) { path in
      for (isFilled, ownMetric) in [(true, false), (false, true), (false, false)] {
        let arguments = Arguments(isFilled: isFilled)
        arguments.calls.stops = true
        expect(
          arguments.evaluate(path, ownMetric: ownMetric).status, SWIFTLET_CANCELLED, "cancelled")
        // Nothing is called back after that.
        #expect(arguments.calls.progress == (isFilled || ownMetric ? 0 : 1))
      }
    }
  }

  @Test func mistakesAreFound() throws {
    try withModel(scores) { path in
      func expectRefusal(
        _ fragment: String, _ status: swiftlet_status = SWIFTLET_USAGE, data: String? = nil,
        _ change: (Arguments) -> Void
      ) {
        let arguments = Arguments(isFilled: true)
        change(arguments)
        expect(arguments.evaluate(path, ownMetric: true, data: data).status, status, fragment)
      }
      expectRefusal("sizeof") { $0.samples.struct_size = 3 }
      expectRefusal("sizeof") { $0.metric.struct_size = 1 << 40 }
      expectRefusal("count is 0") { $0.samples.count = 0 }
      expectRefusal("class_count is -1") { $0.samples.class_count = -1 }
      expectRefusal("array_count is -1") { $0.samples.array_count = -1 }
      expectRefusal("has no arrays") { $0.samples.array_count = 0 }
      expectRefusal("has no arrays") { $0.samples.arrays = nil }
      expectRefusal("data and fill are NULL") { $0.samples.fill = nil }
      expectRefusal("first extent") { $0.samples.count = 9 }
      expectRefusal("first extent") { $0.array[0].rank = 0 }
      expectRefusal("shape is NULL") { $0.array[0].shape = nil }
      expectRefusal("swiftlet_dtype") { $0.array[0].dtype = swiftlet_dtype(99) }
      expectRefusal("share bytes", SWIFTLET_UNSUPPORTED) { $0.array[0].dtype = SWIFTLET_INT4 }
      expectRefusal("score is NULL") { $0.metric.score = nil }
      expectRefusal("data and options.samples", data: "fashion-mnist") { _ in }
      expectRefusal("no array 'x'", SWIFTLET_BAD_INPUT) {
        $0.array[0].input = UnsafePointer(strdup("z"))
      }
      expectRefusal("bytes are given as") {
        $0.array[0].data = UnsafeRawPointer(Self.rows.start)
        $0.array[0].byte_count = 5
      }
      for size in [40, -1] {
        expectRefusal("bytes are given as") { $0.array[0].byte_count = size }
      }
      expectRefusal("aligned") {
        $0.array[0].data = UnsafeRawPointer(Self.rows.start) + 1
        $0.array[0].byte_count = Self.rows.byteCount
      }
      let negative = Memory<Int64>([-1] + Array(repeating: 0, count: 9))
      expectRefusal("label -1", SWIFTLET_BAD_INPUT) {
        $0.samples.labels = UnsafePointer(negative.start)
      }
      let arguments = Arguments()
      expect(arguments.evaluate(path) { $0.batch = -1 }.status, SWIFTLET_USAGE, "batch is -1")
      expect(
        arguments.evaluate(path) { $0.output_count = 2 }.status, SWIFTLET_USAGE, "outputs is NULL")
      expect(arguments.evaluate(path) { $0.samples = nil }.status, SWIFTLET_USAGE, "data is NULL")
      expect(
        arguments.evaluate(path) { $0.metric = UnsafePointer(strdup("top7")) }.status,
        SWIFTLET_BAD_INPUT, "top7")
      expect(
        arguments.evaluate(path) { $0.skip_damaged = 1 }.status, SWIFTLET_USAGE,
        "skip_damaged is for pictures in files")
      expect(
        arguments.evaluate(path) { $0.loader_memory = .max }.status, SWIFTLET_USAGE,
        "loader_memory is 18446744073709551615")
      expect(
        arguments.evaluate(path) { $0.extent_count = 2 }.status, SWIFTLET_USAGE,
        "extents is NULL, but there are 2")
    }
  }

  @Test func extentsAreChecked() throws {
    try withModel(scores) { path in
      func evaluate(_ name: String?, _ size: Int64, count: Int = 1) -> swiftlet_status {
        let text = name.map { strdup($0)! }
        defer { free(text) }
        let extent = Memory([swiftlet_extent(name: text, size: size)])
        return Arguments().evaluate(path) {
          ($0.extents, $0.extent_count) = (UnsafePointer(extent.start), count)
        }.status
      }
      for name in ["N", "x[0]"] { expectOK(evaluate(name, 3)) }
      expectOK(evaluate(nil, 0, count: 0))
      expect(evaluate("N", 0), SWIFTLET_USAGE, "options.extents[0].size, of 'N', is 0")
      expect(evaluate("N", 1 << 25), SWIFTLET_USAGE, "use 1 to 16777216")
      expect(evaluate(nil, 3), SWIFTLET_USAGE, "options.extents[0].name is NULL")
      expect(evaluate("N", 3, count: -1), SWIFTLET_USAGE, "extent_count is -1")
      expect(evaluate("M", 3), SWIFTLET_BAD_INPUT, "no input has an open extent 'M'")
      #expect(lastError.contains("options.extents") && lastError.contains("use one of N"))
    }
  }

  /// Programs that were built with the first version of the struct, which was shorter.
  @Test func olderOptionsOfEvaluationAreTaken() throws {
    try withModel(scores) { path in
      let (status, json) = Arguments().evaluate(path) {
        ($0.struct_size, $0.skip_damaged, $0.extent_count) = (88, 1, 5)
      }
      expectOK(status)
      #expect(!json.contains("damaged"))
      for size in [8, 87, MemoryLayout<swiftlet_evaluate_options>.size + 8] {
        let (status, _) = Arguments().evaluate(path) { $0.struct_size = size }
        expect(status, SWIFTLET_USAGE, "sizeof")
      }
    }
  }

  // MARK: Compression

  /// Two fully connected layers on four inputs.
  private var layers: Graph {
    var generator = RandomGenerator(seed: 3)
    func weights(_ shape: Shape) -> AnyTensor { .float32(Tensor(shape, normalUsing: &generator)) }
    return model(
      [value("x", .float32, .symbolic("N"), .fixed(4))],
      [
        node("Gemm", ["x", "v"], "a"), node("Relu", ["a"], "b"), node("Gemm", ["b", "w"], "y"),
      ], ["v": weights([4, 32]), "w": weights([32, 4])],
      value("y", .float32, .symbolic("N"), .fixed(4)))
  }

  private func compress(
    _ arguments: Arguments, _ model: String, _ output: String, ownMetric: Bool = false,
    _ change: (inout swiftlet_compress_options) -> Void = { _ in }
  ) -> (status: swiftlet_status, json: String) {
    withUnsafePointer(to: arguments.samples) { samples in
      withUnsafePointer(to: arguments.metric) { metric in
        let (technique, settings) = (strdup("svd"), strdup("{ratio: 0.5}"))
        defer {
          free(technique)
          free(settings)
        }
        var options = swiftlet_compress_options()
        options.struct_size = MemoryLayout<swiftlet_compress_options>.size
        (options.threads, options.samples) = (1, samples)
        (options.technique, options.settings) = (UnsafePointer(technique), UnsafePointer(settings))
        if ownMetric { options.own_metric = metric }
        change(&options)
        var text: UnsafeMutablePointer<CChar>?
        let status = swiftlet_compress(model, nil, nil, &options, nil, nil, output, &text)
        defer { swiftlet_string_free(text) }
        return (status, text.map { String(cString: $0) } ?? "")
      }
    }
  }

  @Test(arguments: [false, true]) func aModelIsCompressedOnSamples(hasLabels: Bool) throws {
    try withModel(layers) { path in
      let (arguments, output) = (Arguments(isFilled: true), "\(path).small")
      if !hasLabels { arguments.samples.labels = nil }
      let (status, json) = compress(arguments, path, output)
      expectOK(status)
      #expect(json.contains("\"techniques\":[\"svd\"]"), "\(json)")
      _ = try ONNXFile.read(output)
    }
  }

  /// The samples to judge on are some of the program's, which finds them by their positions.
  @Test func positionsAreThoseOfTheProgram() throws {
    try withModel(layers) { path in
      let arguments = Arguments()
      expectOK(compress(arguments, path, "\(path).small", ownMetric: true).status)
      let (places, labels) = (arguments.calls.scored, arguments.calls.labels)
      #expect(Set(places).count == 2)
      #expect(labels == places.map { Self.labels[Int($0)] })
      #expect(places.prefix(2) != [0, 1])
    }
  }

  @Test func aStoppedCompressionWritesNothing() throws {
    try withModel(layers) { path in
      let output = "\(path).small"
      try AtomicFile.write("before", to: output)
      for isFilled in [false, true] {
        let arguments = Arguments(isFilled: isFilled)
        arguments.calls.stops = true
        expect(
          compress(arguments, path, output, ownMetric: true).status, SWIFTLET_CANCELLED, "cancelled"
        )
      }
      #expect(try InputFile.read(output) == Array("before".utf8))
    }
  }

  /// Programs that were built with the first version of the struct, which was shorter.
  @Test func olderOptionsAreTaken() throws {
    try withModel(layers) { path in
      let arguments = Arguments()
      let (status, _) = compress(arguments, path, "\(path).small") { options in
        options.struct_size = 40
        options.technique = UnsafePointer(bitPattern: 8)
      }
      // Its technique is not read, nor are its samples.
      expect(status, SWIFTLET_USAGE, "recipe is NULL")
      for size in [8, 39, MemoryLayout<swiftlet_compress_options>.size + 8] {
        let (status, _) = compress(arguments, path, "\(path).small") { $0.struct_size = size }
        expect(status, SWIFTLET_USAGE, "sizeof")
      }
    }
  }

  @Test func optionsAreChecked() throws {
    try withModel(layers) { path in
      func expectRefusal(
        _ fragment: String, _ status: swiftlet_status = SWIFTLET_USAGE,
        _ change: (inout swiftlet_compress_options) -> Void
      ) {
        let (found, _) = compress(Arguments(), path, "\(path).small", change)
        expect(found, status, fragment)
      }
      let words = ["fast", "half a bit", "{bits: 3}", "magic"].map { (word: String) in
        UnsafePointer<CChar>(strdup(word)!)
      }
      defer { for word in words { free(UnsafeMutablePointer(mutating: word)) } }
      expectRefusal("several of recipe") { $0.preset = words[0] }
      expectRefusal("target_size is 'half a bit'") { $0.target_size = words[1] }
      expectRefusal("no setting 'bits'", SWIFTLET_BAD_INPUT) { $0.settings = words[2] }
      expectRefusal("magic", SWIFTLET_BAD_INPUT) { $0.technique = words[3] }
      expectRefusal("split is 1.0") { $0.split = 1 }
      expectRefusal("max_drop is -1.0") { $0.max_drop = -1 }
      expectRefusal("max_drop is nan") { $0.max_drop = .nan }
      expectRefusal("max_relative_drop are given") {
        ($0.max_drop, $0.max_relative_drop) = (1, 0.1)
      }
      expectRefusal("skip_damaged is for pictures in files") { $0.skip_damaged = 1 }
      expectRefusal("skip_damaged is set without data") {
        ($0.skip_damaged, $0.samples) = (1, nil)
      }
      expectRefusal("extents is NULL") { $0.extent_count = 1 }
      expectRefusal("confidence is 0.2") { ($0.max_drop, $0.confidence) = (1, 0.2) }
      expectRefusal("leave preprocess out", SWIFTLET_UNSUPPORTED) { $0.preprocess = words[0] }
    }
  }
}
