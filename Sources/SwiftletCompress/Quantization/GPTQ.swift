// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore
import SwiftletGraph
import SwiftletLinalg

/// Rounds weights column by column and adjusts the remaining columns to compensate for the error.
///
/// With H = Σ x·xᵀ, rounding column j with an error of δ changes the optimal values of each later
/// column k by −δ · U[j, k] / U[j, j], where UᵀU = H⁻¹ and U is upper triangular. A small damping
/// term on the diagonal keeps H positive definite for any samples.
///
/// - Source: Frantar et al. 2022, arXiv:2210.17323: Cholesky factor of the inverse, blocked
///   updates.
struct GPTQ {
  let grid: WeightGrid
  let threads: Threads
  /// Damping added to the diagonal, as a fraction of its mean.
  private static let damping = 0.01
  /// Number of columns per blocked update.
  private static let block = 128

  /// Quantizes a layer's weights.
  ///
  /// - Complexity: O(depth³ + outputs · depth²) operations.
  /// - Throws: `numerical` if the moments are not finite.
  func quantized(
    _ layer: QuantizationScheme.Layer, _ layout: WeightLayout, scales: [Float],
    _ moments: Moments
  ) throws -> QuantizedWeights {
    let (rows, depth) = (layer.outputs, layer.depth)
    let factor = try inverseFactor(moments.secondMoment)
    // Depth × outputs, so that the errors of one column are contiguous.
    var columns: Tensor<Double> = layer.matrix.transposed().contiguous().converted()
    var codes = [Int8](repeating: 0, count: rows * depth)
    for start in stride(from: 0, to: depth, by: Self.block) {
      let end = min(start + Self.block, depth)
      var errors = Tensor<Double>(uninitialized: [end - start, rows])
      round(start..<end, &columns, &errors, factor) { row, column, weight in
        let position = layer.layout.position(row, column)
        let scale = scales[layout.scale(of: position)]
        let code = grid.code(Float(weight), scale)
        codes[position] = Int8(code)
        return Double(code * scale)
      }
      spread(errors, of: start, from: end, over: &columns, factor)
    }
    return grid.quantized(codes, layout, scales)
  }

  /// Rounds the columns of a block, updating the later columns of the same block.
  private func round(
    _ block: Range<Int>, _ columns: inout Tensor<Double>, _ errors: inout Tensor<Double>,
    _ factor: Tensor<Double>, _ restored: (_ row: Int, _ column: Int, _ weight: Double) -> Double
  ) {
    let (depth, rows) = (columns.shape[0], columns.shape[1])
    let factors = factor.span
    var values = columns.mutableSpan
    var lost = errors.mutableSpan
    for j in block {
      let pivot = factors[j * depth + j]
      let own = (j - block.lowerBound) * rows
      for row in 0..<rows {
        let weight = values[j * rows + row]
        lost[own + row] = (weight - restored(row, j, weight)) / pivot
      }
      for k in j + 1..<max(j + 1, block.upperBound) {
        let share = factors[j * depth + k]
        guard share != 0 else { continue }
        var line = values.part(k * rows..<(k + 1) * rows)
        for row in line.indices { line[row] -= lost[own + row] * share }
      }
    }
  }

  /// Applies the errors of a block to all columns after it.
  private func spread(
    _ errors: Tensor<Double>, of start: Int, from end: Int, over columns: inout Tensor<Double>,
    _ factor: Tensor<Double>
  ) {
    let (depth, rows) = (columns.shape[0], columns.shape[1])
    guard end < depth, rows > 0 else { return }
    let (lost, factors) = (errors, factor)
    threads.forEachBlock(of: &columns, minimumWork: 1 + (1 << 16) / Self.block) { range, output in
      let first = max(range.lowerBound, end)
      guard first < range.upperBound else { return }
      var target = output.part(
        (first - range.lowerBound) * rows..<(range.upperBound - range.lowerBound) * rows)
      BLAS.gemm(
        m: range.upperBound - first, n: rows, k: end - start, alpha: -1,
        a: factors.span.extracting((start * depth + first)...), lda: depth, transposeA: true,
        b: lost.span, ldb: rows, beta: 1, c: &target, ldc: rows)
    }
  }

  /// The upper triangular U with UᵀU = H⁻¹.
  ///
  /// It is R⁻¹, where H = R·Rᵀ with R upper triangular: the Cholesky factor of H with reversed
  /// indices.
  private func inverseFactor(_ matrix: Tensor<Double>) throws -> Tensor<Double> {
    let n = matrix.shape[0]
    let diagonal = (0..<n).reduce(0) { $0 + matrix[$1, $1] } / Double(max(1, n))
    // With all inputs zero, any positive definite H will do.
    let added = diagonal > 0 ? Self.damping * diagonal : 1
    var reversed = matrix.reversed
    for i in 0..<n { reversed[i, i] += added }
    let upper = try Cholesky(reversed, threads: threads).l.reversed
    let blocks = Array(stride(from: 0, to: n, by: Self.block))
    // The last columns take the most work, so they are scheduled first.
    let parts = try threads.map(blocks.count) { index in
      let start = blocks[blocks.count - 1 - index]
      let end = min(start + Self.block, n)
      var part = Tensor<Double>(zeros: [end, end - start])
      for i in start..<end { part[i, i - start] = 1 }
      var target = part.mutableSpan
      BLAS.trsm(
        n: end, columns: end - start, a: upper.span, lda: n, isLower: false, b: &target,
        ldb: end - start)
      return part
    }
    var inverse = Tensor<Double>(zeros: [n, n])
    var target = inverse.mutableSpan
    for (index, part) in parts.enumerated() {
      let start = blocks[blocks.count - 1 - index]
      let (height, width) = (part.shape[0], part.shape[1])
      for row in 0..<height {
        for column in 0..<width {
          target[row * n + start + column] = part.span[row * width + column]
        }
      }
    }
    return inverse
  }
}

extension Tensor<Double> {
  /// A square matrix with rows and columns in reverse order, that is, with its elements reversed.
  fileprivate var reversed: Tensor<Double> {
    let packed = contiguous()
    var result = Tensor<Double>(uninitialized: shape)
    let source = packed.span
    var target = result.mutableSpan
    for i in source.indices { target[i] = source[source.count - 1 - i] }
    return result
  }
}
