// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Checks shared by inference.
extension Operator {
  /// The input at `index`.
  ///
  /// - Throws: `badInput` if it is omitted.
  func required(_ inputs: [TensorInfo?], _ index: Int, _ role: String) throws -> TensorInfo {
    guard index < inputs.count, let info = inputs[index] else {
      throw SwiftletError(.badInput, "\(Self.opType) is missing its input \(index) (\(role))")
    }
    return info
  }

  /// The input at `index`, of a floating-point type and, if given, of one rank.
  func floating(
    _ inputs: [TensorInfo?], _ index: Int, _ role: String, rank: Int? = nil
  ) throws -> TensorInfo {
    let info = try required(inputs, index, role)
    guard info.dtype.isFloat else {
      throw SwiftletError(.unsupported, "\(Self.opType) does not support a \(info.dtype) \(role)")
    }
    if let rank, info.shape.rank != rank {
      throw SwiftletError(
        .badInput, "\(Self.opType) requires a \(role) of rank \(rank), found shape \(info.shape)")
    }
    return info
  }

  /// The input at `index`, of a type that satisfies a condition.
  func required(
    _ inputs: [TensorInfo?], _ index: Int, _ role: String, where accepts: (DType) -> Bool
  ) throws -> TensorInfo {
    let info = try required(inputs, index, role)
    guard accepts(info.dtype) else {
      throw SwiftletError(.unsupported, "\(Self.opType) does not support a \(info.dtype) \(role)")
    }
    return info
  }

  /// Two inputs of the same element type, and the shape that they broadcast to.
  func broadcasting(
    _ inputs: [TensorInfo?], where accepts: (DType) -> Bool = { _ in true }
  ) throws -> TensorInfo {
    let a = try required(inputs, 0, "left side", where: accepts)
    let b = try required(inputs, 1, "right side")
    guard a.dtype == b.dtype, let shape = a.shape.broadcast(with: b.shape) else {
      throw mismatch("\(a.dtype) \(a.shape) and \(b.dtype) \(b.shape) do not match")
    }
    return TensorInfo(a.dtype, shape)
  }

  /// The elements of the integer input at `index` that determines a shape; `nil` if it is omitted.
  ///
  /// - Throws: `badInput` for other types, ``DataDependentShape`` if they are not known yet.
  func integers(_ inputs: [TensorInfo?], _ index: Int, _ role: String) throws -> [Int]? {
    guard index < inputs.count, let info = inputs[index] else { return nil }
    guard info.dtype == .int64 || info.dtype == .int32 else {
      throw mismatch("\(role) is \(info.dtype), not int64")
    }
    guard let value = info.value else { throw DataDependentShape() }
    return value.integers
  }

  /// As ``integers(_:_:_:)``, for an input that may also hold whole numbers as floats, as in the
  /// first operator sets.
  func wholeNumbers(_ inputs: [TensorInfo?], _ index: Int, _ role: String) throws -> [Int]? {
    guard index < inputs.count, let info = inputs[index], info.dtype.isFloat else {
      return try integers(inputs, index, role)
    }
    return try reals(info, role).map {
      guard let number = Int(exactly: $0) else {
        throw mismatch("\(role) is \($0), not a whole number")
      }
      return number
    }
  }

  /// The elements of a floating-point input that determines a shape.
  ///
  /// - Throws: `badInput` for other types, ``DataDependentShape`` if they are not known yet.
  func reals(_ info: TensorInfo, _ role: String) throws -> [Double] {
    guard info.dtype.isFloat else { throw mismatch("\(role) is \(info.dtype), not a float") }
    guard case .float64(let values)? = info.value?.converted(to: .float64) else {
      throw DataDependentShape()
    }
    return values.elements
  }

  /// `axis` of `rank` axes, counted from the end if negative.
  ///
  /// - Throws: `badInput` if there is no such axis.
  func axis(_ axis: Int, rank: Int) throws -> Int {
    guard -rank..<rank ~= axis else {
      throw mismatch("axis \(axis) is out of range for rank \(rank)")
    }
    return axis < 0 ? axis + rank : axis
  }

  /// As ``axis(_:rank:)``, for several axes.
  ///
  /// - Throws: `badInput` also if one occurs twice.
  func axes(_ axes: [Int], rank: Int) throws -> [Int] {
    let result = try axes.map { try axis($0, rank: rank) }
    guard Set(result).count == result.count else { throw mismatch("axes \(axes) are not distinct") }
    return result
  }

  func mismatch(_ what: String) -> SwiftletError {
    SwiftletError(.badInput, "\(Self.opType): \(what)")
  }
}

extension DType {
  /// Whether there is arithmetic on the elements.
  var isNumber: Bool { self != .bool && compactType == nil }
  var isInteger: Bool { isNumber && !isFloat }
}

extension AnyTensor {
  /// The elements as integers.
  package var integers: [Int] {
    guard case .int64(let values) = converted(to: .int64) else { return [] }
    return values.elements.map { Int($0) }
  }

  /// The elements as indices along an axis of `extent`; negative ones count from its end.
  ///
  /// - Throws: `badInput` if one is out of range.
  func indices(extent: Int) throws -> [Int] {
    try integers.map { index in
      guard -extent..<extent ~= index else {
        throw SwiftletError(.badInput, "index \(index) is out of range for an axis of \(extent)")
      }
      return index < 0 ? index + extent : index
    }
  }
}
