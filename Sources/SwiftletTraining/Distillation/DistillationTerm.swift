// SPDX-License-Identifier: Apache-2.0

public import OrderedCollections
public import SwiftletCore

/// One term of a distillation objective: a loss between values of student and teacher.
public protocol DistillationTerm: Sendable {
  /// Names of the student's values that it reads, besides the logits.
  var studentValues: [String] { get }
  /// The same for the teacher.
  var teacherValues: [String] { get }
  /// Initial values of the term's parameters; see ``TrainingObjective/parameters``.
  var parameters: OrderedDictionary<String, Tensor<Float>> { get }
  /// The settings that distinguish terms of the same kind, for checkpoints.
  var summary: String { get }

  /// The weighted loss and its gradients.
  func evaluate(_ part: ObjectiveInput, _ teacher: TeacherOutputs.Part) throws -> ObjectiveResult
}

extension DistillationTerm {
  public var studentValues: [String] { [] }
  public var teacherValues: [String] { [] }
  public var parameters: OrderedDictionary<String, Tensor<Float>> { [:] }
}

/// A value of the student and the value of the teacher that it should match.
public struct FeaturePair: Sendable, Codable, Equatable {
  /// The name of a value in the student's graph.
  public let student: String
  /// The name of a value in the teacher's graph.
  public let teacher: String

  /// A pair of names.
  public init(student: String, teacher: String) {
    self.student = student
    self.teacher = teacher
  }
}

/// Logits: the teacher's softened probabilities, and the labels.
public struct LogitTerm: DistillationTerm {
  private let loss: DistillationLoss
  private let labelled: Int?

  /// Only the first `labelled` training images have labels; `nil` for all.
  public init(_ loss: DistillationLoss, labelled: Int? = nil) {
    self.loss = loss
    self.labelled = labelled
  }

  public var summary: String {
    "logits T=\(loss.temperature) alpha=\(loss.alpha) labels=\(labelled.map(String.init) ?? "all")"
  }

  public func evaluate(
    _ part: ObjectiveInput, _ teacher: TeacherOutputs.Part
  ) throws -> ObjectiveResult {
    guard teacher.logits.shape == part.logits.shape else {
      throw SwiftletError(
        .badInput,
        "the teacher answers with \(teacher.logits.shape), the student with \(part.logits.shape)",
        fix: "both must have the same classes")
    }
    let (value, gradient) = loss(
      part.logits, teacher: teacher.logits, part.labels,
      isLabelled: labelled.map { count in part.indices.map { $0 < count } })
    return ObjectiveResult(value: value, logits: gradient)
  }
}

/// Internal features of both networks: by ``HintLoss`` or ``AttentionLoss``.
///
/// If the numbers of channels differ, hints are taken after the student's adapter; see
/// ``FeatureAdapters``. They help at the start, but later keep the student from finding its own
/// solution: their weight decays to 0 along half a cosine over the run.
public struct FeatureTerm: DistillationTerm {
  /// How features are compared.
  public enum Kind: String, Sendable, Codable {
    case hints
    case attention
  }

  private let kind: Kind
  private let weight: Double
  private let pairs: [FeaturePair]

  /// The sum of the losses of all pairs, times `weight`.
  public init(_ kind: Kind, weight: Double, _ pairs: [FeaturePair]) {
    self.kind = kind
    self.weight = weight
    self.pairs = pairs
  }

  public var studentValues: [String] { pairs.map(\.student) }
  public var teacherValues: [String] { pairs.map(\.teacher) }
  public var summary: String {
    "\(kind.rawValue) \(weight) "
      + pairs.map { "\($0.student):\($0.teacher)" }.joined(separator: ",")
  }

  public func evaluate(
    _ part: ObjectiveInput, _ teacher: TeacherOutputs.Part
  ) throws -> ObjectiveResult {
    let share = weight * CosineFade.factor(part.progress) / Double(pairs.count)
    var result = ObjectiveResult()
    for pair in pairs {
      guard let student = part.values[pair.student], let target = teacher.values[pair.teacher],
        Self.fits(student.shape, target.shape, kind)
      else {
        throw SwiftletError(
          .badInput, "the features do not match", at: "\(pair.student):\(pair.teacher)")
      }
      let (value, gradient) =
        switch kind {
        case .hints: HintLoss()(student, teacher: target)
        case .attention: AttentionLoss()(student, teacher: target)
        }
      var one = ObjectiveResult(value: value)
      one.values[pair.student] = gradient
      result.add(one, weight: share)
    }
    return result
  }

  private static func fits(_ student: Shape, _ teacher: Shape, _ kind: Kind) -> Bool {
    switch kind {
    case .hints: student == teacher && student.rank >= 2
    case .attention:
      student.rank == teacher.rank && student.rank >= 3
        && (student.rank == 3
          ? student[1] == teacher[1] : student.dimensions[2...] == teacher.dimensions[2...])
    }
  }
}
