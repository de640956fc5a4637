// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

#if canImport(Glibc)
  import Glibc
#endif

/// Files that are read as a whole.
package enum InputFile {
  /// The default limit on the size of a file, and of a tensor in it.
  package static var defaultLimit: Int { MemoryLimit.bytes }

  /// Opens a regular file, and returns its size in bytes.
  ///
  /// - Parameter isPlain: Whether symbolic and hard links are rejected: a path in an untrusted file
  ///   must not refer to another file through a link.
  /// - Throws: As ``read(_:limit:)``; `badInput` for links.
  static func open(
    _ path: String, limit: Int, isPlain: Bool = false
  ) throws -> (descriptor: Int32, size: Int) {
    try SystemError.checkPath(path)
    // Without O_NONBLOCK, opening a pipe would wait for its writer.
    let descriptor = unsafe Glibc.open(
      path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (isPlain ? O_NOFOLLOW : 0))
    guard descriptor >= 0 else {
      if isPlain && errno == ELOOP {
        throw SwiftletError(.badInput, "the file is a symbolic link", at: path, fix: "copy it")
      }
      throw SystemError.last("cannot read the file", at: path)
    }
    do {
      var info = stat()
      guard unsafe fstat(descriptor, &info) == 0 else {
        throw SystemError.last("cannot read the file", at: path)
      }
      try SystemError.checkRegular(info, at: path)
      guard !isPlain || info.st_nlink <= 1 else {
        throw SwiftletError(
          .badInput, "the file has \(info.st_nlink) hard links, but must have one", at: path,
          fix: "copy it")
      }
      let size = Int(info.st_size)
      guard size <= limit else {
        throw SwiftletError(
          .badInput, "the file has \(size) bytes, more than the limit of \(limit)", at: path)
      }
      return (descriptor, size)
    } catch {
      close(descriptor)
      throw error
    }
  }

  /// The bytes of a regular file.
  ///
  /// Memory is allocated for the actual size of the file, never for a claimed one.
  ///
  /// - Throws: `io` naming the path if the file is missing, not readable or not a regular file;
  ///   `badInput` if it is larger than `limit` bytes; `outOfMemory` if the machine has no memory
  ///   for it and its contents.
  package static func read(_ path: String, limit: Int = defaultLimit) throws -> [UInt8] {
    let (descriptor, size) = try open(path, limit: limit)
    defer { close(descriptor) }
    try locating(path) {
      try MemoryLimit.requireAvailable(2 * Double(size), for: "a file of \(size) bytes")
    }
    return unsafe try [UInt8](unsafeUninitializedCapacity: size) { buffer, filled in
      while filled < size {
        let got = unsafe Glibc.read(descriptor, buffer.baseAddress! + filled, size - filled)
        if got < 0 && errno == EINTR { continue }
        guard got >= 0 else { throw SystemError.last("cannot read the file", at: path) }
        if got == 0 { break }  // the file has shrunk; the parser reports what is missing
        filled += got
      }
    }
  }

  /// Whether `path` names a regular file.
  package static func exists(_ path: String) -> Bool {
    var info = stat()
    return unsafe !path.utf8.contains(0) && stat(path, &info) == 0
      && info.st_mode & S_IFMT == S_IFREG
  }

  /// What a file is and how it was last changed, as far as the system says: equal for two paths
  /// of one file. The path if there is none.
  package static func identity(_ path: String) -> String {
    var info = stat()
    guard unsafe !path.utf8.contains(0) && stat(path, &info) == 0 else { return path }
    return identity(info)
  }

  static func identity(_ info: stat) -> String {
    "\(info.st_dev) \(info.st_ino) \(info.st_size) \(info.st_mtim.tv_sec) "
      + "\(info.st_mtim.tv_nsec)"
  }

  /// The path of `name` inside `folder`.
  package static func join(_ folder: String, _ name: String) -> String {
    folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
  }
}

/// Errors of the operating system.
enum SystemError {
  /// The error for the current `errno`.
  static func last(_ what: String, at path: String, fix: String? = nil) -> SwiftletError {
    let code = errno
    let hint: String? =
      switch code {
      case ENOENT: "check the path"
      case EACCES, EPERM: "check the permissions"
      case ENOSPC, EDQUOT, EFBIG: "free some space or write elsewhere"
      default: nil
      }
    let reason = unsafe String(cString: strerror(code))
    return SwiftletError(.io, "\(what): \(reason)", at: path, fix: fix ?? hint)
  }

  /// - Throws: `badInput` for an empty path, and for one with a NUL character.
  static func checkPath(_ path: String) throws {
    guard !path.isEmpty else { throw SwiftletError(.badInput, "the file name is empty") }
    guard !path.utf8.contains(0) else {
      throw SwiftletError(.badInput, "the file name has a NUL character", at: path)
    }
  }

  /// - Throws: `io` if `path` is a folder, a pipe or a device.
  static func checkRegular(_ info: stat, at path: String) throws {
    switch info.st_mode & S_IFMT {
    case S_IFREG: return
    case S_IFDIR:
      throw SwiftletError(.io, "this is a folder, not a file", at: path, fix: "name a file in it")
    default:
      throw SwiftletError(.io, "this is a device or a pipe, not a file", at: path)
    }
  }
}
