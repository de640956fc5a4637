import SwiftletCore
import SwiftletLinalg

/// Rounding column by column; the columns that are left make up for the error.
///
/// With H = Σ x·xᵀ, rounding column j by δ changes the best values of the later ones by
/// −δ · H⁻¹[j, k] / H⁻¹[j, j]; then j leaves the problem by a step of elimination. H⁻¹ comes from
/// eigenvalues that are kept away from 0, so that it is positive definite whatever the samples.
///
/// - Source: Frantar et al. 2022, arXiv:2210.17323, with the Cholesky factor replaced.
struct GPTQ {
  let grid: WeightGrid
  /// Added to the eigenvalues, as a fraction of their mean.
  private static let damping = 0.01

  /// - Throws: `noConvergence` of the eigenvalue iteration.
  func quantized(
    _ layer: QuantizationPlan.Layer, _ layout: WeightLayout, scales: [Float],
    _ moments: InputMoments
  ) throws -> QuantizedWeights {
    let (rows, depth) = (layer.outputs, layer.depth)
    var inverse = try Self.inverse(moments.mean)
    // Columns × outputs, so that a column's errors lie together.
    var columns: Tensor<Double> = layer.matrix.transposed().contiguous().converted()
    var codes = [Int8](repeating: 0, count: rows * depth)
    var errors = [Double](repeating: 0, count: rows)
    for j in 0..<depth {
      let pivot = inverse[j, j]
      for row in 0..<rows {
        let position = layer.position(row, j)
        let scale = scales[layout.scale(of: position)]
        let weight = columns[j, row]
        let code = grid.code(Float(weight), scale)
        codes[position] = Int8(code)
        errors[row] = (weight - Double(code * scale)) / pivot
      }
      guard j + 1 < depth else { break }
      let factors = inverse.slice(axis: 0, range: j..<j + 1).elements
      var values = columns.mutableSpan
      var rest = inverse.mutableSpan
      for k in j + 1..<depth {
        let factor = factors[k]
        guard factor != 0 else { continue }
        var line = values.part(k * rows..<(k + 1) * rows)
        for row in line.indices { line[row] -= errors[row] * factor }
        var own = rest.part(k * depth..<(k + 1) * depth)
        let share = factor / pivot
        for i in j + 1..<depth { own[i] -= share * factors[i] }
      }
    }
    return grid.quantized(codes, layout, scales)
  }

  /// The inverse of a symmetric matrix whose eigenvalues are raised to be positive.
  private static func inverse(_ matrix: Tensor<Double>) throws -> Tensor<Double> {
    let eigen = try SymmetricEigen(matrix)
    let values = eigen.values.map { max(0, $0) }
    let mean = values.reduce(0, +) / Double(max(1, values.count))
    // Without any input all weights are alike.
    let added = mean > 0 ? damping * mean : 1
    var scaled = eigen.vectors.contiguous()
    let count = values.count
    var span = scaled.mutableSpan
    for i in 0..<count {
      for j in 0..<count { span[i * count + j] /= values[j] + added }
    }
    return matmul(scaled, eigen.vectors, transposeB: true)
  }
}
