// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletData
import SwiftletFiles
import SwiftletGraph
import SwiftletTraining
import Testing
import _SwiftletTestSupport

/// What a teacher answers, from where, and what a student makes of it.
struct TeacherTests {
  /// Gives back what the teacher says.
  private struct Echo: DistillationTerm {
    let teacherValues: [String]
    let summary = "echo"

    func evaluate(
      _ part: ObjectiveInput, _ teacher: TeacherOutputs.Part
    ) throws -> ObjectiveResult {
      var result = ObjectiveResult(logits: teacher.logits)
      result.values = teacher.values
      return result
    }
  }

  private let values = ["v1", "v2"]

  private func answers(
    _ outputs: TeacherOutputs, to indices: [Int], of data: ImageDataset
  ) throws -> ObjectiveResult {
    let input = try Preprocessing.stored(in: smallNetwork(), images: data)
      .batch(data, indices, threads: .serial)
    return try Distiller(outputs, [Echo(teacherValues: values)]).evaluate(
      ObjectiveInput(
        logits: Tensor(zeros: [indices.count, 4]), labels: indices.map { data.labels[$0] },
        indices: indices, input: input))
  }

  private func outputs(_ teacher: Graph) throws -> TeacherOutputs {
    try TeacherOutputs(teacher, values: values, threads: .serial)
  }

  // MARK: The cache

  @Test func keptAnswersAreTheTeachers() throws {
    let (teacher, data) = (smallNetwork(), try pictures(300))
    try withTemporaryFolder { folder in
      // The folder need not exist.
      let cache = TeacherCache(folder: "\(folder)/new")
      let running = try outputs(teacher)
      var kept = running
      let path = try cache.keep(&kept, teacher, data, threads: .serial)
      // Out of order, and over the border of what is computed at once.
      let indices = [299, 0, 255, 256, 17]
      let expected = try answers(running, to: indices, of: data)
      let looked = try answers(kept, to: indices, of: data)
      for name in values {
        let (own, other) = (try #require(looked.values[name]), try #require(expected.values[name]))
        #expect(own.shape == other.shape)
        #expect(zip(own.elements, other.elements).allSatisfy { abs($0 - $1) < 1e-5 }, "\(name)")
      }
      let logits = (try #require(looked.logits), try #require(expected.logits))
      #expect(zip(logits.0.elements, logits.1.elements).allSatisfy { abs($0 - $1) < 1e-5 })
      #expect(Set(logits.0.elements).count > 10)
      // Another run reads the file, bit for bit.
      var read = running
      let decision = try cache.serve(&read, teacher, data, epochs: 1, threads: .serial)
      #expect(decision.contains("read from \(path)"))
      let again = try answers(read, to: indices, of: data)
      #expect(again.logits?.elements == looked.logits?.elements)
      for name in values { #expect(again.values[name]?.elements == looked.values[name]?.elements) }
    }
  }

  @Test func keptAnswersOfSomethingElseAreNotRead() throws {
    let (teacher, data) = (smallNetwork(), try pictures(20))
    try withTemporaryFolder { folder in
      let cache = TeacherCache(folder: folder)
      var first = try outputs(teacher)
      let path = try cache.keep(&first, teacher, data, threads: .serial)
      func isRead(_ teacher: Graph, _ data: ImageDataset, _ values: [String]) throws -> Bool {
        var outputs = try TeacherOutputs(teacher, values: values, threads: .serial)
        return try cache.serve(&outputs, teacher, data, epochs: 1, threads: .serial)
          .contains("read from")
      }
      #expect(try isRead(teacher, data, values))
      var other = teacher
      other.initializers["b2"] = .float32(Tensor([4], repeating: 0.5))
      #expect(try !isRead(other, data, values))
      #expect(try !isRead(teacher, pictures(20, seed: 2), values))
      #expect(try !isRead(teacher, data, ["v1"]))
      try AtomicFile.write("damaged", to: path)
      #expect(try !isRead(teacher, data, values))
    }
  }

  // MARK: Terms

  private func difference(
    _ values: Tensor<Float>, at index: Int, step: Float,
    _ loss: (Tensor<Float>) throws -> Double
  ) throws -> Double {
    var (up, down) = (values.elements, values.elements)
    up[index] += step
    down[index] -= step
    return (try loss(Tensor(values.shape, up)) - loss(Tensor(values.shape, down)))
      / Double(2 * step)
  }

  @Test(arguments: [FeatureTerm.Kind.hints, .attention], [0.0, 0.5])
  func featureTermsFadeAndTheirGradientsWithThem(kind: FeatureTerm.Kind, progress: Double) throws {
    var generator = RandomGenerator(seed: 11)
    let shape: Shape = [2, 3, 2, 2]
    let student = Tensor<Float>(shape, normalUsing: &generator)
    let teacher = Tensor<Float>(shape, normalUsing: &generator)
    let pairs = ["a", "b"].map { FeaturePair(student: $0, teacher: $0) }
    let term = FeatureTerm(kind, weight: 3, pairs)
    func evaluate(_ a: Tensor<Float>, _ progress: Double) throws -> ObjectiveResult {
      try term.evaluate(
        ObjectiveInput(
          logits: Tensor(zeros: [2, 4]), values: ["a": a, "b": student], labels: [0, 1],
          indices: [0, 1], input: student, progress: progress),
        TeacherOutputs.Part(
          logits: Tensor(zeros: [2, 4]), values: ["a": teacher, "b": teacher]))
    }
    let result = try evaluate(student, progress)
    #expect(result.logits == nil)
    let slope = try #require(result.values["a"]?.elements)
    for index in slope.indices {
      let numeric = try difference(student, at: index, step: 1e-2) {
        try evaluate($0, progress).value
      }
      #expect(abs(Double(slope[index]) - numeric) < 2e-3, "element \(index)")
    }
    #expect(slope.contains { abs($0) > 1e-2 })
    // Along half a cosine: all at first, half in the middle, nothing at the end.
    let start = try evaluate(student, 0).value
    #expect(abs(result.value - start * (progress == 0 ? 1 : 0.5)) < 1e-6)
    #expect(try evaluate(student, 1).value < 1e-6 * start)
  }

  @Test func labelsOfTheFirstImagesAlone() throws {
    var generator = RandomGenerator(seed: 12)
    let student = Tensor<Float>([3, 4], normalUsing: &generator)
    let teacher = TeacherOutputs.Part(logits: Tensor<Float>([3, 4], normalUsing: &generator))
    let term = LogitTerm(DistillationLoss(temperature: 2, alpha: 0.5), labelled: 10)
    func evaluate(_ student: Tensor<Float>, _ labels: [Int]) throws -> ObjectiveResult {
      try term.evaluate(
        ObjectiveInput(logits: student, labels: labels, indices: [9, 10, 3], input: student),
        teacher)
    }
    let value = try evaluate(student, [0, 1, 2]).value
    #expect(try evaluate(student, [0, 3, 2]).value == value)
    #expect(try evaluate(student, [1, 1, 2]).value != value)
    #expect(try evaluate(student, [0, 1, 3]).value != value)
    let slope = try #require(evaluate(student, [0, 1, 2]).logits?.elements)
    for index in slope.indices {
      let numeric = try difference(student, at: index, step: 1e-2) {
        try evaluate($0, [0, 1, 2]).value
      }
      #expect(abs(Double(slope[index]) - numeric) < 1e-3, "element \(index)")
    }
  }

  @Test func aDiscriminatorOfFeaturesHasTheGradientOfItsLoss() throws {
    var generator = RandomGenerator(seed: 13)
    let student = Tensor<Float>([3, 4, 2, 2], normalUsing: &generator)
    let teacher = Tensor<Float>([3, 4, 2, 2], normalUsing: &generator)
    let pair = FeaturePair(student: "s", teacher: "t")
    let term = try AdversarialTerm(weight: 2, pair, channels: 4, rank: 4, seed: 1)
    let parameters = Dictionary(uniqueKeysWithValues: term.parameters.map { ($0.key, $0.value) })
    func evaluate(_ student: Tensor<Float>) throws -> ObjectiveResult {
      try term.evaluate(
        ObjectiveInput(
          logits: Tensor(zeros: [3, 4]), values: ["s": student], labels: [0, 0, 0],
          indices: [0, 1, 2], input: student, parameters: parameters),
        TeacherOutputs.Part(logits: Tensor(zeros: [3, 4]), values: ["t": teacher]))
    }
    let result = try evaluate(student)
    #expect(result.logits == nil && Set(result.parameters.keys) == Set(parameters.keys))
    let slope = try #require(result.values["s"]?.elements)
    for index in slope.indices {
      let numeric = try difference(student, at: index, step: 4e-3) { try evaluate($0).value }
      #expect(abs(Double(slope[index]) - numeric) < 5e-4, "element \(index)")
    }
    #expect(slope.contains { abs($0) > 2e-3 })
  }

  @Test func termsAddUp() throws {
    let data = try pictures(8)
    var student = smallNetwork()
    student.initializers["b2"] = .float32(Tensor([4], [1, 0, 0, -1]))
    let terms: [any DistillationTerm] = [
      LogitTerm(DistillationLoss()), LogitTerm(DistillationLoss(temperature: 1, alpha: 1)),
    ]
    let input = try Preprocessing.stored(in: student, images: data)
      .batch(data, [0, 1, 2], threads: .serial)
    let part = ObjectiveInput(
      logits: Tensor([3, 4], [1, 2, 3, 4, 0, 0, 1, 0, -1, 3, 0, 1]), labels: [0, 1, 2],
      indices: [0, 1, 2], input: input)
    func evaluate(_ terms: [any DistillationTerm]) throws -> ObjectiveResult {
      try Distiller(TeacherOutputs(smallNetwork(), values: [], threads: .serial), terms)
        .evaluate(part)
    }
    let (both, one, other) = (
      try evaluate(terms), try evaluate([terms[0]]), try evaluate([terms[1]])
    )
    #expect(abs(both.value - one.value - other.value) < 1e-6)
    let parts = zip(try #require(one.logits).elements, try #require(other.logits).elements)
    #expect(
      zip(try #require(both.logits).elements, parts).allSatisfy { abs($0 - $1.0 - $1.1) < 1e-6 })
  }

  @Test func adaptersAreDroppedAndTheRestStays() throws {
    let student = smallNetwork()
    let pairs = [
      FeaturePair(student: "v1", teacher: "t1"), FeaturePair(student: "v2", teacher: "t2"),
    ]
    let adapters = FeatureAdapters(
      student, pairs, channels: [(4, 9, 4), (4, 4, 4)], seed: 1)
    // Equal numbers of channels need none.
    #expect(adapters.graph.nodes.count == student.nodes.count + 1)
    #expect(adapters.pairs[0].student != "v1" && adapters.pairs[1] == pairs[1])
    var trained = adapters.graph
    trained.initializers["b1"] = .float32(Tensor([4], repeating: 7))
    let result = adapters.dropped(from: trained)
    #expect(result.nodes == student.nodes)
    #expect(Set(result.initializers.keys) == Set(student.initializers.keys))
    let bias: Tensor<Float> = try #require(result.initializers["b1"]).require()
    #expect(bias.elements == [7, 7, 7, 7])
  }
}
