// SPDX-License-Identifier: Apache-2.0

public import OrderedCollections
public import SwiftletCore

/// Distillation: the sum of some terms, as the objective of a ``Trainer``.
public struct Distiller: TrainingObjective {
  private let teacher: TeacherOutputs
  private let terms: [any DistillationTerm]
  public let watched: [String]
  public let parameters: OrderedDictionary<String, Tensor<Float>>

  /// The teacher must provide all values that the terms read; see ``teacherValues(_:)``.
  public init(_ teacher: TeacherOutputs, _ terms: [any DistillationTerm]) {
    self.teacher = teacher
    self.terms = terms
    watched = Array(OrderedSet(terms.flatMap(\.studentValues)))
    parameters = terms.reduce(into: [:]) { $0.merge($1.parameters) { first, _ in first } }
  }

  /// The teacher's values that the terms read, without duplicates.
  public static func teacherValues(_ terms: [any DistillationTerm]) -> [String] {
    Array(OrderedSet(terms.flatMap(\.teacherValues)))
  }

  public var name: String { "distillation: " + terms.map(\.summary).joined(separator: "; ") }

  public func evaluate(_ part: ObjectiveInput) throws -> ObjectiveResult {
    let answers = try teacher.answers(to: part)
    var sum = ObjectiveResult()
    for term in terms { sum.add(try term.evaluate(part, answers)) }
    return sum
  }
}
