// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// A matrix in borrowed memory, with any strides between rows and columns, so that transposes and
/// blocks cost nothing.
///
/// The Swift algorithms are written with these. A view does not keep its memory alive: it is
/// created in ``SwiftletCore/Tensor/withView(_:)`` or from BLAS arguments, and must not escape.
/// ``block(_:_:)`` checks its bounds; single elements are checked in debug builds.
@safe
@usableFromInline
package struct MatrixView<T: BLASElement> {
  @usableFromInline package let base: UnsafeMutablePointer<T>
  @usableFromInline package let rows, columns, rowStep, columnStep: Int

  @unsafe
  @inlinable package init(
    _ base: UnsafeMutablePointer<T>, rows: Int, columns: Int, rowStep: Int, columnStep: Int = 1
  ) {
    unsafe self.base = base
    (self.rows, self.columns) = (rows, columns)
    (self.rowStep, self.columnStep) = (rowStep, columnStep)
  }

  /// A view for reading.
  @unsafe
  @inlinable package init(_ base: UnsafePointer<T>, rows: Int, columns: Int, rowStep: Int) {
    unsafe self.init(
      UnsafeMutablePointer(mutating: base), rows: rows, columns: columns, rowStep: rowStep)
  }

  @inlinable package subscript(_ row: Int, _ column: Int) -> T {
    get {
      assert(row >= 0 && row < rows && column >= 0 && column < columns)
      return unsafe base[row &* rowStep &+ column &* columnStep]
    }
    nonmutating set {
      assert(row >= 0 && row < rows && column >= 0 && column < columns)
      unsafe base[row &* rowStep &+ column &* columnStep] = newValue
    }
  }

  @inlinable package var transposed: MatrixView {
    unsafe MatrixView(
      base, rows: columns, columns: rows, rowStep: columnStep, columnStep: rowStep)
  }

  /// The same rows in reverse order.
  @inlinable package var reversedRows: MatrixView {
    guard rows > 0 else { return self }
    return unsafe MatrixView(
      base + (rows - 1) &* rowStep, rows: rows, columns: columns, rowStep: -rowStep,
      columnStep: columnStep)
  }

  /// The block of the given rows and columns.
  @inlinable package func block(_ rowRange: Range<Int>, _ columnRange: Range<Int>) -> MatrixView {
    precondition(
      rowRange.lowerBound >= 0 && rowRange.upperBound <= rows && columnRange.lowerBound >= 0
        && columnRange.upperBound <= columns,
      "block \(rowRange)×\(columnRange) of a \(rows)×\(columns) matrix")
    return unsafe MatrixView(
      base + rowRange.lowerBound &* rowStep + columnRange.lowerBound &* columnStep,
      rows: rowRange.count, columns: columnRange.count, rowStep: rowStep, columnStep: columnStep)
  }

  @inlinable package func rowBlock(_ range: Range<Int>) -> MatrixView { block(range, 0..<columns) }
  @inlinable package func columnBlock(_ range: Range<Int>) -> MatrixView { block(0..<rows, range) }
}

extension Tensor where Element: BLASElement {
  /// Lends the elements of a packed matrix for writing.
  @inlinable package mutating func withView<R>(_ body: (MatrixView<Element>) throws -> R) rethrows
    -> R
  {
    precondition(shape.rank == 2, "not a matrix")
    let (rows, columns) = (shape[0], shape[1])
    var span = mutableSpan
    return try unsafe span.withUnsafeMutableBufferPointer { buffer in
      // An empty tensor has no address; such a view is never dereferenced.
      let base = unsafe buffer.baseAddress ?? UnsafeMutablePointer(bitPattern: 64)!
      return try body(
        unsafe MatrixView(base, rows: rows, columns: columns, rowStep: max(1, columns)))
    }
  }
}

// MARK: - Products and solutions

extension MatrixView {
  /// self += alpha · a · b.
  @specialized(where T == Float)
  @specialized(where T == Double)
  package func add(_ alpha: T, _ a: MatrixView, _ b: MatrixView) {
    precondition(
      a.rows == rows && b.columns == columns && a.columns == b.rows,
      "\(rows)×\(columns) += \(a.rows)×\(a.columns) · \(b.rows)×\(b.columns)")
    guard rows > 0, columns > 0, a.columns > 0 else { return }
    guard columnStep == 1 || rows == 1 && rowStep == 1 else {
      precondition(rowStep == 1, "the result of a product needs packed rows or columns")
      return transposed.add(alpha, b.transposed, a.transposed)
    }
    let kernels = T._routines.kernels
    var scratch = Tensor<T>(uninitialized: [kernels.gemmScratch(rows, columns, a.columns)])
    var span = scratch.mutableSpan
    unsafe span.withUnsafeMutableBufferPointer { scratch in
      unsafe kernels.gemm(
        rows, columns, a.columns, alpha, a.base, a.rowStep, a.columnStep, b.base, b.rowStep,
        b.columnStep, base, rowStep, scratch.baseAddress!)
    }
  }

  /// The upper triangle of self += alpha · a · b, for symmetric products.
  @specialized(where T == Float)
  @specialized(where T == Double)
  package func addUpper(_ alpha: T, _ a: MatrixView, _ b: MatrixView) {
    let blockSize = 128
    var start = 0
    while start < rows {
      let end = min(start + blockSize, rows)
      // The block on the diagonal goes through a buffer: elements below the diagonal must not
      // change.
      let size = end - start
      var square = Tensor<T>(zeros: [size, size])
      square.withView { square in
        square.add(alpha, a.rowBlock(start..<end), b.columnBlock(start..<end))
        for i in 0..<size {
          for j in i..<size { self[start + i, start + j] += square[i, j] }
        }
      }
      block(start..<end, end..<columns).add(
        alpha, a.rowBlock(start..<end), b.columnBlock(end..<columns))
      start = end
    }
  }

  /// self ← a⁻¹ · self for a triangular matrix.
  @specialized(where T == Float)
  @specialized(where T == Double)
  package func solve(_ a: MatrixView, isLower: Bool, isUnit: Bool) {
    precondition(a.rows == rows && a.columns == rows, "a system of \(rows) equations")
    let blockSize = 64
    let starts = Array(stride(from: 0, to: rows, by: blockSize))
    for start in isLower ? starts : starts.reversed() {
      let end = min(start + blockSize, rows)
      solveBlock(start..<end, a, isLower: isLower, isUnit: isUnit)
      let rest = isLower ? end..<rows : 0..<start
      rowBlock(rest).add(-1, a.block(rest, start..<end), rowBlock(start..<end))
    }
  }

  private func solveBlock(_ range: Range<Int>, _ a: MatrixView, isLower: Bool, isUnit: Bool) {
    let kernels = T._routines.kernels
    for step in 0..<range.count {
      let i = isLower ? range.lowerBound + step : range.upperBound - 1 - step
      for j in isLower ? range.lowerBound..<i : i + 1..<range.upperBound {
        if columnStep == 1 {
          unsafe kernels.axpy(
            columns, -a[i, j], base + j &* rowStep, base + i &* rowStep)
        } else {
          for column in 0..<columns { self[i, column] -= a[i, j] * self[j, column] }
        }
      }
      guard !isUnit else { continue }
      let reciprocal = 1 / a[i, i]
      if reciprocal.isFinite {
        rowBlock(i..<i + 1).scale(by: reciprocal)
      } else {
        rowBlock(i..<i + 1).divide(by: a[i, i])
      }
    }
  }

  /// Multiplies every element; a factor of 0 also turns NaN into 0.
  @inlinable package func scale(by factor: T) {
    guard factor != 1 else { return }
    for i in 0..<rows {
      for j in 0..<columns { self[i, j] = factor == 0 ? 0 : factor * self[i, j] }
    }
  }

  /// Divides every element, even by numbers whose reciprocal would overflow.
  @inlinable package func divide(by divisor: T) {
    for i in 0..<rows {
      for j in 0..<columns { self[i, j] /= divisor }
    }
  }

  @inlinable package func fill(with value: T) {
    for i in 0..<rows {
      for j in 0..<columns { self[i, j] = value }
    }
  }

  /// Copies the elements of a matrix of the same size.
  @inlinable package func copy(_ source: MatrixView) {
    precondition(source.rows == rows && source.columns == columns, "matrices differ in size")
    if source.columnStep != 1 && columnStep == 1 && rows > 1 { return copyTransposed(source) }
    for i in 0..<rows {
      let to = unsafe base + i &* rowStep
      let from = unsafe source.base + i &* source.rowStep
      for j in 0..<columns {
        unsafe to[j &* columnStep] = unsafe from[j &* source.columnStep]
      }
    }
  }

  /// Row i becomes row `order[i]` of a matrix of the same width.
  package func copyRows(_ order: [Int], of source: MatrixView) {
    for (row, origin) in order.enumerated() {
      rowBlock(row..<row + 1).copy(source.rowBlock(origin..<origin + 1))
    }
  }

  /// Copies through a small tile, so that every cache line is read and written once: rows a power
  /// of two apart would evict each other.
  @specialized(where T == Float)
  @specialized(where T == Double)
  @usableFromInline
  package func copyTransposed(_ source: MatrixView) {
    let side = 8
    unsafe withUnsafeTemporaryAllocation(of: T.self, capacity: side * side) { tile in
      let tile = tile.baseAddress!
      for top in stride(from: 0, to: rows, by: side) {
        let height = min(side, rows &- top)
        for left in stride(from: 0, to: columns, by: side) {
          let width = min(side, columns &- left)
          for j in 0..<width {
            let from =
              unsafe source.base + top &* source.rowStep + (left &+ j) &* source.columnStep
            for i in 0..<height { unsafe tile[i &* side &+ j] = from[i &* source.rowStep] }
          }
          for i in 0..<height {
            let to = unsafe base + (top &+ i) &* rowStep + left
            let from = unsafe tile + i &* side
            for j in 0..<width { unsafe to[j] = from[j] }
          }
        }
      }
    }
  }

  /// The largest magnitude of an element; 0 if there are none.
  @inlinable package var largestMagnitude: T {
    var largest: T = 0
    for i in 0..<rows {
      for j in 0..<columns { largest = max(largest, abs(self[i, j])) }
    }
    return largest
  }

  /// Ones on the diagonal, zeros elsewhere.
  @inlinable package func setIdentity() {
    fill(with: 0)
    for i in 0..<min(rows, columns) { self[i, i] = 1 }
  }
}
