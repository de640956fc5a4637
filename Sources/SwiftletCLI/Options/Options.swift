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

/// Options that limit memory and steps.
struct LimitOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Memory limit for values, such as 512M or 16G. Default: 8G, or the machine's memory if less.",
      valueName: "size"))
  var maxMemory: ByteCount?

  @Option(
    help: ArgumentHelp(
      "Limit on the steps of a model's loops and branches per run.", valueName: "n"))
  var maxSteps = StepLimit.standard

  func validate() throws {
    try check("--max-steps", maxSteps, 1...Int.max)
    StepLimit.steps = maxSteps
    if let maxMemory { MemoryLimit.bytes = maxMemory.value }
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
    guard !overflow, bytes > 0 else { return nil }
    value = bytes
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

/// Options for the data to use.
struct DataOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Images, such as images:DIR, list:FILE.csv, fashion-mnist or cifar10:DIR:train[0..<1000]; or, "
        + "for compress and sensitivity, inputs:FILE.npz. See 'swiftlet help data'.",
      valueName: "spec"))
  var data: String?

  @Option(
    help: ArgumentHelp(
      "Where to look for fashion-mnist first, before $SWIFTLET_DATA and Debian's package.",
      valueName: "dir"))
  var dataDir: String?

  /// - Throws: A usage error if there is no `--data`.
  func require() throws {
    if data == nil { throw ValidationError("Missing expected argument '--data <spec>'") }
  }

  /// The value of `--data`; empty if there is none.
  var spec: String { data ?? "" }

  /// Arrays by input name from `inputs:FILE.npz`; `nil` if `--data` names images.
  func unlabelledInputs() throws -> [String: AnyTensor]? {
    InputArrays.areNamed(by: spec) ? try InputArrays.read(spec) : nil
  }

  /// Calibration samples: unlabelled inputs, or training images.
  func calibrationSource(
    for graph: Graph, limit: Int, _ samples: SampleOptions, threads: Threads
  ) throws -> CalibrationSource {
    var source: CalibrationSource
    if let inputs = try unlabelledInputs() {
      source = try CalibrationSource(
        inputs, for: graph, fixed: samples.fixedInputs(), limit: limit)
    } else {
      source = try CalibrationSource(load(.train), for: graph, limit: limit, threads: threads)
    }
    source.outputs = samples.judgedOutput
    return source
  }

  /// Loads the images of the given part, unless `--data` names another one.
  func load(_ part: DataSpec.Part) throws -> ImageDataset {
    try DataSpec(parsing: spec).load(defaultPart: part, dataDirectory: dataDir)
  }
}

/// Numbers separated by commas, such as `--batch 1,32,256`.
struct NumberList: ExpressibleByArgument {
  let values: [Int]

  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
    let numbers = parts.compactMap { Int($0) }
    guard numbers.count == parts.count, numbers.allSatisfy({ 1...65536 ~= $0 }) else { return nil }
    values = numbers
  }

  init(_ values: [Int]) { self.values = values }

  var defaultValueDescription: String { values.map(String.init).joined(separator: ",") }
}

/// An extent with its name: `sequence=128`.
struct NamedExtent: ExpressibleByArgument {
  let name: String
  let extent: Int

  init?(argument: String) {
    let parts = argument.split(separator: "=", omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[0].isEmpty, let extent = Int(parts[1]), 1...(1 << 24) ~= extent
    else { return nil }
    (name, self.extent) = (String(parts[0]), extent)
  }
}

/// Options for the symbolic extents of a model.
struct ExtentOptions: ParsableArguments {
  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Size of an open dimension, named by its symbol or as INPUT[AXIS]; may be repeated. Default: "
        + "from the data, else a guess.",
      valueName: "name=number"))
  var extent: [NamedExtent] = []

  /// The given extents, by the model's names.
  ///
  /// - Throws: `badInput` for an extent that the model does not leave open.
  func extents(for graph: Graph) throws -> [String: Int] {
    let named = try extent.map { extent in
      guard let name = graph.openExtentName(extent.name) else {
        let known = graph.openExtentNames
        throw SwiftletError(
          .badInput, "no input has an open extent '\(extent.name)'", at: "--extent",
          mend: known.isEmpty
            ? "the model has no open extents" : "use one of " + known.joined(separator: ", "))
      }
      return (name, extent.extent)
    }
    return Dictionary(named) { $1 }
  }

  /// Reads a model and sets the given extents.
  ///
  /// - Throws: The errors of `ONNXFile.read`; `badInput` for an extent that the model does not
  ///   leave open.
  func read(_ model: String) throws -> Graph {
    var graph = try ONNXFile.read(model)
    graph.extents = try locating(model) { try extents(for: graph) }
    return graph
  }
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
