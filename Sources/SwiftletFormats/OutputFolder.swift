import Glibc
import SwiftletCore

/// Folders to write files into.
package enum OutputFolder {
  /// Makes a folder, and those above it, where they are missing.
  ///
  /// - Throws: `io` naming the path if it cannot be made.
  package static func create(_ path: String) throws {
    try SystemError.checkPath(path)
    guard !exists(path) else { return }
    let parent = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
      .joined(separator: "/")
    if !parent.isEmpty { try create(parent) }
    guard unsafe mkdir(path, 0o777) == 0 || exists(path) else {
      throw SystemError.last("cannot create the folder", at: path)
    }
  }

  package static func exists(_ path: String) -> Bool {
    var info = stat()
    return unsafe stat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFDIR
  }
}
