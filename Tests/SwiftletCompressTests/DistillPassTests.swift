// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletData
import SwiftletFormats
import SwiftletGraph
import SwiftletTraining
import Testing
import _SwiftletTestSupport

/// Who learns from what: the paths through `distill`, with teachers that were never trained.
struct DistillPassTests {
  private let threads = Threads(count: 2)
  private let teacher = network(seed: 7)

  private func pictures(_ count: Int, channels: Int = 1, size: Int = 12) throws -> ImageDataset {
    let (images, labels) = Pictures.make(
      count: count, classes: 4, channels: channels, size: size)
    return try ImageDataset(name: "pictures", images: images, labels: labels, classCount: 4)
  }

  /// Conv 1→8, conv 8→16, fc 144→4, with a pool behind each convolution.
  ///
  /// So small that its products never take several threads: other tests change how many OpenBLAS
  /// has, and sums are compared bit for bit here.
  private static func network(seed: UInt64) -> Graph {
    var generator = RandomGenerator(seed: seed)
    var graph = Graph(name: "net")
    graph.inputs = [ValueInfo("x", .float32, [.symbolic("N"), .fixed(1), .fixed(12), .fixed(12)])]
    graph.outputs = [ValueInfo("y", .float32, [.symbolic("N"), .fixed(4)])]
    for (name, shape) in [("c1", [8, 1, 3, 3]), ("c2", [16, 8, 3, 3]), ("f", [4, 144])]
      as [(String, Shape)]
    {
      graph.initializers[name] = .float32(
        Tensor(shape, uniformIn: -0.3...0.3, using: &generator))
    }
    let pads: [String: Attribute] = ["pads": .ints([1, 1, 1, 1])]
    let pool: [String: Attribute] = ["kernel_shape": .ints([2, 2]), "strides": .ints([2, 2])]
    graph.nodes = [
      Node("Conv", name: "conv1", inputs: ["x", "c1"], outputs: ["a"], attributes: pads),
      Node("Relu", name: "r1", inputs: ["a"], outputs: ["b"]),
      Node("MaxPool", name: "p1", inputs: ["b"], outputs: ["c"], attributes: pool),
      Node("Conv", name: "conv2", inputs: ["c", "c2"], outputs: ["d"], attributes: pads),
      Node("Relu", name: "r2", inputs: ["d"], outputs: ["e"]),
      Node("MaxPool", name: "p2", inputs: ["e"], outputs: ["g"], attributes: pool),
      Node("Flatten", name: "flat", inputs: ["g"], outputs: ["h"]),
      Node(
        "Gemm", name: "fc", inputs: ["h", "f"], outputs: ["y"], attributes: ["transB": .int(1)]),
    ]
    return graph
  }

  private func distilled(
    _ data: ImageDataset, from teacher: Graph? = nil,
    _ change: (inout DistillationSettings) -> Void
  ) throws -> TrainedResult {
    let teacher = teacher ?? self.teacher
    var settings = DistillationSettings()
    settings.width = 0.5
    settings.fresh = true
    settings.batch = 8
    change(&settings)
    try CompressionStep.distill { $0 = settings }.validate()
    let context = CompressionContext(
      original: teacher, training: data, validation: data.slice(0..<4), threads: threads, seed: 5)
    return try DistillPass(settings).train(teacher, context)
  }

  private func bytes(_ result: TrainedResult) throws -> [UInt8] {
    try ONNXFile.encode(result.graph)
  }

  struct Form: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let set: @Sendable (inout DistillationSettings) -> Void
  }

  static let forms: [Form] = [
    Form(testDescription: "logits") { $0.alpha = 0.7 },
    Form(testDescription: "labels and hints") {
      $0.alpha = 0
      $0.hints = 1
    },
    Form(testDescription: "attention") { $0.attention = 1 },
    Form(testDescription: "adversarial") { $0.adversarial = 0.1 },
    Form(testDescription: "adversarial, on features too") {
      $0.hints = 1
      $0.adversarial = 0.1
    },
  ]

  /// Labels count where there are any; the other images teach all the same.
  @Test(arguments: forms)
  func theTeacherLabelsTheOtherImages(form: Form) throws {
    let data = try pictures(24)
    func student(_ data: ImageDataset) throws -> [UInt8] {
      try bytes(
        distilled(data) {
          form.set(&$0)
          $0.labels = 8
        })
    }
    func relabelled(_ index: Int) throws -> ImageDataset {
      var labels = data.labels
      labels[index] = (labels[index] + 1) % 4
      return try ImageDataset(
        name: data.name, images: data.packed!, labels: labels, classCount: 4)
    }
    let expected = try student(data)
    #expect(try student(relabelled(8)) == expected)
    #expect(try student(relabelled(23)) == expected)
    #expect(try student(relabelled(7)) != expected)
    #expect(try student(data.slice(0..<16)) != expected)
  }

  /// Adapters and discriminators leave nothing behind; every form moves the student elsewhere.
  @Test func everyFormMakesTheSameStudentWithOtherWeights() throws {
    let data = try pictures(16)
    let alone = try distilled(data) { $0.alpha = 0 }
    var seen: Set<[UInt8]> = [try bytes(alone)]
    for form in Self.forms {
      let result = try distilled(data) { form.set(&$0) }
      #expect(result.graph.nodes == alone.graph.nodes, "\(form.testDescription)")
      #expect(
        result.graph.initializers.mapValues(\.shape) == alone.graph.initializers.mapValues(\.shape))
      #expect(seen.insert(try bytes(result)).inserted, "\(form.testDescription)")
      #expect(try bytes(result) == bytes(distilled(data) { form.set(&$0) }))
    }
  }

  /// Without a teacher the images without labels are of no use, but the steps are as many.
  @Test func aStudentAloneSeesTheLabelledImagesAsOften() throws {
    let data = try pictures(20)
    func alone(_ data: ImageDataset, labels: Int?) throws -> TrainedResult {
      try distilled(data) {
        $0.alpha = 0
        $0.epochs = 2
        $0.labels = labels
      }
    }
    let few = try alone(data, labels: 6)
    let repeated = data.subset((0..<20).map { $0 % 6 })
    #expect(try bytes(few) == bytes(alone(repeated, labels: nil)))
    #expect(try bytes(few) != bytes(alone(data, labels: nil)))
    #expect(try bytes(few) != bytes(alone(data.slice(0..<6), labels: nil)))
    // The rate after each epoch depends on the steps that it had.
    let taught = try distilled(data) {
      $0.epochs = 2
      $0.labels = 6
    }
    let rates = [few, taught].map { $0.history?.epochs.map(\.learningRate) }
    #expect(rates[0] == rates[1] && rates[0]?.count == 2)
    #expect(try bytes(alone(data, labels: 1000)) == bytes(alone(data, labels: nil)))
  }

  @Test func studentsThatBeginAnewAreTaughtAtALowerTemperature() throws {
    var settings = DistillationSettings()
    #expect(settings.teaching == (4, 0.7))
    settings.fresh = true
    #expect(settings.teaching == (1, 0.9))
    settings.fresh = false
    settings.student = "own.onnx"
    #expect(settings.teaching == (1, 0.9))
    settings.temperature = 2
    settings.alpha = 0
    #expect(settings.teaching == (2, 0))
    // What is done without being said is what is done when it is said.
    let data = try pictures(16)
    let said = try distilled(data) {
      $0.temperature = 1
      $0.alpha = 0.9
    }
    #expect(try bytes(said) == bytes(distilled(data) { _ in }))
  }

  @Test func aQuarterOfTheChannelsIsLessThanAnEighthOfTheOperations() throws {
    let whole = SeedCNN.make(classes: 4, seed: 1)
    let student = try distilled(pictures(8, channels: 3, size: 32), from: whole) {
      $0.width = 0.25
      $0.calibrationImages = 8
    }
    let (before, after) = (try ModelCost(whole), try ModelCost(student.graph))
    #expect(after.macs * 8 <= before.macs)
    #expect(after.macs * 20 > before.macs)
    let shape = student.graph.initializers["conv3.weight"]?.shape
    #expect(shape == [32, 16, 3, 3])
  }

  @Test func aFreshStudentHasNothingOfItsTeacher() throws {
    let data = try pictures(8)
    func student(_ teacher: Graph, fresh: Bool) throws -> [UInt8] {
      try bytes(
        distilled(data, from: teacher) {
          $0.alpha = 0
          $0.width = 1
          $0.fresh = fresh
        })
    }
    let other = Self.network(seed: 8)
    #expect(try student(teacher, fresh: true) == student(other, fresh: true))
    #expect(try student(teacher, fresh: false) != student(other, fresh: false))
  }
}
