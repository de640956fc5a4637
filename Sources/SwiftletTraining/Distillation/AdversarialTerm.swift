// SPDX-License-Identifier: Apache-2.0

public import OrderedCollections
import RealModule
public import SwiftletCore
import SwiftletGraph

/// A trained discriminator distinguishes the teacher's values from the student's; the student
/// learns to be taken for the teacher.
///
/// The discriminator reads logits (minus their mean), or features averaged over their positions,
/// and has one hidden layer. It minimizes binary cross-entropy with the teacher's values as real
/// and the student's as fake; the student minimizes −log D(student), whose gradient does not vanish
/// while the discriminator is right. Both alternate batch by batch: the student's step uses the
/// current discriminator, whose own step then uses the student's values of the same batch.
///
/// - Source: Goodfellow et al. 2014, arXiv:1406.2661; for distillation Xu, Hsu & Huang 2018,
///   arXiv:1709.00513.
public struct AdversarialTerm: DistillationTerm {
  private let weight: Double
  /// `nil` for the logits.
  private let pair: FeaturePair?
  private let tape: GradientTape<Float>
  public let parameters: OrderedDictionary<String, Tensor<Float>>
  private static let hiddenUnits = 64

  /// - Parameters:
  ///   - weight: The weight of the term in the loss.
  ///   - pair: Features of equal shape, or `nil` for the logits.
  ///   - channels: The number of channels of these features, or of classes.
  ///   - rank: The rank of the values: 2, or 4 for features of images.
  ///   - seed: The seed of the discriminator's initial weights.
  public init(weight: Double, _ pair: FeaturePair?, channels: Int, rank: Int, seed: UInt64) throws {
    self.weight = weight
    self.pair = pair
    let prefix = "discriminator//\(pair?.student ?? "logits")"
    var generator = RandomGenerator(seed: seed, stream: 12)
    func uniform(_ shape: Shape, _ inputs: Int) -> Tensor<Float> {
      let bound = 1 / Double(inputs).squareRoot()
      return Tensor(shape, uniformIn: -bound...bound, using: &generator)
    }
    let hidden = Self.hiddenUnits
    parameters = [
      "\(prefix).w1": uniform([channels, hidden], channels),
      "\(prefix).b1": Tensor(zeros: [hidden]),
      "\(prefix).w2": uniform([hidden, 1], hidden),
      "\(prefix).b2": Tensor(zeros: [1]),
    ]
    var builder = GraphBuilder(name: "discriminator")
    let names = parameters.map { builder.constant($0, .float32($1)) }
    var value = builder.input(
      "x", [.symbolic("N"), .fixed(channels)] + (2..<rank).map { .symbolic("d\($0)") })
    if rank == 4 {
      value = builder.apply("GlobalAveragePool", "mean", [value])
      value = builder.apply("Flatten", "flat", [value], ["axis": .int(1)])
    }
    value = builder.apply("Gemm", "hidden", [value, names[0], names[1]])
    value = builder.apply("LeakyRelu", "relu", [value], ["alpha": .float(0.2)])
    value = builder.apply("Gemm", "verdict", [value, names[2], names[3]])
    let graph = builder.finish(output: value, [.symbolic("N"), .fixed(1)])
    tape = try GradientTape(Interpreter(graph), inputs: ["x"])
  }

  public var studentValues: [String] { pair.map { [$0.student] } ?? [] }
  public var teacherValues: [String] { pair.map { [$0.teacher] } ?? [] }
  public var summary: String { "adversarial \(weight) \(pair?.student ?? "logits")" }

  public func evaluate(
    _ part: ObjectiveInput, _ teacher: TeacherOutputs.Part
  ) throws -> ObjectiveResult {
    var own = part.logits
    var other = teacher.logits
    if let pair {
      guard let student = part.values[pair.student], let target = teacher.values[pair.teacher]
      else { throw SwiftletError(.internal, "features of the discriminator are missing") }
      (own, other) = (student, target)
    } else {
      (own, other) = (own.centred(), other.centred())
    }
    guard own.shape == other.shape else {
      throw SwiftletError(
        .badInput, "the teacher's \(other.shape) cannot be compared with the student's \(own.shape)"
      )
    }
    let persuading = try judge(own, asReal: true, part)
    let onStudent = try judge(own, asReal: false, part)
    let onTeacher = try judge(other, asReal: true, part)
    var result = ObjectiveResult(value: weight * persuading.loss)
    let factor = Float(weight)
    let slope = persuading.gradients["x"]!.map { $0 * factor }
    if let pair { result.values[pair.student] = slope } else { result.logits = slope.centred() }
    for name in parameters.keys {
      // The mean over both halves.
      var gradient = onStudent.gradients[name]!
      gradient.add(onTeacher.gradients[name]!)
      result.parameters[name] = gradient.map { $0 * 0.5 }
    }
    return result
  }

  /// The mean binary cross-entropy of the discriminator's predictions, and its gradients.
  private func judge(
    _ values: Tensor<Float>, asReal isReal: Bool, _ part: ObjectiveInput
  ) throws -> GradientTape<Float>.Result {
    try tape.run(
      ["x": AnyTensor(values)], parameters: part.parameters, threads: .serial, seed: 0
    ) { outputs in
      let scores = outputs[0].contiguous()
      let target: Float = isReal ? 1 : 0
      let share = 1 / Float(scores.shape.count)
      var loss = 0.0
      for score in scores.elements {
        // log(1 + e^x) − target·x, without overflow.
        let softplus = max(score, 0) + Float.log(onePlus: Float.exp(-abs(score)))
        loss += Double((softplus - target * score) * share)
      }
      let gradient = scores.map { (1 / (1 + Float.exp(-$0)) - target) * share }
      return (loss, [gradient])
    }
  }
}

extension Tensor where Element == Float {
  /// A matrix minus the mean of each row: logits that differ by a constant are equivalent.
  fileprivate func centred() -> Tensor {
    var result = contiguous()
    let columns = shape[1]
    var values = result.mutableSpan
    for row in 0..<shape[0] {
      var line = values.part(row * columns..<(row + 1) * columns)
      var sum: Float = 0
      for i in line.indices { sum += line[i] }
      let mean = sum / Float(columns)
      for i in line.indices { line[i] -= mean }
    }
    return result
  }
}

/// Weights that decay from 1 to 0 along half a cosine.
enum CosineFade {
  static func factor(_ progress: Double) -> Double { 0.5 * (1 + Double.cos(.pi * progress)) }
}
