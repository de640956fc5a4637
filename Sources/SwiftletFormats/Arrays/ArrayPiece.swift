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
    /// In an entry of a zip file, from this byte on.
    case entry(ZipContent, Int, StoredElements)
    /// Wherever a closure has them.
    case made(@Sendable (Range<Int>) throws -> AnyTensor)
  }

  private let place: Place

  init(_ tensor: AnyTensor) { place = .memory(tensor) }

  init(_ file: FileBytes, at start: Int, _ elements: StoredElements) {
    place = .file(file, start, elements)
  }

  init(_ content: ZipContent, at start: Int, _ elements: StoredElements) {
    place = .entry(content, start, elements)
  }

  init(_ make: @escaping @Sendable (Range<Int>) throws -> AnyTensor) { place = .made(make) }

  /// The array, if it is in memory.
  var tensor: AnyTensor? { if case .memory(let tensor) = place { tensor } else { nil } }

  /// The file, if there is one.
  var path: String? {
    switch place {
    case .memory, .made: nil
    case .file(let file, _, _): file.path
    case .entry(let content, _, _): content.file.path
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
    case .entry(let content, let start, let elements):
      let found = try content.located()
      unsafe try Self.read(found.file, found.start + start, elements, rows, rowShape, to: target)
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

/// The content of an entry of a zip file. It is verified when it is first needed, and expanded if
/// it is compressed.
final class ZipContent: Sendable {
  private let archive: ZipArchive
  private let entry: ZipArchive.Entry
  private let scratch: Scratch
  let file: FileBytes
  private let content = Mutex<(file: FileBytes, start: Int)?>(nil)

  /// Larger entries are not verified unless they are compressed: they would be read twice.
  private static let mostVerified = 64 << 20

  init(
    _ entry: ZipArchive.Entry, of archive: ZipArchive, in file: FileBytes, _ scratch: Scratch
  ) {
    (self.entry, self.archive, self.file, self.scratch) = (entry, archive, file, scratch)
  }

  /// Where the content is, and the first byte of it there.
  ///
  /// - Throws: `badInput` if it is damaged; `io` if there is no room for it.
  func located() throws -> (file: FileBytes, start: Int) {
    // Others that need the same content wait for it.
    try content.withLock { content in
      if let content { return content }
      let made: (FileBytes, Int)
      if entry.isDeflated {
        let name = "array '\(entry.name)' of \(file.path)"
        let expanded = try scratch.keep(entry.size, name: name) { try archive.expand(entry, $0) }
        made = (expanded, 0)
      } else {
        if entry.size <= Self.mostVerified { try archive.verify(entry) }
        made = (file, entry.data.lowerBound)
      }
      content = made
      return made
    }
  }
}
