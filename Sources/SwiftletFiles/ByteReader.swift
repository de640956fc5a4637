// SPDX-License-Identifier: Apache-2.0

package import SwiftletCore

/// A bounds-checked cursor over the bytes of a file.
package struct ByteReader {
  package let bytes: [UInt8]
  /// The file name for errors.
  package let file: String
  /// The offset of the next byte from the first one.
  package private(set) var offset = 0
  /// Where the bytes start in the file, for errors.
  private let start: Int

  /// - Parameters:
  ///   - bytes: The file, or a part of it.
  ///   - file: The file name for errors.
  ///   - start: Where the part starts in the file. Offsets are within the part all the same.
  package init(_ bytes: [UInt8], file: String, from start: Int = 0) {
    self.bytes = bytes
    self.file = file
    self.start = start
  }

  package var remaining: Int { bytes.count - offset }

  /// An integer, most significant byte first.
  ///
  /// - Throws: `badInput` with the offset if the file ends within it.
  package mutating func bigEndian<I: FixedWidthInteger>(_: I.Type = I.self) throws -> I {
    bytes[try skip(MemoryLayout<I>.size)].reduce(0) { $0 << 8 | I(truncatingIfNeeded: $1) }
  }

  /// An integer, least significant byte first.
  ///
  /// - Throws: `badInput` with the offset if the file ends within it.
  package mutating func littleEndian<I: FixedWidthInteger>(_: I.Type = I.self) throws -> I {
    try bigEndian(I.self).byteSwapped
  }

  /// Skips `count` bytes and returns their range.
  ///
  /// - Throws: `badInput` with the offset if `count` is negative or the file has fewer left.
  package mutating func skip(_ count: Int) throws -> Range<Int> {
    guard count >= 0, count <= remaining else {
      throw error("the file ends early: \(count) bytes are needed, \(remaining) are left")
    }
    defer { offset += count }
    return offset..<offset + count
  }

  /// Continues reading at another offset.
  ///
  /// - Throws: `badInput` if the file has no such byte.
  package mutating func move(to target: Int) throws {
    guard 0...bytes.count ~= target else {
      throw error("the file refers to byte \(target), but has only \(bytes.count)")
    }
    offset = target
  }

  /// A `badInput` error at the current byte.
  package func error(_ what: String) -> SwiftletError {
    SwiftletError(.badInput, what, at: "\(file), byte \(start + offset)")
  }
}
