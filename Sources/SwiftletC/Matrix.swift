// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore

/// A row-major matrix in the caller's memory.
///
/// `@unchecked Sendable`: the threads of one call read it, or write disjoint rows and columns.
@safe
struct Matrix<T: BitwiseCopyable & Sendable>: @unchecked Sendable {
  let name: String
  let rows, columns, leading: Int
  /// For an empty matrix, an address that is never used.
  let start: UnsafeMutablePointer<T>

  /// - Throws: A ``Refusal`` for a negative extent, a leading dimension below the row length, or
  ///   NULL for a nonempty matrix.
  init(_ start: UnsafeMutablePointer<T>?, _ name: String, rows: Int, columns: Int, leading: Int64)
    throws
  {
    (self.name, self.rows, self.columns) = (name, rows, columns)
    self.leading = try Arguments.extent(leading, "the leading dimension of \(name)")
    guard rows == 0 || self.leading >= columns else {
      throw Refusal.usage(
        "the leading dimension of \(name) is \(leading)", fix: "its rows have \(columns) elements")
    }
    let isEmpty = rows == 0 || columns == 0
    guard unsafe isEmpty || start != nil else { throw Refusal.usage("\(name) is NULL") }
    guard UInt(bitPattern: start) % UInt(MemoryLayout<T>.alignment) == 0 else {
      throw Refusal.usage("\(name) is not aligned to \(MemoryLayout<T>.alignment) bytes")
    }
    unsafe self.start = start ?? UnsafeMutablePointer(bitPattern: 64)!
    guard let end = extent.bytes, end <= Int.max / 2 else {
      throw Refusal.usage("\(name) exceeds the address space")
    }
  }

  init(_ start: UnsafePointer<T>?, _ name: String, rows: Int, columns: Int, leading: Int64) throws {
    try unsafe self.init(
      UnsafeMutablePointer(mutating: start), name, rows: rows, columns: columns, leading: leading)
  }

  /// The number of elements from the first through the last one, and their size in bytes unless it
  /// overflows.
  private var extent: (count: Int, bytes: Int?) {
    guard rows > 0, columns > 0 else { return (0, 0) }
    let (skipped, overflow) = (rows - 1).multipliedReportingOverflow(by: leading)
    let (count, more) = skipped.addingReportingOverflow(columns)
    let (bytes, most) = count.multipliedReportingOverflow(by: MemoryLayout<T>.stride)
    return (count, overflow || more || most ? nil : bytes)
  }

  /// The number of elements from the first through the last one.
  var count: Int { extent.count }

  /// - Throws: A ``Refusal`` if the two share elements. Rows may lie between rows of the other.
  func requireApart<Other>(from other: Matrix<Other>) throws {
    guard count > 0, other.count > 0 else { return }
    let (begin, otherBegin) = unsafe (UInt(bitPattern: start), UInt(bitPattern: other.start))
    guard !lines.overlaps(other.lines, from: begin, to: otherBegin) else {
      throw Refusal.usage(
        "\(name) and \(other.name) overlap", fix: "results need separate memory")
    }
  }

  /// The memory ranges of the rows.
  private var lines: Lines {
    let size = MemoryLayout<T>.stride
    return leading == columns
      ? Lines(count: 1, length: rows * columns * size, step: 0)
      : Lines(count: rows, length: columns * size, step: leading * size)
  }

  /// The elements from a position on.
  func span(row: Int = 0, column: Int = 0) -> UnsafeBufferPointer<T> {
    let offset = row * leading + column
    return unsafe UnsafeBufferPointer(start: start + offset, count: max(0, count - offset))
  }

  /// The elements in the given rows and columns, including those in between.
  func mutableSpan(rows: Range<Int>, columns: Range<Int>) -> UnsafeMutableBufferPointer<T> {
    let count = (rows.count - 1) * leading + columns.count
    return unsafe UnsafeMutableBufferPointer(
      start: start + rows.lowerBound * leading + columns.lowerBound, count: count)
  }
}

/// Evenly spaced pieces of memory of equal length in bytes.
private struct Lines {
  let count, length, step: Int

  /// Whether any of these, the first of which starts at `start`, shares a byte with the others.
  ///
  /// - Complexity: O(the lower count), and O(1) if the total ranges do not overlap.
  func overlaps(_ other: Lines, from start: UInt, to otherStart: UInt) -> Bool {
    if other.count < count { return other.overlaps(self, from: otherStart, to: start) }
    let offset = Int(bitPattern: start &- otherStart)
    // No memory is that large, and the sums below must not overflow.
    guard offset.magnitude < 1 << 60 else { return false }
    let end = offset + (count - 1) * step + length
    guard end > 0, offset < (other.count - 1) * other.step + other.length else { return false }
    return (0..<count).contains { index in
      // The first of the others that ends after the start of this line.
      let begin = offset + index * step
      let first =
        begin < other.length || other.step == 0 ? 0 : (begin - other.length) / other.step + 1
      let place = first * other.step
      return first < other.count && place < begin + length && place + other.length > begin
    }
  }
}

extension Matrix where T: BLASElement {
  /// The matrix as a tensor, without a copy if its rows are contiguous. It must not outlive the
  /// call, nor be the only holder: the caller holds it until the work is done.
  ///
  /// - Throws: `outOfMemory`.
  func borrowed() throws -> Tensor<T> {
    if leading == columns || rows <= 1 {
      return unsafe Tensor(borrowing: start, [rows, columns])
    }
    // Every computation on it makes at least one copy.
    try MemoryLimit.require(
      2 * Double(rows) * Double(columns), of: T.self, for: "work on a copy of \(name)")
    var copy = Tensor<T>(zeros: [rows, columns])
    copy.withView { target in
      target.copy(unsafe MatrixView(start, rows: rows, columns: columns, rowStep: leading))
    }
    return copy
  }

  /// Copies the elements of a tensor of the same extents.
  func assign(_ tensor: Tensor<T>) {
    precondition(
      tensor.shape == [rows, columns], "\(name) is \(rows)×\(columns), not \(tensor.shape)")
    guard count > 0 else { return }
    let packed = tensor.contiguous()
    let elements = packed.span
    unsafe elements.withUnsafeBufferPointer { source in
      if leading == columns {
        unsafe start.update(from: source.baseAddress!, count: count)
      } else {
        for row in 0..<rows {
          unsafe (start + row * leading).update(
            from: source.baseAddress! + row * columns, count: columns)
        }
      }
    }
  }
}

/// Packed elements in the caller's memory, as a matrix of one row.
func row<T>(_ start: UnsafeMutablePointer<T>?, _ name: String, count: Int) throws -> Matrix<T> {
  try unsafe Matrix(start, name, rows: 1, columns: count, leading: Int64(max(1, count)))
}
