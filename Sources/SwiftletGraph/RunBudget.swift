import SwiftletCore
import Synchronization

/// What one run, with the graphs inside of its graph, has used of what it may use: bytes of values
/// alive, and steps of inner graphs. A damaged model may ask for 10⁹ turns of a loop, or nest
/// branches so that looking at them doubles the work at every level.
///
/// The budget is that of the task that runs the model: operators with inner graphs run those on the
/// same task, and thereby share it.
final class RunBudget: Sendable {
  @TaskLocal private static var current: RunBudget?

  private let bytes = Atomic(0)
  private let steps = Atomic(0)

  /// Gives `body` the budget of the run under way, or a new one.
  static func within<Result>(_ body: (RunBudget) throws -> Result) rethrows -> Result {
    if let current { return try body(current) }
    let budget = RunBudget()
    return try $current.withValue(budget) { try body(budget) }
  }

  /// - Throws: `badInput` if inner graphs have taken more steps than ``StepLimit`` allows.
  func takeStep() throws {
    let limit = StepLimit.steps
    guard steps.add(1, ordering: .relaxed).newValue <= limit else {
      throw SwiftletError(
        .badInput, "loops and branches take more than \(limit) steps",
        mend: "allow more with --max-steps")
    }
  }

  /// Counts values that come alive; a negative number counts those that are gone.
  ///
  /// - Throws: `outOfMemory` if more bytes are alive than ``MemoryLimit`` allows.
  func take(_ count: Int) throws {
    let limit = MemoryLimit.bytes
    guard bytes.add(count, ordering: .relaxed).newValue <= limit else {
      bytes.subtract(count, ordering: .relaxed)
      throw SwiftletError(
        .outOfMemory, "the values of the run take more than the limit of \(limit) bytes",
        mend: "use a smaller batch or a larger --max-memory")
    }
  }

  /// Checks that so many more bytes could come alive.
  func check(_ count: Int) throws {
    try take(count)
    give(count)
  }

  func give(_ count: Int) { bytes.subtract(count, ordering: .relaxed) }
}

/// How many steps all inner graphs of a run may take together, in inference and in the run itself.
///
/// One setting for the process. A step of a small operator takes a microsecond or two.
public enum StepLimit {
  public static let standard = 500_000
  private static let chosen = Atomic(standard)

  public static var steps: Int {
    get { chosen.load(ordering: .relaxed) }
    set { chosen.store(newValue, ordering: .relaxed) }
  }
}
