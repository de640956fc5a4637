// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
import Glibc
import OrderedCollections
public import Swiftlet

/// Options for the form of results and messages.
struct OutputOptions: ParsableArguments {
  @Flag(help: "Print the result as one JSON document on standard output.")
  var json = false

  @Flag(help: "Print no progress and no messages.")
  var quiet = false

  func validate() throws {
    if quiet { Console.beQuiet() }
  }
}

/// The option for the arithmetic of fp32 layers.
struct PrecisionOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Arithmetic of fp32 layers: fp32, or bf16, which is faster and less exact.",
      valueName: "name"))
  var precision = Precision.fp32
}

/// Options common to all commands; `bench` takes several numbers of threads instead of one.
struct CommonOptions: ParsableArguments {
  @OptionGroup var output: OutputOptions

  @Option(
    name: .customLong("threads"),
    help: ArgumentHelp("Number of threads. Default: one per processor.", valueName: "threads"))
  var threadCount: Int?

  func validate() throws { try check("--threads", threadCount ?? 1, 1...1024) }

  var json: Bool { output.json }

  var threads: Threads { threadCount.map(Threads.init(count:)) ?? .available }
}

/// Numbers separated by commas, such as `--batch 1,32,256`.
struct NumberList: ExpressibleByArgument {
  let values: [Int]

  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
    let numbers = parts.compactMap { Int($0) }
    guard numbers.count == parts.count else { return nil }
    values = numbers
  }

  /// - Throws: A usage error for a number that is not in 1...65536.
  func check(_ option: String) throws {
    for value in values { try SwiftletCLI.check(option, value, 1...65536) }
  }

  init(_ values: [Int]) { self.values = values }

  var defaultValueDescription: String { values.map(String.init).joined(separator: ",") }
}

extension OpenExtents {
  /// `H=224, W=224`; `nil` if only the batch is open.
  var text: String? {
    values.isEmpty ? nil : values.map { "\($0)=\($1)" }.joined(separator: ", ")
  }
}

extension Preset: ExpressibleByArgument {}
extension OptimizerKind: ExpressibleByArgument {}
extension Precision: ExpressibleByArgument {}
extension LearningRateSchedule.Kind: ExpressibleByArgument {}

/// The peak memory use of this process, in bytes.
func peakMemory() -> Int {
  var usage = rusage()
  unsafe getrusage(RUSAGE_SELF.rawValue, &usage)
  return usage.ru_maxrss * 1024
}

/// Formats rows as a table: the first column aligned left, the others right.
func table(_ rows: [[String]]) -> String {
  let widths = (0..<(rows.first?.count ?? 0)).map { column in
    rows.map { $0[column].count }.max() ?? 0
  }
  return rows.map { row in
    row.enumerated().map { column, cell in
      let space = String(repeating: " ", count: widths[column] - cell.count)
      return column == 0 ? cell + space : space + cell
    }.joined(separator: "  ")
  }.joined(separator: "\n")
}

/// A number with four significant digits, such as 1.234e-05.
func scientific(_ value: Double) -> String {
  guard value != 0, value.isFinite else { return "\(value)" }
  let (digits, exponent) = ReportNumber.decimal(value, decimals: 3)
  let text = fixed(digits, 3)
  return exponent == 0 ? text : "\(text)e\(exponent)"
}

extension Tensor {
  var dtypeName: String { Element.dtype.rawValue }
}
