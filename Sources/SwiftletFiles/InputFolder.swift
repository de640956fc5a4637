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

  /// Lists a folder. Symbolic links count as what they lead to; one that leads nowhere counts as a
  /// file, which cannot be read. Pipes and devices are left out.
  ///
  /// - Throws: `io` naming the path if it is not a readable folder, or if an entry cannot be
  ///   inspected, as in a circle of links; `badInput` for a name that is not UTF-8.
  package static func contents(_ path: String) throws -> Contents {
    try SystemError.checkPath(path)
    guard let stream = unsafe opendir(path) else {
      throw SystemError.last("cannot read the folder", at: path)
    }
    defer { unsafe closedir(stream) }
    var contents = Contents()
    while true {
      errno = 0
      guard let entry = unsafe readdir(stream) else { break }
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
        unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) {
          (valid: unsafe String(validatingCString: $0), shown: unsafe String(cString: $0))
        }
      }
      if name.shown.hasPrefix(".") { continue }
      guard let name = name.valid else {
        throw SwiftletError(
          .badInput, "a file name is not UTF-8", at: InputFile.join(path, name.shown),
          fix: "rename it")
      }
      try add(name, in: path, to: &contents)
    }
    guard errno == 0 else { throw SystemError.last("cannot read the folder", at: path) }
    contents.folders.sort(by: Self.precedes)
    contents.files.sort(by: Self.precedes)
    return contents
  }

  private static func add(_ name: String, in path: String, to contents: inout Contents) throws {
    let whole = InputFile.join(path, name)
    var info = stat()
    if unsafe stat(whole, &info) != 0 {
      guard errno == ENOENT else { throw SystemError.last("cannot inspect the file", at: whole) }
      return contents.files.append(name)
    }
    switch info.st_mode & S_IFMT {
    case S_IFDIR: contents.folders.append(name)
    case S_IFREG: contents.files.append(name)
    default: break
    }
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
