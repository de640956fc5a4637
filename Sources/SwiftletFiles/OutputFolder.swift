// SPDX-License-Identifier: Apache-2.0

import Glibc
import SwiftletCore

/// Folders for output files.
package enum OutputFolder {
  /// Creates a folder and its missing parents.
  ///
  /// - Throws: `io` naming the path if it cannot be created.
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
