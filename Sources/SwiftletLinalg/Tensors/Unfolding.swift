public import SwiftletBLAS
public import SwiftletCore

extension Tensor {
  /// The mode-n unfolding: a matrix of I_n rows, whose columns run through the other modes in
  /// their order, the last one fastest (row-major; Kolda & Bader 2009 let the first run fastest).
  /// A view for mode 0 of a packed tensor, else a copy.
  ///
  /// - Precondition: The mode exists.
  public func unfolded(mode: Int) -> Tensor {
    precondition((0..<shape.rank).contains(mode), "\(shape) has no mode \(mode)")
    let others = (0..<shape.rank).filter { $0 != mode }
    let columns = others.reduce(1) { $0 * shape[$1] }
    return permuted(to: [mode] + others).reshaped(to: [shape[mode], columns])
  }

  /// The tensor of the given shape whose ``unfolded(mode:)`` this matrix is, as a view.
  ///
  /// - Precondition: Rank 2, with the extents of that unfolding.
  public func folded(mode: Int, to shape: Shape) -> Tensor {
    precondition((0..<shape.rank).contains(mode), "\(shape) has no mode \(mode)")
    precondition(
      self.shape.rank == 2 && self.shape[0] == shape[mode] && count == shape.count,
      "\(self.shape) is not the mode-\(mode) unfolding of \(shape)")
    var extents = shape.dimensions
    extents.insert(extents.remove(at: mode), at: 0)
    let axes = (0..<shape.rank).map { $0 == mode ? 0 : $0 < mode ? $0 + 1 : $0 }
    return reshaped(to: Shape(extents)).permuted(to: axes)
  }
}

extension Tensor where Element: BLASElement {
  /// The tensor with every mode-n fibre multiplied by a matrix J×I_n, which makes extent n to J. If
  /// `transposed`, the matrix is given as its transpose, I_n×J.
  ///
  /// - Precondition: The mode exists, and the inner extents agree.
  /// - Complexity: 2·J·count operations. The first and the last mode take one product of the
  ///   tensor as it lies; a mode between takes one for each index of the modes before it.
  /// - Source: De Lathauwer, De Moor & Vandewalle 2000, definition 8.
  public func modeProduct(
    _ matrix: Tensor, mode: Int, transposed: Bool = false, pool: ThreadPool = .serial
  ) -> Tensor {
    precondition((0..<shape.rank).contains(mode), "\(shape) has no mode \(mode)")
    precondition(
      matrix.shape.rank == 2 && matrix.shape[transposed ? 0 : 1] == shape[mode],
      "mode product of \(shape) and \(matrix.shape) at mode \(mode)")
    let (extent, rows) = (shape[mode], matrix.shape[transposed ? 1 : 0])
    let outer = shape.count(of: 0..<mode)
    let inner = shape.count(of: mode + 1..<shape.rank)
    let target = shape.replacing(axis: mode, with: rows)
    if outer == 1 {
      let fibres = reshaped(to: [extent, inner])
      return matmul(matrix, fibres, transposeA: transposed, pool: pool).reshaped(to: target)
    }
    if inner == 1 {
      let fibres = reshaped(to: [outer, extent])
      return matmul(fibres, matrix, transposeB: !transposed, pool: pool).reshaped(to: target)
    }
    let (factor, blocks) = (matrix.contiguous(), reshaped(to: [outer, extent, inner]))
    var result = Tensor(uninitialized: target)
    var span = result.mutableSpan
    for block in 0..<outer {
      let fibres = blocks.slice(axis: 0, range: block..<block + 1).reshaped(to: [extent, inner])
      let product = matmul(factor, fibres, transposeA: transposed, pool: pool)
      span.copy(product.span, to: block * rows * inner)
    }
    return result
  }
}
