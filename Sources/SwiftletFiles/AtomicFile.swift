// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

#if canImport(Glibc)
  import Glibc
#endif

/// Files that appear complete or not at all.
package enum AtomicFile {
  /// Replaces the file at `path` by one that contains `bytes`.
  ///
  /// The bytes are written to a temporary file in the same folder, synced and then renamed, so a
  /// killed or failed run leaves the previous file. The file keeps its permissions. A symbolic link
  /// at `path` is replaced, not followed.
  ///
  /// - Throws: `io` naming the path, with nothing changed and no temporary file left, if the folder
  ///   is missing or not writable, `path` is not a regular file, or the disk is full.
  package static func write(_ bytes: [UInt8], to path: String) throws {
    let folder = try Folder.holding(path)
    let existing = try folder.checkTarget()
    let aside = asideName()
    let file = try folder.create(aside)
    do {
      defer { close(file) }
      if let existing { fchmod(file, existing.st_mode & 0o777) }
      try append(bytes, to: file, folder: folder)
      guard retrying({ fsync(file) }) else { throw folder.failure("cannot write the file") }
      let renamed = unsafe renameat(folder.descriptor, aside, folder.descriptor, folder.name)
      guard renamed == 0 else { throw folder.failure("cannot replace the file") }
    } catch {
      folder.remove(aside)
      throw error
    }
    // Some file systems cannot sync a folder and return EINVAL; their renames need no sync.
    guard retrying({ fsync(folder.descriptor) }) || errno == EINVAL else {
      throw folder.failure("the file is in place but may not survive a power failure")
    }
  }

  /// Replaces the file at `path` by the UTF-8 of `text`; see ``write(_:to:)``.
  package static func write(_ text: String, to path: String) throws {
    try write(Array(text.utf8), to: path)
  }

  /// Checks that ``write(_:to:)`` can be expected to work: for long tasks, before they start.
  /// Creates an empty file next to `path` and removes it again.
  ///
  /// - Throws: As ``write(_:to:)``, except for a full disk.
  package static func checkWritable(_ path: String) throws {
    let folder = try Folder.holding(path)
    _ = try folder.checkTarget()
    let aside = asideName()
    close(try folder.create(aside))
    folder.remove(aside)
  }

  /// Whether two paths name the same entry of the same folder, so that writing one replaces the
  /// other. A link to a file is a separate entry.
  ///
  /// - Throws: `io` if a folder cannot be opened.
  package static func areSame(_ first: String, _ second: String) throws -> Bool {
    let a = try Folder.holding(first)
    let b = try Folder.holding(second)
    guard a.name == b.name else { return false }
    var (left, right) = (stat(), stat())
    guard unsafe fstat(a.descriptor, &left) == 0, unsafe fstat(b.descriptor, &right) == 0 else {
      throw a.failure("cannot inspect the folder")
    }
    return left.st_dev == right.st_dev && left.st_ino == right.st_ino
  }

  /// Whether writing the first path would replace the file that reading the second one finds, by
  /// whatever links.
  ///
  /// - Throws: As ``areSame(_:_:)``.
  package static func replaces(_ output: String, _ input: String) throws -> Bool {
    // Most files are others, which takes two looks at inodes to see: data sets have a million.
    var (entry, found) = (stat(), stat())
    guard unsafe lstat(output, &entry) == 0 else { return false }
    let isEntry = unsafe lstat(input, &found) == 0 && entry.st_ino == found.st_ino
    let isTarget = unsafe stat(input, &found) == 0 && entry.st_ino == found.st_ino
    guard isEntry || isTarget else { return false }
    if try areSame(output, input) { return true }
    guard let target = unsafe realpath(input, nil) else { return false }
    defer { unsafe free(target) }
    return try areSame(output, unsafe String(cString: target))
  }

  /// A name that no file has.
  static func asideName() -> String {
    ".swiftlet-\(String(UInt64.random(in: 0 ... .max), radix: 36)).tmp"
  }

  private static func append(
    _ bytes: [UInt8], to file: Int32, folder: borrowing Folder
  ) throws {
    var written = 0
    while written < bytes.count {
      let count = unsafe bytes.withUnsafeBufferPointer { buffer in
        unsafe Glibc.write(file, buffer.baseAddress! + written, buffer.count - written)
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw folder.failure("cannot write the file") }
      written += count
    }
  }

  /// Whether `call` succeeds, retrying while signals interrupt it.
  private static func retrying(_ call: () -> Int32) -> Bool {
    while true {
      if call() == 0 { return true }
      if errno != EINTR { return false }
    }
  }
}

/// The open folder that a file is written into.
private struct Folder: ~Copyable {
  let descriptor: Int32
  /// The name of the file in the folder.
  let name: String
  /// The whole path, for errors.
  let path: String

  private init(descriptor: Int32, name: String, path: String) {
    self.descriptor = descriptor
    self.name = name
    self.path = path
  }

  deinit { close(descriptor) }

  static func holding(_ path: String) throws -> Folder {
    try SystemError.checkPath(path)
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    let name = String(parts[parts.count - 1])
    guard !["", ".", ".."].contains(name) else {
      throw SwiftletError(.io, "this is a folder, not a file", at: path, fix: "name a file in it")
    }
    let folder = parts.count == 1 ? "." : parts.dropLast().joined(separator: "/") + "/"
    let descriptor = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw SystemError.last(
        "cannot open the folder to write into", at: path,
        fix: errno == ENOENT ? "create the folder '\(folder)' first" : nil)
    }
    return Folder(descriptor: descriptor, name: name, path: path)
  }

  /// The status of the file to be replaced, if there is one.
  ///
  /// - Throws: `io` if it is not a regular file. Renaming over `/dev/null` would remove it.
  func checkTarget() throws -> stat? {
    var info = stat()
    guard unsafe fstatat(descriptor, name, &info, 0) == 0 else {
      if errno == ENOENT { return nil }
      throw failure("cannot write the file")
    }
    try SystemError.checkRegular(info, at: path)
    return info
  }

  /// Opens a new file for writing.
  func create(_ name: String) throws -> Int32 {
    let file = unsafe openat(
      descriptor, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666 as mode_t)
    guard file >= 0 else { throw failure("cannot create a file in this folder") }
    return file
  }

  func remove(_ name: String) { _ = unsafe unlinkat(descriptor, name, 0) }

  func failure(_ what: String) -> SwiftletError { SystemError.last(what, at: path) }
}
