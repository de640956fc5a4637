// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletGraph
import SwiftletRuntime

/// A teacher's answers to a student's training images: computed each time, or looked up.
public struct TeacherOutputs: Sendable {
  /// The answers to a part of a batch.
  public struct Part: Sendable {
    /// N×classes.
    public let logits: Tensor<Float>
    /// Internal values of the teacher, by name.
    public let values: [String: Tensor<Float>]

    /// Logits, N×classes, and values inside of the teacher.
    public init(logits: Tensor<Float>, values: [String: Tensor<Float>] = [:]) {
      self.logits = logits
      self.values = values
    }
  }

  private let runner: BatchRunner
  /// The name of the logits, followed by those of the requested values.
  let names: [String]
  /// The answers to all training images, in the order of `names`, if they are looked up.
  private(set) var rows: [Tensor<Float>]?

  /// `values` are the names of the requested values besides the logits.
  ///
  /// - Throws: `unsupported` or `badInput` if the teacher cannot be run, or does not compute them.
  public init(_ teacher: Graph, values: [String], threads: Threads) throws {
    guard teacher.dataInputs.count == 1, let output = teacher.withLogitsOutput().outputs.first
    else {
      throw SwiftletError(
        .unsupported, "a teacher must take one batch of images and return logits")
    }
    let graph = try teacher.showing(values)
    runner = try BatchRunner(Session(graph, threads: threads))
    names = [output.name] + values.filter { $0 != output.name }
  }

  /// Answers from these rows from now on: one per training image.
  mutating func use(_ rows: [Tensor<Float>]) { self.rows = rows }

  func run(_ input: Tensor<Float>) throws -> [Tensor<Float>] {
    let results = try locating("the teacher") { try runner.run(input) }
    return names.map { results[$0]! }
  }

  func answers(to part: ObjectiveInput) throws -> Part {
    let results = try rows.map { $0.map { $0.rows(part.indices) } } ?? run(part.input)
    return Part(
      logits: results[0], values: Dictionary(uniqueKeysWithValues: zip(names, results)))
  }
}
