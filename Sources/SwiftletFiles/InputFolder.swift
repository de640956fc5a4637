// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

#if canImport(Glibc)
  import Glibc
#endif

/// Folders that are read.
package enum InputFolder {
  /// What a folder contains, sorted by the bytes of the names; hidden files are left out.
  package struct Contents {
    /// The names of the folders in it.
    package fileprivate(set) var folders: [String] = []
    /// The names of the regular files in it.
    package fileprivate(set) var files: [String] = []
  }

  /// Lists a folder. Symbolic links count as what they lead to; those that lead nowhere, and
  /// pipes and devices, are left out.
  ///
  /// - Throws: `io` naming the path if it is not a readable folder.
  package static func contents(_ path: String) throws -> Contents {
    try SystemError.checkPath(path)
    guard let stream = unsafe opendir(path) else {
      throw SystemError.last("cannot read the folder", at: path)
    }
    defer { unsafe closedir(stream) }
    var contents = Contents()
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
        unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if name.hasPrefix(".") { continue }
      var info = stat()
      guard unsafe stat(InputFile.join(path, name), &info) == 0 else { continue }
      switch info.st_mode & S_IFMT {
      case S_IFDIR: contents.folders.append(name)
      case S_IFREG: contents.files.append(name)
      default: break
      }
    }
    contents.folders.sort(by: Self.precedes)
    contents.files.sort(by: Self.precedes)
    return contents
  }

  /// Whether `path` names a folder.
  package static func exists(_ path: String) -> Bool {
    var info = stat()
    return unsafe !path.utf8.contains(0) && stat(path, &info) == 0
      && info.st_mode & S_IFMT == S_IFDIR
  }

  /// Python sorts names by code point, which is the order of their UTF-8 bytes.
  private static func precedes(_ a: String, _ b: String) -> Bool {
    a.utf8.lexicographicallyPrecedes(b.utf8)
  }
}
