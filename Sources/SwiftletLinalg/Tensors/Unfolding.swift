// SPDX-License-Identifier: Apache-2.0

public import SwiftletBLAS
public import SwiftletCore

extension Tensor {
  /// The mode-n unfolding: a matrix of I_n rows, whose columns run through the other modes in their
  /// order, the last one fastest (row-major; in Kolda & Bader 2009 the first one runs fastest). A
  /// view for mode 0 of a packed tensor, otherwise a copy.
  ///
  /// - Throws: `badInput` for a mode that does not exist.
  public func unfolded(mode: Int) throws -> Tensor {
    try requireMode(mode)
    let others = (0..<shape.rank).filter { $0 != mode }
    let columns = others.reduce(1) { $0 * shape[$1] }
    return permuted(to: [mode] + others).reshaped(to: [shape[mode], columns])
  }

  /// The tensor of the given shape whose ``unfolded(mode:)`` this matrix is, as a view.
  ///
  /// - Throws: `badInput` unless this is a matrix with the extents of that unfolding.
  public func folded(mode: Int, to shape: Shape) throws -> Tensor {
    guard (0..<shape.rank).contains(mode), self.shape.rank == 2, self.shape[0] == shape[mode],
      count == shape.count
    else {
      throw SwiftletError(
        .badInput, "shape \(self.shape) is not the mode-\(mode) unfolding of \(shape)")
    }
    var extents = shape.dimensions
    extents.insert(extents.remove(at: mode), at: 0)
    let axes = (0..<shape.rank).map { $0 == mode ? 0 : $0 < mode ? $0 + 1 : $0 }
    return reshaped(to: Shape(extents)).permuted(to: axes)
  }
}

extension Tensor {
  fileprivate func requireMode(_ mode: Int) throws {
    guard (0..<shape.rank).contains(mode) else {
      throw SwiftletError(
        .badInput, "a tensor of shape \(shape) has no mode \(mode)",
        mend: "modes count from 0 to \(max(0, shape.rank - 1))")
    }
  }
}

extension Tensor where Element: BLASElement {
  /// The tensor with every mode-n fibre multiplied by a matrix J×I_n, which changes extent n to J.
  /// If `transposed`, the matrix is given as its transpose, I_n×J.
  ///
  /// - Throws: `badInput` unless the mode exists and the inner extents agree.
  /// - Complexity: 2·J·count operations. The first and the last mode take one product of the tensor
  ///   in place; a mode in between takes one for each index of the modes before it.
  /// - Source: De Lathauwer, De Moor & Vandewalle 2000, definition 8.
  public func modeProduct(
    _ matrix: Tensor, mode: Int, transposed: Bool = false, threads: Threads = .serial
  ) throws -> Tensor {
    try requireMode(mode)
    guard matrix.shape.rank == 2, matrix.shape[transposed ? 0 : 1] == shape[mode] else {
      throw SwiftletError(
        .badInput,
        "mode \(mode) of a tensor of shape \(shape) cannot be multiplied by a matrix of shape "
          + "\(matrix.shape)", mend: "the inner extents must agree")
    }
    return multiplied(along: mode, by: matrix, transposed: transposed, threads)
  }

  /// As ``modeProduct(_:mode:transposed:threads:)``, for shapes known to match.
  func multiplied(
    along mode: Int, by matrix: Tensor, transposed: Bool = false, _ threads: Threads
  ) -> Tensor {
    let (extent, rows) = (shape[mode], matrix.shape[transposed ? 1 : 0])
    let outer = shape.count(of: 0..<mode)
    let inner = shape.count(of: mode + 1..<shape.rank)
    let target = shape.replacing(axis: mode, with: rows)
    if outer == 1 {
      let fibres = reshaped(to: [extent, inner])
      return matrixProduct(matrix, fibres, transposeA: transposed, threads: threads).reshaped(to: target)
    }
    if inner == 1 {
      let fibres = reshaped(to: [outer, extent])
      return matrixProduct(fibres, matrix, transposeB: !transposed, threads: threads).reshaped(to: target)
    }
    let (factor, blocks) = (matrix.contiguous(), reshaped(to: [outer, extent, inner]))
    var result = Tensor(uninitialized: target)
    var span = result.mutableSpan
    for block in 0..<outer {
      let fibres = blocks.slice(axis: 0, range: block..<block + 1).reshaped(to: [extent, inner])
      let product = matrixProduct(factor, fibres, transposeA: transposed, threads: threads)
      span.copy(product.span, to: block * rows * inner)
    }
    return result
  }
}
