// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import Synchronization

/// The resources that one run, including its subgraphs, has used: bytes of live values, and steps
/// of subgraphs. A damaged model may request 10⁹ loop iterations, or nest branches so that
/// examining them doubles the work at every level.
///
/// The budget belongs to the task that runs the model: operators with subgraphs run them on the
/// same task and thereby share it.
final class RunBudget: Sendable {
  @TaskLocal private static var current: RunBudget?

  private let bytes = Atomic(0)
  private let steps = Atomic(0)

  /// Gives `body` the budget of the current run, or a new one.
  static func within<Result>(_ body: (RunBudget) throws -> Result) rethrows -> Result {
    if let current { return try body(current) }
    let budget = RunBudget()
    return try $current.withValue(budget) { try body(budget) }
  }

  /// - Throws: `badInput` if subgraphs have taken more steps than ``StepLimit`` allows.
  func takeStep() throws {
    let limit = StepLimit.steps
    guard steps.add(1, ordering: .relaxed).newValue <= limit else {
      throw SwiftletError(
        .badInput, "loops and branches take more than \(limit) steps",
        fix: "allow more with --max-steps")
    }
  }

  /// Counts values that become live; a negative number counts released ones.
  ///
  /// - Throws: `outOfMemory` if more bytes are live than ``MemoryLimit`` allows.
  func take(_ count: Int) throws {
    let limit = MemoryLimit.bytes
    guard bytes.add(count, ordering: .relaxed).newValue <= limit else {
      bytes.subtract(count, ordering: .relaxed)
      throw SwiftletError(
        .outOfMemory, "the values of the run take more than the limit of \(limit) bytes",
        fix: "use a smaller batch or a larger --max-memory")
    }
  }

  /// Checks that this many more bytes could become live.
  func check(_ count: Int) throws {
    try take(count)
    give(count)
  }

  func give(_ count: Int) { bytes.subtract(count, ordering: .relaxed) }
}

/// The maximum number of steps of all subgraphs of a run, in inference and in the run itself.
///
/// The setting is process-wide. A step of a small operator takes a microsecond or two.
public enum StepLimit {
  /// The limit until it is set.
  public static let standard = 500_000
  private static let chosen = Atomic(standard)

  /// The limit in force; read at the start of each run.
  public static var steps: Int {
    get { chosen.load(ordering: .relaxed) }
    set { chosen.store(newValue, ordering: .relaxed) }
  }
}
