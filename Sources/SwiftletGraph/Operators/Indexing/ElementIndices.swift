// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// The positions that `GatherElements` and `ScatterElements` address: each index's own position,
/// except along one axis, where the index gives the position.
///
/// - Throws: `badInput` for an index out of range.
func elementPlaces(_ indices: AnyTensor, along axis: Int, in shape: Shape) throws -> [Int] {
  let along = try indices.indices(extent: shape[axis])
  var strides = shape.rowMajorStrides
  let step = strides[axis]
  strides[axis] = 0
  let inner = indices.shape.rowMajorStrides
  return along.indices.map { position in
    var (rest, place) = (position, along[position] * step)
    for other in strides.indices {
      place += rest / inner[other] * strides[other]
      rest %= inner[other]
    }
    return place
  }
}

/// The starts of the blocks addressed by the rows (last axis) of `indices`, after `batch` axes that
/// both tensors share: for `GatherND` and `ScatterND`.
///
/// - Throws: `badInput` for an index out of range.
func blockPlaces(_ indices: AnyTensor, batch: Int, in shape: Shape) throws -> [Int] {
  let depth = indices.shape[indices.shape.rank - 1]
  let values = indices.integers
  let strides = shape.rowMajorStrides
  let rows = depth == 0 ? indices.shape.count(of: 0..<indices.shape.rank - 1) : values.count / depth
  let rowsPerBatch = max(1, rows / max(1, shape.count(of: 0..<batch)))
  let batchStride = shape.count(of: batch..<shape.rank)
  return try (0..<rows).map { row in
    var place = row / rowsPerBatch * batchStride
    for level in 0..<depth {
      let (index, extent) = (values[row * depth + level], shape[batch + level])
      guard -extent..<extent ~= index else {
        throw SwiftletError(.badInput, "index \(index) is out of range for an axis of \(extent)")
      }
      place += (index < 0 ? index + extent : index) * strides[batch + level]
    }
    return place
  }
}

extension Operator {
  /// Checks that indices can address elements of a tensor along `axis`: equal rank, and no extent
  /// larger than the tensor's except along the axis.
  func checkElementIndices(_ indices: TensorInfo, _ shape: Shape, axis: Int) throws {
    let fits =
      indices.shape.rank == shape.rank
      && (0..<shape.rank).allSatisfy { $0 == axis || indices.shape[$0] <= shape[$0] }
    guard fits else { throw mismatch("indices \(indices.shape) do not match \(shape)") }
  }

  /// The shape of one block addressed by a row of indices.
  func blockShape(_ indices: Shape, _ shape: Shape, batch: Int) throws -> [Int] {
    guard indices.rank > batch, shape.rank > batch, batch >= 0,
      indices.dimensions[..<batch] == shape.dimensions[..<batch],
      indices[indices.rank - 1] <= shape.rank - batch
    else { throw mismatch("indices \(indices) do not match \(shape) with \(batch) batch axes") }
    return Array(shape.dimensions[(batch + indices[indices.rank - 1])...])
  }
}
