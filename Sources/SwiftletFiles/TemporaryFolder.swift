// SPDX-License-Identifier: Apache-2.0

import Glibc
import SwiftletCore

/// Folders for files that are needed only for a moment.
package enum TemporaryFolder {
  /// Creates a folder in `$TMPDIR`, or else in `/tmp`, that only this user can read, and removes it
  /// with the files in it when `body` has returned or thrown.
  ///
  /// - Throws: `io` if it cannot be created, and the errors of `body`.
  package static func with<Result>(_ body: (_ path: String) throws -> Result) throws -> Result {
    let parent = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? ""
    let template = "\(parent.hasPrefix("/") ? parent : "/tmp")/swiftlet.XXXXXX"
    var bytes = template.utf8.map(CChar.init(bitPattern:)) + [0]
    guard unsafe mkdtemp(&bytes) != nil else {
      throw SystemError.last(
        "cannot create a temporary folder", at: template, fix: "set TMPDIR to a folder with space")
    }
    let path = String(decoding: bytes.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    defer { remove(path) }
    return try body(path)
  }

  private static func remove(_ path: String) {
    if let folder = unsafe opendir(path) {
      while let entry = unsafe readdir(folder) {
        let name = unsafe withUnsafePointer(to: entry.pointee.d_name) { name in
          unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) {
            unsafe String(cString: $0)
          }
        }
        if name != "." && name != ".." { unsafe unlink("\(path)/\(name)") }
      }
      unsafe closedir(folder)
    }
    unsafe rmdir(path)
  }
}
