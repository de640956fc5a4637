// SPDX-License-Identifier: Apache-2.0

package import SwiftletCore

/// The triangle of a square matrix that is read: the diagonal and one side of it.
package enum Triangle: Sendable { case upper, lower }

extension Tensor where Element: BLASElement {
  /// - Throws: `badInput` if the rank is not 2.
  package func requireMatrix(_ operation: String) throws {
    guard shape.rank == 2 else {
      throw SwiftletError(.badInput, "a tensor of shape \(shape) is not a matrix", at: operation)
    }
  }

  /// The elements in row-major order.
  ///
  /// - Throws: `outOfMemory`.
  private func packed(_ operation: String) throws -> Tensor {
    if isContiguous { return self }
    try MemoryLimit.require(Double(count), of: Element.self, for: "\(operation) of \(shape)")
    return contiguous()
  }

  /// - Throws: `badInput` if the rank is not 2, or for NaN or infinite elements.
  @specialized(where Element == Float)
  @specialized(where Element == Double)
  package func requireFiniteMatrix(_ operation: String) throws {
    try requireMatrix(operation)
    let packed = try packed(operation)
    // A finite sum of squares has finite terms; only large elements require a second check.
    let squares = unsafe packed.span.withUnsafeBufferPointer {
      guard let start = $0.baseAddress else { return Element(0) }
      return unsafe Element._routines.kernels.dot($0.count, start, start)
    }
    guard squares.isFinite || packed.isFinite else { throw notFinite }
  }

  /// As ``requireFiniteMatrix(_:)``, for a square matrix. With a triangle, the elements of the
  /// other one are ignored.
  ///
  /// - Throws: `badInput` if this is not a square matrix, or for NaN or infinite elements.
  @specialized(where Element == Float)
  @specialized(where Element == Double)
  package func requireFiniteSquareMatrix(
    _ operation: String, reading triangle: Triangle? = nil
  ) throws {
    try requireMatrix(operation)
    let n = shape[0]
    guard n == shape[1] else {
      throw SwiftletError(.badInput, "a \(shape) matrix is not square", at: operation)
    }
    guard let triangle else { return try requireFiniteMatrix(operation) }
    let packed = try packed(operation)
    let elements = packed.span
    for row in 0..<n {
      let columns = triangle == .upper ? row..<n : 0..<row + 1
      let part = elements.extracting(row * n + columns.lowerBound..<row * n + columns.upperBound)
      let squares = unsafe part.withUnsafeBufferPointer {
        unsafe Element._routines.kernels.dot($0.count, $0.baseAddress!, $0.baseAddress!)
      }
      if squares.isFinite { continue }
      for column in part.indices where !part[column].isFinite { throw notFinite }
    }
  }

  private var notFinite: SwiftletError {
    SwiftletError(.badInput, "the \(shape) matrix has NaN or infinite elements")
  }
}
