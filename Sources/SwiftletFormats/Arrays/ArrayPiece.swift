// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFiles
import Synchronization

/// Where the rows of an array are, one after the other.
struct ArrayPiece: Sendable {
  private enum Place: Sendable {
    /// In memory, packed.
    case memory(AnyTensor)
    /// In a file, from this byte on.
    case file(FileBytes, Int, StoredElements)
    /// In a compressed entry.
    case compressed(CompressedArray, Int, StoredElements)
    /// Wherever a closure has them.
    case made(@Sendable (Range<Int>) throws -> AnyTensor)
  }

  private let place: Place

  init(_ tensor: AnyTensor) { place = .memory(tensor) }

  init(_ file: FileBytes, at start: Int, _ elements: StoredElements) {
    place = .file(file, start, elements)
  }

  init(_ compressed: CompressedArray, at start: Int, _ elements: StoredElements) {
    place = .compressed(compressed, start, elements)
  }

  init(_ make: @escaping @Sendable (Range<Int>) throws -> AnyTensor) { place = .made(make) }

  /// The array, if it is in memory.
  var tensor: AnyTensor? { if case .memory(let tensor) = place { tensor } else { nil } }

  /// The file, if there is one.
  var path: String? {
    switch place {
    case .memory, .made: nil
    case .file(let file, _, _): file.path
    case .compressed(let array, _, _): array.path
    }
  }

  /// Copies rows to memory, which must have room for them.
  ///
  /// - Throws: `io` if they cannot be read; `badInput` if compressed data are damaged, or if a
  ///   closure returns something else; what it throws.
  @unsafe func read(
    _ rows: Range<Int>, of dtype: DType, _ rowShape: Shape, to target: UnsafeMutableRawPointer
  ) throws {
    switch place {
    case .memory(let tensor): unsafe Self.copy(rows, of: tensor, rowShape, to: target)
    case .file(let file, let start, let elements):
      unsafe try Self.read(file, start, elements, rows, rowShape, to: target)
    case .compressed(let array, let start, let elements):
      unsafe try Self.read(array.expanded(), start, elements, rows, rowShape, to: target)
    case .made(let make):
      let made = try make(rows).contiguous
      let shape = Shape([rows.count] + rowShape.dimensions)
      guard made.dtype == dtype, made.shape == shape else {
        throw SwiftletError(
          .badInput, "the rows \(rows) of an array are \(made.dtype) \(made.shape)",
          fix: "make them \(dtype) \(shape)")
      }
      unsafe Self.copy(0..<rows.count, of: made, rowShape, to: target)
    }
  }

  @unsafe private static func copy(
    _ rows: Range<Int>, of tensor: AnyTensor, _ rowShape: Shape, to target: UnsafeMutableRawPointer
  ) {
    let size = rowShape.count * tensor.dtype.byteCount
    unsafe target.copyMemory(
      from: tensor.unsafeStart + rows.lowerBound * size, byteCount: rows.count * size)
    withExtendedLifetime(tensor) {}
  }

  @unsafe private static func read(
    _ file: FileBytes, _ start: Int, _ elements: StoredElements, _ rows: Range<Int>,
    _ rowShape: Shape, to target: UnsafeMutableRawPointer
  ) throws {
    let size = rowShape.count * elements.byteCount
    let range = start + rows.lowerBound * size..<start + rows.upperBound * size
    guard !elements.isPlain else { return unsafe try file.read(range, to: target) }
    let bytes = try file.bytes(in: range)
    let tensor = elements.tensor(
      Shape([rows.count] + rowShape.dimensions), bytes.span)
    unsafe target.copyMemory(
      from: tensor.unsafeStart, byteCount: tensor.shape.count * tensor.dtype.byteCount)
    withExtendedLifetime(tensor) {}
  }
}

/// An entry of a zip file that is expanded when it is first needed.
final class CompressedArray: Sendable {
  private let archive: ZipArchive
  private let entry: ZipArchive.Entry
  private let scratch: Scratch
  let path: String
  private let content = Mutex<FileBytes?>(nil)

  init(_ entry: ZipArchive.Entry, of archive: ZipArchive, path: String, _ scratch: Scratch) {
    (self.entry, self.archive, self.path, self.scratch) = (entry, archive, path, scratch)
  }

  /// The content, checksum verified.
  func expanded() throws -> FileBytes {
    // Others that need the same content wait for it.
    try content.withLock { content in
      if let content { return content }
      let name = "array '\(entry.name)' of \(path)"
      let made = try scratch.keep(entry.size, name: name) { try archive.expand(entry, $0) }
      content = made
      return made
    }
  }
}
