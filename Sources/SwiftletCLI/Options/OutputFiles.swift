// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Swiftlet

/// The files that a command is about to write: checked before the work begins, so that it can
/// neither be lost nor take the place of what it was made from.
struct OutputFiles {
  /// A path, and what the user calls it.
  typealias File = (path: String, name: String)

  let written: [File]
  let read: [File]

  /// - Parameter force: Whether files that are read may be replaced; `nil` for a command without
  ///   `--force`.
  /// - Throws: `io` for a file that cannot be written; `badInput` for one that is written twice, or
  ///   is read as well.
  func check(force: Bool? = nil) throws {
    for (index, file) in written.enumerated() {
      try AtomicFile.checkWritable(file.path)
      for other in written[..<index] where try AtomicFile.areSame(file.path, other.path) {
        throw SwiftletError(
          .badInput, "\(file.name) is the same file as \(other.name)", at: file.path,
          mend: "give it a name of its own")
      }
      guard force != true else { continue }
      for other in read where try isSame(file.path, other.path) {
        throw SwiftletError(
          .badInput, "\(file.name) would replace \(other.name)", at: file.path,
          mend: "give it a name of its own" + (force == nil ? "" : ", or use --force"))
      }
    }
  }

  /// What is read may be a name of something else than a file, such as seed-cnn.
  private func isSame(_ output: String, _ input: String) throws -> Bool {
    guard InputFile.exists(input) else { return false }
    return try AtomicFile.replaces(output, input)
  }

  /// The files that samples to calibrate, train and judge with come from.
  static func files(
    of data: DataOptions, _ judging: JudgingOptions, fixed: [FixedArgument] = []
  ) -> [File] {
    func named(_ text: String?, _ name: String) -> [File] {
      guard let text else { return [] }
      return DataFiles.paths(of: text, dataDirectory: data.dataDir).map { ($0, name) }
    }
    return named(data.data, "a file of --data") + named(judging.judge, "a file of --judge")
      + fixed.compactMap { argument in argument.file.map { ($0, "a file of --fixed") } }
  }
}

struct ForceOptions: ParsableArguments {
  @Flag(help: "Replace files that the command reads, and the checkpoint of an earlier run.")
  var force = false
}
