import SwiftletBLAS
import SwiftletCore

/// The singular value decomposition by one-sided Jacobi rotations: columns are turned against each
/// other until all are orthogonal. Slow, but small singular values keep their digits where other
/// methods lose them in the largest one's rounding.
///
/// - Source: Demmel & Veselić, "Jacobi's method is more accurate than QR" (1992); de Rijk (1989).
enum JacobiSVD {
  /// - Returns: The thin factors.
  /// - Throws: `numerical` if the sweeps do not end.
  /// - Complexity: O(m·n²) per sweep, 5 to 15 sweeps.
  @specialized(where T == Float)
  @specialized(where T == Double)
  static func svd<T: BLASElement>(_ a: Tensor<T>) throws -> SwiftSVD.Factors<T> {
    let (m, n) = (a.shape[0], a.shape[1])
    if m < n {
      let (u, s, vt) = try svd(a.transposed().contiguous())
      return (vt.transposed().contiguous(), s, u.transposed().contiguous())
    }
    var columns = a.transposed().contiguous()
    let scale = ScaledMatrix.normalize(&columns)
    var rotations = Tensor<T>(zeros: [n, n])
    var u = Tensor<T>(zeros: [m, n])
    var vt = Tensor<T>(zeros: [n, n])
    let values = try columns.withView { columns in
      try rotations.withView { rotations in
        rotations.setIdentity()
        try sweep(columns, rotations)
        let norms = (0..<n).map {
          let norm = unsafe Householder.norm(columns.base + $0 * columns.rowStep, count: m)
          return norm * norm > vanishing(T.self) ? norm : 0
        }
        let order = Array(ascending(0..<n, by: norms).reversed())
        vt.withView { vt in
          for (place, row) in order.enumerated() {
            vt.rowBlock(place..<place + 1).copy(rotations.rowBlock(row..<row + 1))
          }
        }
        u.withView { u in
          for (place, row) in order.enumerated() where norms[row] > 0 {
            for i in 0..<m { u[i, place] = columns[row, i] / norms[row] }
          }
          complete(u, from: order.count { norms[$0] > 0 })
        }
        return order.map { norms[$0] }
      }
    }
    return (u, values.map { $0 / scale }, vt)
  }

  /// Squares of lengths below this count as 0. Of a column that depends on others each sweep leaves
  /// only the rounding errors of the one before: without an end it would shrink for ever.
  private static func vanishing<T: BLASElement>(_: T.Type) -> T {
    T.leastNormalMagnitude / T.ulpOfOne
  }

  private static func sweep<T: BLASElement>(
    _ columns: MatrixView<T>, _ rotations: MatrixView<T>
  ) throws {
    let kernels = T._routines.kernels
    let (n, m) = (columns.rows, columns.columns)
    let tolerance = T.ulpOfOne * T(m).squareRoot()
    for _ in 0..<60 {
      var isDone = true
      for p in 0..<n {
        for q in p + 1..<max(n, p + 1) {
          let x = unsafe columns.base + p * columns.rowStep
          let y = unsafe columns.base + q * columns.rowStep
          let (xx, yy) = unsafe (kernels.dot(m, x, x), kernels.dot(m, y, y))
          guard min(xx, yy) > vanishing(T.self) else { continue }
          let xy = unsafe kernels.dot(m, x, y)
          guard abs(xy) > tolerance * xx.squareRoot() * yy.squareRoot() else { continue }
          isDone = false
          // The rotation that makes the two orthogonal, by the smaller angle.
          let zeta = (yy - xx) / (2 * xy)
          let root = T.length(1, zeta)
          let t = (zeta < 0 ? -1 : 1) / (abs(zeta) + root)
          let c = 1 / T.length(1, t)
          unsafe kernels.rotate(m, c, -c * t, x, y)
          unsafe kernels.rotate(
            n, c, -c * t, rotations.base + p * n, rotations.base + q * n)
        }
      }
      if isDone { return }
    }
    throw SwiftletError(.numerical, "Jacobi's sweeps did not end", at: "\(m)×\(n)")
  }

  /// Fills the columns from `first` on so that all are orthonormal, by Gram–Schmidt on unit
  /// vectors, done twice.
  private static func complete<T: BLASElement>(_ u: MatrixView<T>, from first: Int) {
    var unit = 0
    for column in first..<max(first, u.columns) {
      while true {
        for i in 0..<u.rows { u[i, column] = i == unit ? 1 : 0 }
        unit += 1
        for _ in 0..<2 {
          for other in 0..<column {
            var product: T = 0
            for i in 0..<u.rows { product += u[i, column] * u[i, other] }
            for i in 0..<u.rows { u[i, column] -= product * u[i, other] }
          }
        }
        var length: T = 0
        for i in 0..<u.rows { length += u[i, column] * u[i, column] }
        // A unit vector that lies in the span of the others leaves only rounding errors.
        guard length > 1 / T(4 * u.rows) || unit >= u.rows else { continue }
        for i in 0..<u.rows { u[i, column] /= length.squareRoot() }
        break
      }
    }
  }
}
