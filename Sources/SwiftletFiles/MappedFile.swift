// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

#if canImport(Glibc)
  import Glibc
#endif

/// The bytes of a memory-mapped file, which takes memory only for pages in use.
///
/// `@unchecked Sendable`: the mapping is read-only, and is removed with the last reference.
@safe
package final class MappedFile: @unchecked Sendable {
  @safe private enum Storage {
    case mapping(UnsafeRawBufferPointer)
    case array([UInt8])
  }
  private let storage: Storage
  package let count: Int

  /// Bytes that are already in memory.
  package init(_ bytes: [UInt8]) {
    storage = .array(bytes)
    count = bytes.count
  }

  /// Maps a regular file.
  ///
  /// - Parameter folder: If given, the file must lie inside this folder after resolving all
  ///   symbolic links to folders, and must not itself be a link.
  /// - Throws: `io` naming the path if the file is missing, not readable or not a regular file;
  ///   `badInput` if it is larger than `limit` bytes or outside the folder.
  package init(_ path: String, limit: Int = InputFile.defaultLimit, beneath folder: String? = nil)
    throws
  {
    let (descriptor, size) = try InputFile.open(
      path, limit: limit, isPlain: folder != nil)
    defer { close(descriptor) }
    if let folder { try Self.check(descriptor, at: path, isBeneath: folder) }
    count = size
    guard size > 0 else {
      storage = .array([])
      return
    }
    let start = unsafe mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0)
    guard let start = unsafe start, unsafe start != MAP_FAILED else {
      throw SystemError.last("cannot map the file", at: path)
    }
    unsafe storage = .mapping(UnsafeRawBufferPointer(start: start, count: size))
  }

  deinit {
    guard case .mapping(let memory) = storage else { return }
    unsafe munmap(UnsafeMutableRawPointer(mutating: memory.baseAddress!), memory.count)
  }

  /// Passes the bytes of a range to `body`, then releases their memory: data copied out of a file
  /// should not be in memory twice.
  ///
  /// - Precondition: The range lies in the file.
  package func withBytes<Result>(
    in range: Range<Int>, _ body: (Span<UInt8>) throws -> Result
  ) rethrows -> Result {
    switch storage {
    case .array(let array): return try body(array.span.extracting(range))
    case .mapping(let memory):
      defer { unsafe Self.release(memory, range) }
      let part = unsafe UnsafeRawBufferPointer(rebasing: memory[range])
      return unsafe try body(Span(_unsafeBytes: part))
    }
  }

  private static func release(_ memory: UnsafeRawBufferPointer, _ range: Range<Int>) {
    let page = Int(getpagesize())
    let start = (range.lowerBound + page - 1) / page * page
    let end = range.upperBound / page * page
    guard start < end else { return }
    let first = unsafe UnsafeMutableRawPointer(mutating: memory.baseAddress! + start)
    unsafe madvise(first, end - start, MADV_DONTNEED)
  }

  /// Checks the real path of the open file, so that it cannot be replaced by a link in the
  /// meantime.
  private static func check(
    _ descriptor: Int32, at path: String, isBeneath folder: String
  ) throws {
    guard let actual = resolved("/proc/self/fd/\(descriptor)"), let allowed = resolved(folder),
      actual.hasPrefix(InputFile.join(allowed, ""))
    else {
      throw SwiftletError(.badInput, "the file lies outside the folder '\(folder)'", at: path)
    }
  }

  private static func resolved(_ path: String) -> String? {
    guard let name = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(name) }
    return unsafe String(cString: name)
  }
}
