// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Swiftlet

/// The files that a command will write. They are checked before the work begins, so that results
/// are not lost and inputs are not overwritten.
struct OutputFiles {
  /// A path, and its name in errors.
  typealias File = (path: String, name: String)

  let written: [File]
  let read: [File]

  /// Checks that files can be written.
  ///
  /// - Parameter force: Whether input files may be replaced; `nil` for a command without `--force`.
  /// - Throws: `io` for a file that cannot be written; `badInput` for a file that is written twice
  ///   or also read.
  func check(force: Bool? = nil) throws {
    for (index, file) in written.enumerated() {
      try AtomicFile.checkWritable(file.path)
      for other in written[..<index] where try AtomicFile.areSame(file.path, other.path) {
        throw SwiftletError(
          .badInput, "\(file.name) is the same file as \(other.name)", at: file.path,
          fix: "choose another name")
      }
      guard force != true else { continue }
      for other in read where try isSame(file.path, other.path) {
        throw SwiftletError(
          .badInput, "\(file.name) would replace \(other.name)", at: file.path,
          fix: "choose another name" + (force == nil ? "" : ", or use --force"))
      }
    }
  }

  /// Inputs may be names of other things than files, such as seed-cnn.
  private func isSame(_ output: String, _ input: String) throws -> Bool {
    guard InputFile.exists(input) else { return false }
    return try AtomicFile.replaces(output, input)
  }

  /// The files that the data for calibration, training and judging comes from.
  static func files(
    of data: DataOptions<some DataScope>, _ judging: JudgingOptions,
    _ preprocess: PreprocessOptions, fixed: [FixedArgument] = []
  ) -> [File] {
    func named(_ text: String?, _ name: String) -> [File] {
      guard let text else { return [] }
      return DataFiles.paths(of: text, dataDirectory: data.dataDir).map { ($0, name) }
    }
    return named(data.data, "a file of --data") + named(judging.judge, "a file of --judge")
      + (preprocess.file.map { [($0, "--preprocess")] } ?? [])
      + fixed.compactMap { argument in argument.file.map { ($0, "a file of --fixed") } }
  }
}

/// The option `--force`.
struct ForceOptions: ParsableArguments {
  @Flag(help: "Overwrite input files, and discard the checkpoint of an earlier run.")
  var force = false
}
