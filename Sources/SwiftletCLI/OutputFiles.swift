import ArgumentParser
import Swiftlet

/// The files that a command is about to write: checked before the work begins, so that it can neither
/// be lost nor take the place of what it was made from.
struct OutputFiles {
  /// A path, and what the user calls it.
  typealias File = (path: String, name: String)

  let written: [File]
  let read: [File]

  /// - Parameter force: Whether files that are read may be replaced.
  /// - Throws: `io` for a file that cannot be written; `badInput` for one that is written twice, or is
  ///   read as well.
  func check(force: Bool = false) throws {
    for (index, file) in written.enumerated() {
      try AtomicFile.checkWritable(file.path)
      for other in written[..<index] where try AtomicFile.areSame(file.path, other.path) {
        throw SwiftletError(
          .badInput, "\(file.name) is the same file as \(other.name)", at: file.path,
          mend: "give it a name of its own")
      }
      guard !force else { continue }
      for other in read where try isSame(file.path, other.path) {
        throw SwiftletError(
          .badInput, "\(file.name) would replace \(other.name)", at: file.path,
          mend: "give it a name of its own, or use --force")
      }
    }
  }

  /// What is read may be a name of something else than a file, such as seed-cnn.
  private func isSame(_ output: String, _ input: String) throws -> Bool {
    guard InputFile.exists(input) else { return false }
    return try AtomicFile.areSame(output, input)
  }
}

struct ForceOptions: ParsableArguments {
  @Flag(help: "Replace files that the command reads, and the checkpoint of an earlier run.")
  var force = false
}
