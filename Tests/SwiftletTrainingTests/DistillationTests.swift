// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletFormats
import SwiftletGraph
import SwiftletTraining
import Testing
import _SwiftletTestSupport

struct DistillationTests {
  // MARK: Losses, against central differences in double precision

  /// A loss of features, and shapes of student and teacher.
  struct FeatureCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let student, teacher: Shape
    let loss:
      @Sendable (Tensor<Double>, Tensor<Double>) -> (value: Double, gradient: Tensor<Double>)
  }

  static let featureCases: [FeatureCase] = [
    FeatureCase(testDescription: "hints, images", student: [2, 3, 2, 3], teacher: [2, 3, 2, 3]) {
      HintLoss()($0, teacher: $1)
    },
    FeatureCase(testDescription: "hints, rows", student: [3, 5], teacher: [3, 5]) {
      HintLoss()($0, teacher: $1)
    },
    FeatureCase(
      testDescription: "attention, images", student: [2, 3, 2, 3], teacher: [2, 5, 2, 3]
    ) { AttentionLoss()($0, teacher: $1) },
    FeatureCase(testDescription: "attention, sequences", student: [2, 4, 3], teacher: [2, 4, 7]) {
      AttentionLoss()($0, teacher: $1)
    },
  ]

  private func expectGradient(
    at point: Tensor<Double>, _ loss: (Tensor<Double>) -> (value: Double, gradient: Tensor<Double>),
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let gradient = loss(point).gradient.elements
    for i in gradient.indices {
      var (up, down) = (point.elements, point.elements)
      up[i] += 1e-5
      down[i] -= 1e-5
      let numeric =
        (loss(Tensor(point.shape, up)).value - loss(Tensor(point.shape, down)).value) / 2e-5
      #expect(abs(gradient[i] - numeric) < 1e-8, "element \(i)", sourceLocation: sourceLocation)
    }
    #expect(gradient.contains { abs($0) > 1e-4 }, sourceLocation: sourceLocation)
  }

  @Test(arguments: featureCases)
  func gradientsOfFeatureLossesAgreeWithDifferences(of test: FeatureCase) {
    var generator = RandomGenerator(seed: 4)
    let student = Tensor<Double>(test.student, normalUsing: &generator)
    let teacher = Tensor<Double>(test.teacher, normalUsing: &generator)
    expectGradient(at: student) { test.loss($0, teacher) }
  }

  @Test func featuresThatAgreeOrAreZeroCostWhatTheyShould() {
    var generator = RandomGenerator(seed: 5)
    let features = Tensor<Double>([2, 3, 2, 2], normalUsing: &generator)
    #expect(HintLoss()(features, teacher: features).value == 0)
    #expect(abs(AttentionLoss()(features, teacher: features).value) < 1e-12)
    // Attention does not look at the scale; hints are relative to the teacher's.
    let doubled = features.map { 2 * $0 }
    #expect(abs(AttentionLoss()(doubled, teacher: features).value) < 1e-12)
    #expect(abs(HintLoss()(doubled, teacher: features).value - 0.5) < 1e-12)
    let zeros = Tensor<Double>(zeros: [2, 3, 2, 2])
    for (value, gradient) in [
      HintLoss()(features, teacher: zeros), AttentionLoss()(features, teacher: zeros),
      AttentionLoss()(zeros, teacher: features),
    ] {
      #expect(value.isFinite && gradient.elements.allSatisfy(\.isFinite))
    }
  }

  @Test func rowsWithoutLabelsFollowTheTeacherAlone() {
    var generator = RandomGenerator(seed: 6)
    let student = Tensor<Double>([3, 4], normalUsing: &generator)
    let teacher = Tensor<Double>([3, 4], normalUsing: &generator)
    let loss = DistillationLoss(temperature: 2, alpha: 0.3)
    let mask = [true, false, true]
    func value(_ labels: [Int]) -> Double {
      loss(student, teacher: teacher, labels, isLabelled: mask).value
    }
    #expect(value([0, 1, 2]) == value([0, 3, 2]))
    #expect(value([0, 1, 2]) != value([1, 1, 2]))
    expectGradient(at: student) { loss($0, teacher: teacher, [0, 1, 2], isLabelled: mask) }
    // Without any label it is the teacher's part with all the weight.
    let soft = DistillationLoss(temperature: 2, alpha: 1)(student, teacher: teacher, [0, 0, 0])
    let none = loss(
      student, teacher: teacher, [0, 1, 2], isLabelled: [false, false, false])
    #expect(abs(soft.value - none.value) < 1e-12)
  }

  // MARK: Values inside of a graph

  /// A loss on the logits, on a value inside, and on an adapter's result, through the tape.
  @Test func gradientsOfWatchedValuesAgreeWithDifferences() throws {
    var graph = smallNetwork()
    var generator = RandomGenerator(seed: 8)
    graph.initializers["adapter"] = .float32(Tensor([3, 4, 1, 1], normalUsing: &generator))
    graph.nodes.append(
      Node("Conv", name: "adapter", inputs: ["v1", "adapter"], outputs: ["adapted"]))
    graph.outputs += ["v2", "adapted"].map { ValueInfo($0, .float32, []) }
    // In double precision: every fp32 constant and the input become fp64.
    graph.inputs[0].dtype = .float64
    for index in graph.outputs.indices { graph.outputs[index].dtype = .float64 }
    var constants: [String: Tensor<Double>] = [:]
    for (name, tensor) in graph.initializers {
      let values: Tensor<Float> = try tensor.require()
      constants[name] = Tensor(values.shape, values.elements.map(Double.init))
      graph.initializers[name] = .float64(constants[name]!)
    }
    let tape = try GradientTape<Double>(Interpreter(graph), inputs: ["x"])
    let input = Tensor<Double>([2, 1, 12, 12], normalUsing: &generator)
    func run(
      _ constants: [String: Tensor<Double>], _ input: Tensor<Double>
    ) throws -> GradientTape<Double>.Result {
      try tape.run(
        ["x": AnyTensor(input)], parameters: constants, threads: .serial, seed: 0
      ) { outputs in
        // Half the sum of squares of each, weighted: the gradient is the value, weighted.
        let weights = [1.0, 0.1, 0.01]
        let value = zip(outputs, weights).reduce(0.0) { sum, term in
          sum + 0.5 * term.1 * term.0.elements.reduce(0) { $0 + $1 * $1 }
        }
        return (value, zip(outputs, weights).map { output, w in output.map { $0 * w } })
      }
    }
    let result = try run(constants, input)
    for name in ["w1", "b1", "w2", "adapter"] {
      let gradient = try #require(result.gradients[name]?.elements)
      for i in stride(from: 0, to: gradient.count, by: max(1, gradient.count / 5)) {
        func loss(_ change: Double) throws -> Double {
          var moved = constants
          moved[name]![flat: i] += change
          return try run(moved, input).loss
        }
        let numeric = (try loss(1e-6) - loss(-1e-6)) / 2e-6
        #expect(abs(gradient[i] - numeric) < 1e-5 * max(1, abs(numeric)), "\(name) \(i)")
      }
    }
    let slope = try #require(result.gradients["x"]?.elements)
    for i in [0, 77, 200] {
      var (up, down) = (input, input)
      up[flat: i] += 1e-6
      down[flat: i] -= 1e-6
      let numeric = (try run(constants, up).loss - run(constants, down).loss) / 2e-6
      #expect(abs(slope[i] - numeric) < 1e-5 * max(1, abs(numeric)), "x \(i)")
    }
  }

  @Test func valuesThatTheModelDoesNotComputeAreRefused() throws {
    let data = try pictures(8)
    let error = #expect(throws: SwiftletError.self) {
      _ = try Trainer(
        smallNetwork(), training: data, validation: data, settings: TrainingSettings(),
        objective: Distiller(
          TeacherOutputs(smallNetwork(), values: [], threads: .serial),
          [FeatureTerm(.hints, weight: 1, [FeaturePair(student: "nowhere", teacher: "v1")])]))
    }
    #expect(error?.description.contains("nowhere") == true)
    #expect(throws: SwiftletError.self) {
      try TeacherOutputs(smallNetwork(), values: ["nowhere"], threads: .serial)
    }
  }

  // MARK: The discriminator

  @Test func gradientsOfTheDiscriminatorAgreeWithDifferences() throws {
    var generator = RandomGenerator(seed: 9)
    let student = Tensor<Float>([4, 3], normalUsing: &generator)
    let teacher = Tensor<Float>([4, 3], normalUsing: &generator)
    let term = try AdversarialTerm(weight: 0.5, nil, channels: 3, rank: 2, seed: 1)
    let fresh = Dictionary(uniqueKeysWithValues: term.parameters.map { ($0.key, $0.value) })
    func evaluate(
      _ student: Tensor<Float>, _ teacher: Tensor<Float>, _ parameters: [String: Tensor<Float>]
    ) throws -> ObjectiveResult {
      try term.evaluate(
        ObjectiveInput(
          logits: student, labels: [0, 0, 0, 0], indices: [0, 1, 2, 3], input: student,
          parameters: parameters), TeacherOutputs.Part(logits: teacher))
    }
    let result = try evaluate(student, teacher, fresh)
    let slope = try #require(result.logits?.elements)
    // Small enough to meet no kink of the ReLUs inside, large enough for fp32.
    let step: Float = 2e-3
    for i in 0..<12 {
      var (up, down) = (student, student)
      up[flat: i] += step
      down[flat: i] -= step
      let numeric =
        (try evaluate(up, teacher, fresh).value - evaluate(down, teacher, fresh).value)
        / Double(2 * step)
      #expect(abs(Double(slope[i]) - numeric) < 2e-4)
    }
    // The discriminator descends its own loss. −log D of values is what a student of these values
    // would have to pay; log D and log(1 − D) of the same score differ by the score.
    func verdictLoss(_ parameters: [String: Tensor<Float>]) throws -> Double {
      let real = try evaluate(teacher, teacher, parameters).value / 0.5
      // Turning the last layer around gives log(1 − D).
      var turned = parameters
      for (name, tensor) in parameters where name.hasSuffix("2") {
        turned[name] = tensor.map { -$0 }
      }
      let fake = try evaluate(student, student, turned).value / 0.5
      return 0.5 * (real + fake)
    }
    for (name, gradient) in result.parameters {
      for i in stride(from: 0, to: gradient.shape.count, by: max(1, gradient.shape.count / 6)) {
        func loss(_ change: Float) throws -> Double {
          var moved = fresh
          moved[name]![flat: i] += change
          return try verdictLoss(moved)
        }
        let numeric = (try loss(1e-2) - loss(-1e-2)) / 2e-2
        #expect(abs(Double(gradient.elements[i]) - numeric) < 5e-4, "\(name) \(i)")
      }
    }
  }

  @Test func aDiscriminatorLearnsToTellApartAndAStudentToBeTakenForTheTeacher() throws {
    let term = try AdversarialTerm(weight: 1, nil, channels: 3, rank: 2, seed: 2)
    var parameters = Dictionary(uniqueKeysWithValues: term.parameters.map { ($0.key, $0.value) })
    let teacher = Tensor<Float>([2, 3], [3, 0, -3, 3, 0, -3])
    var student = Tensor<Float>([2, 3], [-3, 0, 3, -3, 0, 3])
    func evaluate() throws -> ObjectiveResult {
      try term.evaluate(
        ObjectiveInput(
          logits: student, labels: [0, 0], indices: [0, 1], input: student,
          parameters: parameters), TeacherOutputs.Part(logits: teacher))
    }
    let before = try evaluate().value
    var optimizer = Optimizer(OptimizerSettings(.adam))
    for _ in 0..<60 {
      optimizer.update(&parameters, gradients: try evaluate().parameters, learningRate: 0.02)
    }
    let found = try evaluate().value
    #expect(found > before + 1)
    for _ in 0..<200 {
      let slope = try #require(evaluate().logits)
      student = Tensor(
        student.shape, zip(student.elements, slope.elements).map { $0 - 0.5 * $1 })
    }
    #expect(try evaluate().value < found - 1)
    #expect(student[0, 0] > student[0, 2])
  }
}

extension Tensor where Element: FloatElement {
  /// The element at a position of the packed order.
  fileprivate subscript(flat index: Int) -> Element {
    get { elements[index] }
    set {
      var values = elements
      values[index] = newValue
      self = Tensor(shape, values)
    }
  }
}
