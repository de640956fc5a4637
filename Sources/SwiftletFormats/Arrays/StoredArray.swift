// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// An array in memory, or in files that are read when its rows are needed: memory does not grow
/// with its size.
///
/// A row is what one index of the first axis selects: a sample of a data set.
public struct StoredArray: Sendable {
  /// The type of the elements, as they are read: 16-bit floats of files become fp32.
  public let dtype: DType
  /// The extents, rows first.
  public let shape: Shape
  /// Arrays that follow each other along the first axis.
  private let pieces: [ArrayPiece]
  /// The first row of each piece.
  private let starts: [Int]
  /// The rows of the pieces that are rows of this array, in order; `nil`: all.
  private let chosen: Chosen?

  private enum Chosen: Sendable {
    case range(Range<Int>)
    case list([Int])

    func index(_ row: Int) -> Int {
      switch self {
      case .range(let range): range.lowerBound + row
      case .list(let list): list[row]
      }
    }
  }

  /// Where the rows were in the array that this is a part of; `nil` if they are all there.
  package var positions: [Int]? {
    switch chosen {
    case .range(let range): Array(range)
    case .list(let list): list
    case nil: nil
    }
  }

  /// An array in memory.
  public init(_ tensor: AnyTensor) {
    self.init(ArrayPiece(tensor.contiguous), tensor.dtype, tensor.shape)
  }

  /// An array whose rows a closure makes when they are needed: of any size.
  ///
  /// - Parameters:
  ///   - dtype: The type of the elements.
  ///   - shape: The extents, rows first.
  ///   - make: Returns the rows of a range along the first axis. The same ones are asked for again
  ///     and again, on any thread, also on several at once.
  /// - Throws: `badInput` if the shape has no axis for rows.
  public init(
    _ dtype: DType, _ shape: Shape,
    making make: @escaping @Sendable (Range<Int>) throws -> AnyTensor
  ) throws {
    guard shape.rank > 0 else { throw SwiftletError(.badInput, "a scalar has no rows to make") }
    self.init(ArrayPiece(make), dtype, shape)
  }

  init(_ piece: ArrayPiece, _ dtype: DType, _ shape: Shape) {
    (self.dtype, self.shape, pieces, starts, chosen) = (dtype, shape, [piece], [0], nil)
  }

  private init(
    _ dtype: DType, _ shape: Shape, _ pieces: [ArrayPiece], _ starts: [Int], _ chosen: Chosen?
  ) {
    (self.dtype, self.shape, self.pieces, self.starts) = (dtype, shape, pieces, starts)
    self.chosen = chosen
  }

  /// Arrays one after the other along the first axis.
  ///
  /// - Precondition: There is at least one, each is whole, and all have the same element type and
  ///   the same shape but for the first axis.
  /// - Throws: `badInput` if there are too many rows to count.
  init(joining arrays: [StoredArray]) throws {
    var (pieces, starts, count) = ([ArrayPiece](), [Int](), 0)
    for array in arrays {
      precondition(
        array.chosen == nil && array.dtype == arrays[0].dtype
          && array.rowShape == arrays[0].rowShape, "arrays that do not fit each other")
      pieces += array.pieces
      starts += array.starts.map { count + $0 }
      let (sum, overflow) = count.addingReportingOverflow(array.count)
      // Rows without elements are in no file, so that a file may claim any number of them.
      guard !overflow else { throw SwiftletError(.badInput, "there are too many rows") }
      count = sum
    }
    let shape = try Shape(checking: [count] + arrays[0].shape.dimensions.dropFirst())
    self.init(arrays[0].dtype, shape, pieces, starts, nil)
  }

  /// The number of rows; 1 for a scalar, which has no rows but itself.
  public var count: Int { shape.dimensions.first ?? 1 }

  /// The shape of one row.
  public var rowShape: Shape { Shape(Array(shape.dimensions.dropFirst())) }

  /// The size of the elements in memory, in bytes.
  public var byteCount: Int {
    shape.count.multipliedReportingOverflow(by: dtype.byteCount).partialValue
  }

  // MARK: Choosing rows

  /// The rows of a range; nothing is read.
  ///
  /// - Precondition: The range lies in `0..<count`.
  public func slice(_ range: Range<Int>) -> StoredArray {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "rows outside of the array")
    let own: Chosen =
      switch chosen {
      case nil: .range(range)
      case .range(let all)?:
        .range(all.lowerBound + range.lowerBound..<all.lowerBound + range.upperBound)
      case .list(let list)?: .list(Array(list[range]))
      }
    return StoredArray(dtype, shape.replacing(axis: 0, with: range.count), pieces, starts, own)
  }

  /// The rows at `indices`, in that order; nothing is read.
  ///
  /// - Precondition: Every index is in `0..<count`.
  public func subset(_ indices: [Int]) -> StoredArray {
    precondition(indices.allSatisfy { 0..<count ~= $0 }, "rows outside of the array")
    let own = chosen.map { chosen in indices.map(chosen.index) } ?? indices
    return StoredArray(
      dtype, shape.replacing(axis: 0, with: indices.count), pieces, starts, .list(own))
  }

  // MARK: Reading

  /// Reads the rows of a range.
  ///
  /// - Precondition: The range lies in `0..<count`, and the array is not a scalar.
  /// - Returns: The rows along the first axis.
  /// - Throws: `io` or `badInput` naming the file if it cannot be read, has changed, or is damaged;
  ///   `outOfMemory` if the rows exceed `MemoryLimit`.
  public func rows(_ range: Range<Int>) throws -> AnyTensor {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "rows outside of the array")
    if chosen == nil, let tensor = pieces[0].tensor, pieces.count == 1 {
      return tensor.rows(range)
    }
    let result = try makeRoom(range.count)
    switch chosen {
    case nil: try fill(result, at: 0, range)
    case .range(let all)?:
      try fill(result, at: 0, all.lowerBound + range.lowerBound..<all.lowerBound + range.upperBound)
    case .list(let list)?: try fill(result, list[range])
    }
    return result
  }

  /// Reads the rows at `indices`, in that order.
  ///
  /// - Precondition: Every index is in `0..<count`, and the array is not a scalar.
  /// - Returns: The rows along the first axis.
  /// - Throws: As ``rows(_:)-(Range<Int>)``.
  /// - Complexity: One read of the file for each run of consecutive indices.
  public func rows(_ indices: [Int]) throws -> AnyTensor {
    precondition(indices.allSatisfy { 0..<count ~= $0 }, "rows outside of the array")
    let first = indices.first ?? 0
    if indices.elementsEqual(first..<first + indices.count) {
      return try rows(first..<first + indices.count)
    }
    let result = try makeRoom(indices.count)
    try fill(result, (chosen.map { chosen in indices.map(chosen.index) } ?? indices)[...])
    return result
  }

  /// Reads the whole array, also a scalar.
  ///
  /// - Throws: As ``rows(_:)-(Range<Int>)``.
  public func whole() throws -> AnyTensor {
    guard shape.rank == 0 else { return try rows(0..<count) }
    if let tensor = pieces[0].tensor { return tensor }
    let result = AnyTensor(uninitialized: dtype, shape)
    try fill(result, at: 0, 0..<1)
    return result
  }

  /// Reads the array in order, some rows at a time.
  ///
  /// - Parameters:
  ///   - bytes: About how many bytes at a time; at least a row.
  ///   - body: Gets the rows, and their position.
  /// - Throws: As ``rows(_:)-(Range<Int>)``, and what `body` throws.
  public func forEachPart(
    bytes: Int = 4 << 20, _ body: (AnyTensor, Range<Int>) throws -> Void
  ) throws {
    guard shape.rank > 0 else { return try body(whole(), 0..<1) }
    let rowBytes = byteCount / max(1, count)
    // A file may claim any number of rows without elements.
    let step = rowBytes == 0 ? max(1, count) : max(1, bytes / rowBytes)
    for start in stride(from: 0, to: count, by: step) {
      let range = start..<min(start + step, count)
      try body(rows(range), range)
    }
  }

  /// Memory for some rows.
  private func makeRoom(_ rows: Int) throws -> AnyTensor {
    precondition(shape.rank > 0, "a scalar has no rows")
    let room = try Shape(checking: [rows] + shape.dimensions.dropFirst())
    let (bytes, overflow) = room.count.multipliedReportingOverflow(by: dtype.byteCount)
    guard !overflow, bytes <= MemoryLimit.bytes else {
      throw SwiftletError(
        .outOfMemory,
        "\(rows) rows of \(dtype) \(rowShape) exceed the limit of \(MemoryLimit.bytes) bytes",
        at: pieces.first?.path, fix: "allow more with --max-memory")
    }
    try MemoryLimit.requireAvailable(Double(bytes), for: "\(rows) rows of \(dtype) \(rowShape)")
    return AnyTensor(uninitialized: dtype, room)
  }

  /// Reads rows of the pieces, consecutive ones at once.
  private func fill(_ result: AnyTensor, _ rows: ArraySlice<Int>) throws {
    var position = rows.startIndex
    while position < rows.endIndex {
      var end = position + 1
      while end < rows.endIndex, rows[end] == rows[end - 1] + 1 { end += 1 }
      try fill(
        result, at: position - rows.startIndex, rows[position]..<rows[position] + end - position)
      position = end
    }
  }

  /// Reads a range of rows of the pieces to a place in the result.
  private func fill(_ result: AnyTensor, at place: Int, _ rows: Range<Int>) throws {
    guard !rows.isEmpty, rowShape.count > 0 else { return }
    let rowBytes = rowShape.count * dtype.byteCount
    // The last piece that starts at or before the first row; empty pieces have no rows.
    var (low, high) = (0, pieces.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if starts[middle] <= rows.lowerBound { low = middle } else { high = middle }
    }
    var (row, piece) = (rows.lowerBound, low)
    while row < rows.upperBound {
      let next = piece + 1 < pieces.count ? starts[piece + 1] : .max
      let end = min(next, rows.upperBound)
      if end > row {
        unsafe try pieces[piece].read(
          row - starts[piece]..<end - starts[piece], of: dtype, rowShape,
          to: result.unsafeStart + (place + row - rows.lowerBound) * rowBytes)
      }
      (row, piece) = (end, piece + 1)
    }
    // The memory was written through a pointer, which does not keep the tensor alive.
    withExtendedLifetime(result) {}
  }
}
