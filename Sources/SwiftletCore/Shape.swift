// SPDX-License-Identifier: Apache-2.0

/// The extents of a tensor, outermost first. A scalar has rank 0 and one element.
public struct Shape: Sendable, Hashable {
  /// The extents, none of them negative.
  public let dimensions: [Int]
  /// The number of elements: the product of the extents.
  public let count: Int

  /// A shape written in code.
  ///
  /// - Precondition: No extent is negative and the element count fits in `Int`. Use
  ///   ``init(checking:)`` for extents from data.
  public init(_ dimensions: [Int]) {
    guard let count = Self.elementCount(of: dimensions) else {
      preconditionFailure("shape \(dimensions) has a negative or overflowing extent")
    }
    self.dimensions = dimensions
    self.count = count
  }

  /// A shape from untrusted data.
  ///
  /// - Throws: `badInput` if an extent is negative, the element count overflows, or there are more
  ///   axes than ``rankLimit``.
  public init(checking dimensions: [Int]) throws {
    guard dimensions.count <= Self.rankLimit else {
      throw SwiftletError(
        .badInput, "a shape of \(dimensions.count) axes exceeds the limit of \(Self.rankLimit)")
    }
    guard let count = Self.elementCount(of: dimensions) else {
      throw SwiftletError(.badInput, "shape \(dimensions) has a negative or overflowing extent")
    }
    self.dimensions = dimensions
    self.count = count
  }

  /// The maximum rank of shapes from data. NumPy's limit is 64; operators may split axes.
  public static let rankLimit = 256

  /// The product of the extents, or `nil` if one is negative or the product overflows.
  ///
  /// Zeros are excluded from the overflow check: the strides of an empty tensor are products of its
  /// other extents and must not overflow either.
  private static func elementCount(of dimensions: [Int]) -> Int? {
    var product = 1
    for extent in dimensions where extent != 0 {
      guard extent > 0 else { return nil }
      let overflow: Bool
      (product, overflow) = product.multipliedReportingOverflow(by: extent)
      guard !overflow else { return nil }
    }
    return dimensions.contains(0) ? 0 : product
  }

  /// The shape of a scalar: rank 0, one element.
  public static let scalar = Shape([])

  /// The number of axes.
  public var rank: Int { dimensions.count }

  /// The extent of an axis.
  ///
  /// - Precondition: `axis` is in `0..<rank`.
  @inlinable public subscript(axis: Int) -> Int { dimensions[axis] }

  /// The step, in elements, between neighbours along each axis of a packed row-major tensor.
  public var rowMajorStrides: [Int] {
    var strides = [Int](repeating: 1, count: rank)
    for axis in stride(from: rank - 2, through: 0, by: -1) {
      strides[axis] = strides[axis + 1] * dimensions[axis + 1]
    }
    return strides
  }

  /// The product of the extents in `axes`.
  public func count(of axes: Range<Int>) -> Int {
    dimensions[axes].reduce(1, *)
  }

  /// The shape with the extent of one axis replaced.
  public func replacing(axis: Int, with extent: Int) -> Shape {
    var dimensions = dimensions
    dimensions[axis] = extent
    return Shape(dimensions)
  }

  /// The shape that two operands broadcast to by the ONNX (NumPy) rule, or `nil` if they cannot.
  public func broadcast(with other: Shape) -> Shape? {
    let rank = max(self.rank, other.rank)
    var result = [Int](repeating: 1, count: rank)
    for axis in 0..<rank {
      let a = axis < rank - self.rank ? 1 : self[axis - (rank - self.rank)]
      let b = axis < rank - other.rank ? 1 : other[axis - (rank - other.rank)]
      guard a == b || a == 1 || b == 1 else { return nil }
      result[axis] = a == 1 ? b : a
    }
    return Self.elementCount(of: result).map { _ in Shape(result) }
  }
}

extension Shape: ExpressibleByArrayLiteral {
  public init(arrayLiteral elements: Int...) { self.init(elements) }
}

extension Shape: CustomStringConvertible {
  /// `3×32×32`, or `scalar`.
  public var description: String {
    rank == 0 ? "scalar" : dimensions.map(String.init).joined(separator: "×")
  }
}
