// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// Bytes that a run derives from its files and reads again: the first 32 MiB in memory, others in a
/// temporary file without a name, which is gone with the process however it ends.
package final class Scratch: Sendable {
  private struct State {
    /// Bytes in memory, and in the file.
    var (held, written) = (0, 0)
    var file: Descriptor?
  }

  private let state = Mutex(State())
  /// The most bytes in memory.
  private let limit: Int
  private let folder: String

  /// - Parameters:
  ///   - limit: The most bytes to keep in memory.
  ///   - folder: For the temporary file; `nil`: `$TMPDIR`, else `/var/tmp`, which is for large
  ///     files, else `/tmp`.
  package init(limit: Int = 32 << 20, folder: String? = nil) {
    self.limit = min(limit, MemoryLimit.bytes / 8)
    self.folder = folder ?? Self.usualFolder
  }

  private static var usualFolder: String {
    if let chosen = unsafe getenv("TMPDIR").map({ unsafe String(cString: $0) }), !chosen.isEmpty {
      return chosen
    }
    return unsafe access("/var/tmp", W_OK) == 0 ? "/var/tmp" : "/tmp"
  }

  /// Keeps bytes that arrive piece by piece.
  ///
  /// - Parameters:
  ///   - count: Their number.
  ///   - name: What they are, for errors.
  ///   - produce: Passes them on, in order; too many or too few are its error.
  /// - Throws: `io` if the disk has no room for them, or the folder cannot be written to.
  package func keep(
    _ count: Int, name: String, _ produce: ((Span<UInt8>) throws -> Void) throws -> Void
  ) throws -> FileBytes {
    let isHeld = state.withLock { state in
      guard count <= limit - state.held else { return false }
      state.held += count
      return true
    }
    if isHeld {
      var bytes: [UInt8] = []
      bytes.reserveCapacity(count)
      try produce { part in
        precondition(part.count <= count - bytes.count, "more than \(count) bytes of \(name)")
        unsafe part.withUnsafeBufferPointer { unsafe bytes.append(contentsOf: $0) }
      }
      return FileBytes(bytes, name: name)
    }
    let (file, start) = try state.withLock { state in
      let file = try state.file ?? make()
      state.file = file
      try requireRoom(count, for: name, file)
      defer { state.written += count }
      return (file, state.written)
    }
    var done = 0
    try produce { part in
      precondition(part.count <= count - done, "more than \(count) bytes of \(name)")
      unsafe try part.withUnsafeBufferPointer {
        unsafe try file.write(UnsafeRawBufferPointer($0), at: start + done, folder)
      }
      done += part.count
    }
    return FileBytes(file, at: start, count: count, name: name)
  }

  private func make() throws -> Descriptor {
    let path = InputFile.join(folder, AtomicFile.asideName())
    let number = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600 as mode_t)
    guard number >= 0 else {
      throw SystemError.last(
        "cannot create a temporary file", at: folder,
        fix: "set TMPDIR to a folder that can be written to")
    }
    unsafe unlink(path)
    return Descriptor(number)
  }

  private func requireRoom(
    _ count: Int, for name: String, _ file: Descriptor
  ) throws {
    var info = statvfs()
    guard unsafe fstatvfs(file.number, &info) == 0 else {
      throw SystemError.last("cannot inspect the folder for temporary files", at: folder)
    }
    let (free, overflow) = Int(clamping: info.f_bavail).multipliedReportingOverflow(
      by: Int(clamping: info.f_frsize))
    // What others expand at the same time is counted as far as it is written.
    guard overflow || count <= free else {
      throw SwiftletError(
        .io, "\(name) expands to \(count) bytes, and \(free) are free in \(folder)",
        fix: "set TMPDIR to a folder with more room, or save without compression")
    }
  }
}
