// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Swiftlet

/// Whether a command runs models, whose steps can be limited, as its help shows it.
protocol LimitScope: Sendable {
  /// The help of `--max-steps`.
  static var steps: ArgumentHelp { get }
}

/// For commands that run models.
enum RunsModels: LimitScope {
  static var steps: ArgumentHelp {
    ArgumentHelp("Limit on the steps of a model's loops and branches per run.", valueName: "n")
  }
}

/// For commands that run no models. They still accept `--max-steps`, so that scripts can give all
/// commands the same limits.
enum RunsNoModels: LimitScope {
  static var steps: ArgumentHelp { .hidden }
}

/// Options that limit memory and steps.
struct LimitOptions<Scope: LimitScope>: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Memory limit for values, such as 512M or 16G. Default: 8G, or the machine's memory if less.",
      valueName: "size"))
  var maxMemory: ByteCount?

  @Option(help: Scope.steps)
  var maxSteps = StepLimit.standard

  func validate() throws {
    if let maxMemory {
      try check("--max-memory", maxMemory.value, 1...Int.max)
      MemoryLimit.bytes = maxMemory.value
    }
    try check("--max-steps", maxSteps, 1...Int.max)
    StepLimit.steps = maxSteps
  }
}

/// A number of bytes, such as 1048576, 512M or 16G, where K, M and G are powers of 1024.
struct ByteCount: ExpressibleByArgument {
  let value: Int

  init?(argument: String) {
    let shift = ["K": 10, "M": 20, "G": 30][argument.suffix(1).uppercased()]
    let digits = shift == nil ? argument[...] : argument.dropLast()
    guard digits.allSatisfy(\.isWholeNumber), let number = Int(digits) else { return nil }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << (shift ?? 0))
    guard !overflow else { return nil }
    value = bytes
  }
}
