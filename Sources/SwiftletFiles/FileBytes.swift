// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// The bytes of a file of any size, read where they are needed, or bytes that are in memory.
///
/// They are read, not mapped: when another program cuts a mapped file short, access to it ends the
/// process; and mappings take address space, which may be limited (`ulimit -v`). Both go through
/// the system's page cache, so bytes that were read lately are in memory while there is room.
///
/// A data set may consist of thousands of files, and a process may open about a thousand. Files are
/// opened when they are read, and the most recently used ones stay open.
package final class FileBytes: Sendable {
  private enum Storage: Sendable {
    case memory([UInt8])
    /// A file that can be opened again, and what identifies its contents.
    case named(identity: String)
    /// A part of a file without a name.
    case part(of: Descriptor, start: Int)
  }

  private let storage: Storage
  /// The number of bytes.
  package let count: Int
  /// The path, or a name for errors.
  package let path: String

  /// Bytes that are already in memory.
  package init(_ bytes: [UInt8], name: String) {
    (storage, count, path) = (.memory(bytes), bytes.count, name)
  }

  /// A regular file, whatever its size. Nothing is read yet.
  ///
  /// - Throws: `io` naming the path if the file is missing, not readable or not a regular file.
  package init(reading path: String) throws {
    let (descriptor, size) = try InputFile.open(path, limit: .max)
    let open = Descriptor(descriptor)
    (count, self.path) = (size, path)
    storage = .named(identity: try open.identity(path))
    OpenFiles.keep(open, for: ObjectIdentifier(self))
  }

  /// A part of an open file.
  init(_ descriptor: Descriptor, at start: Int, count: Int, name: String) {
    (storage, self.count, path) = (.part(of: descriptor, start: start), count, name)
  }

  deinit {
    if case .named = storage { OpenFiles.forget(ObjectIdentifier(self)) }
  }

  /// Whether the bytes are in memory.
  package var isInMemory: Bool { if case .memory = storage { true } else { false } }

  /// The bytes of a range.
  ///
  /// - Precondition: The range lies in the file.
  /// - Throws: `io` if they cannot be read, or the file has changed since it was opened;
  ///   `outOfMemory` if there is no memory for them.
  package func bytes(in range: Range<Int>) throws -> ArraySlice<UInt8> {
    if case .memory(let bytes) = storage { return bytes[range] }
    try MemoryLimit.requireAvailable(Double(range.count), for: "\(range.count) bytes of \(path)")
    return unsafe try [UInt8](unsafeUninitializedCapacity: range.count) { buffer, filled in
      if let start = buffer.baseAddress {
        unsafe try read(range, to: UnsafeMutableRawPointer(start))
      }
      filled = range.count
    }[...]
  }

  /// Copies the bytes of a range to memory, which must have room for them.
  ///
  /// - Precondition: The range lies in the file.
  /// - Throws: `io` as ``bytes(in:)``.
  @unsafe package func read(_ range: Range<Int>, to target: UnsafeMutableRawPointer) throws {
    precondition(0 <= range.lowerBound && range.upperBound <= count, "bytes outside of \(path)")
    guard !range.isEmpty else { return }
    switch storage {
    case .memory(let bytes):
      unsafe bytes.withUnsafeBytes { source in
        unsafe target.copyMemory(
          from: source.baseAddress! + range.lowerBound, byteCount: range.count)
      }
    case .named(let identity):
      unsafe try opened(identity).read(range, to: target, path)
    case .part(let descriptor, let start):
      let place = start + range.lowerBound..<start + range.upperBound
      unsafe try descriptor.read(place, to: target, path)
    }
  }

  private func opened(_ identity: String) throws -> Descriptor {
    if let descriptor = OpenFiles.descriptor(of: ObjectIdentifier(self)) { return descriptor }
    let descriptor = Descriptor(try InputFile.open(path, limit: .max).descriptor)
    guard try descriptor.identity(path) == identity else { throw Descriptor.changed(path) }
    OpenFiles.keep(descriptor, for: ObjectIdentifier(self))
    return descriptor
  }
}

/// An open file, closed with the last reference.
final class Descriptor: Sendable {
  let number: Int32

  init(_ number: Int32) { self.number = number }

  deinit { close(number) }

  /// As ``InputFile/identity(_:)``.
  func identity(_ path: String) throws -> String {
    var info = stat()
    guard unsafe fstat(number, &info) == 0 else {
      throw SystemError.last("cannot read the file", at: path)
    }
    return InputFile.identity(info)
  }

  static func changed(_ path: String) -> SwiftletError {
    SwiftletError(
      .io, "the file has changed since it was opened", at: path,
      fix: "leave data alone while they are in use")
  }

  @unsafe func read(
    _ range: Range<Int>, to target: UnsafeMutableRawPointer, _ path: String
  ) throws {
    var done = 0
    while done < range.count {
      let got = unsafe pread(number, target + done, range.count - done, range.lowerBound + done)
      if got < 0 && errno == EINTR { continue }
      guard got >= 0 else { throw SystemError.last("cannot read the file", at: path) }
      guard got > 0 else { throw Self.changed(path) }
      done += got
    }
  }

  @unsafe func write(
    _ source: UnsafeRawBufferPointer, at offset: Int, _ path: String
  ) throws {
    var done = 0
    while done < source.count {
      let got = unsafe pwrite(
        number, source.baseAddress! + done, source.count - done, offset + done)
      if got < 0 && errno == EINTR { continue }
      guard got > 0 else { throw SystemError.last("cannot write a temporary file", at: path) }
      done += got
    }
  }
}

/// The files that were read most recently, which stay open.
private enum OpenFiles {
  private static let limit = 32
  /// The latest one is last.
  private static let files = Mutex<[(file: ObjectIdentifier, descriptor: Descriptor)]>([])

  static func descriptor(of file: ObjectIdentifier) -> Descriptor? {
    files.withLock { files in
      guard let place = files.lastIndex(where: { $0.file == file }) else { return nil }
      let found = files.remove(at: place)
      files.append(found)
      return found.descriptor
    }
  }

  static func keep(_ descriptor: Descriptor, for file: ObjectIdentifier) {
    files.withLock { files in
      files.removeAll { $0.file == file }
      if files.count == limit { files.removeFirst() }
      files.append((file, descriptor))
    }
  }

  static func forget(_ file: ObjectIdentifier) {
    files.withLock { files in files.removeAll { $0.file == file } }
  }
}
