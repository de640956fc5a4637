// SPDX-License-Identifier: Apache-2.0

package import SwiftletCore

/// Tests the installed BLAS and LAPACK on small matrices before they are used.
///
/// Old OpenBLAS builds compute wrong results on some processors. Products are compared with plain
/// loops, factorizations by how accurately they reconstruct the matrix (LAPACK's test ratios).
public enum SelfCheck {
  /// What is checked: products, singular values and eigenvalues, in fp32 and fp64.
  public enum Routine: String, Sendable, CaseIterable {
    case sgemm, dgemm, sgesdd, dgesdd, ssyevd, dsyevd
  }

  /// What was found about one routine.
  public struct Verdict: Sendable {
    /// The routine.
    public let routine: Routine
    /// Whether it is used.
    public let passed: Bool
    /// The largest error found, relative to the expected rounding error.
    public let ratio: Double
    /// The case with the largest error.
    public let remark: String
  }

  /// The routines to test. Tests inject broken ones.
  package struct Routines: Sendable {
    package var sgemm: Product<Float>
    package var dgemm: Product<Double>
    package var sgesdd: Decomposition<Float>
    package var dgesdd: Decomposition<Double>
    package var ssyevd: EigenDecomposition<Float>
    package var dsyevd: EigenDecomposition<Double>

    /// C = A·B with A m×k, B k×n.
    package typealias Product<T: BLASElement> = @Sendable (Tensor<T>, Tensor<T>) -> Tensor<T>

    package typealias Decomposition<T: BLASElement> =
      @Sendable (Tensor<T>) throws -> (u: Tensor<T>, s: [T], vt: Tensor<T>)
    package typealias EigenDecomposition<T: BLASElement> =
      @Sendable (Tensor<T>) throws -> (values: [T], vectors: Tensor<T>)

    package static let installed = Routines(
      sgemm: openBLASProduct, dgemm: openBLASProduct, sgesdd: svd, dgesdd: svd, ssyevd: eigen,
      dsyevd: eigen)

    @Sendable
    private static func svd<T: BLASElement>(
      _ a: Tensor<T>
    ) throws -> (u: Tensor<T>, s: [T], vt: Tensor<T>) {
      var workspace = Workspace<T>()
      return try LAPACK.svd(a, workspace: &workspace)
    }

    @Sendable
    private static func eigen<T: BLASElement>(
      _ a: Tensor<T>
    ) throws -> (values: [T], vectors: Tensor<T>) {
      var workspace = Workspace<T>()
      return try LAPACK.symmetricEigen(a, workspace: &workspace)
    }
  }

  /// Factorizations pass below this test ratio, products below this multiple of the error bound.
  private static let limit = 30.0

  package static func run(_ routines: Routines) -> [Verdict] {
    [
      checkProduct(.sgemm, routines.sgemm), checkProduct(.dgemm, routines.dgemm),
      checkSVD(.sgesdd, routines.sgesdd), checkSVD(.dgesdd, routines.dgesdd),
      checkEigen(.ssyevd, routines.ssyevd), checkEigen(.dsyevd, routines.dsyevd),
    ]
  }

  private static func checkSVD<T: BLASElement>(
    _ routine: Routine, _ svd: Routines.Decomposition<T>
  ) -> Verdict {
    checkFactorisation(routine) { size in
      let a = matrix(size, size - 3, T.self)
      let (u, s, vt) = try svd(a)
      return reconstructionRatio(a, u, s, vt)
    }
  }

  private static func checkEigen<T: BLASElement>(
    _ routine: Routine, _ eigen: Routines.EigenDecomposition<T>
  ) -> Verdict {
    checkFactorisation(routine) { size in
      let half = matrix(size, size, T.self)
      var a = half
      for i in 0..<size {
        for j in 0..<i { a[i, j] = half[j, i] }
      }
      let (values, vectors) = try eigen(a)
      return reconstructionRatio(a, vectors.transposed().contiguous(), values, vectors)
    }
  }

  private static func checkProduct<T: BLASElement>(
    _ routine: Routine, _ product: Routines.Product<T>
  ) -> Verdict {
    var worst = (ratio: 0.0, remark: "")
    // Odd sizes around the kernels' tiles, long and short sums. OpenBLAS has separate kernels for
    // products of up to 100³ multiplications: only the last case reaches the main ones.
    for (m, n, k) in [
      (1, 1, 1), (5, 7, 3), (33, 17, 129), (65, 66, 64), (40, 3, 300), (67, 61, 259),
    ] {
      let (a, b) = (matrix(m, k, T.self), matrix(k, n, T.self))
      let computed = product(a, b)
      let exact = referenceProduct(
        a.converted(to: Double.self), b.converted(to: Double.self))
      let magnitude = referenceProduct(a.map { abs(Double($0)) }, b.map { abs(Double($0)) })
      let unit = Double(T.ulpOfOne) * Double(k + 2)
      for i in 0..<m * n {
        let bound = unit * magnitude.span[i]
        let error = abs(Double(computed.span[i]) - exact.span[i])
        // In double precision the reference itself rounds, hence at least twice the bound.
        let ratio = error / max(bound, Double.leastNormalMagnitude) * (limit / 2)
        if !(ratio <= worst.ratio) { worst = (ratio, "\(m)×\(n)×\(k)") }
      }
    }
    return verdict(routine, worst.ratio, "worst at \(worst.remark)")
  }

  private static func checkFactorisation(
    _ routine: Routine, _ ratio: (_ size: Int) throws -> Double
  ) -> Verdict {
    var worst = (ratio: 0.0, remark: "")
    for size in [4, 21, 48] {
      do {
        let ratio = try ratio(size)
        if !(ratio <= worst.ratio) { worst = (ratio, "worst at size \(size)") }
      } catch {
        return Verdict(routine: routine, passed: false, ratio: .infinity, remark: "\(error)")
      }
    }
    return verdict(routine, worst.ratio, worst.remark)
  }

  private static func verdict(_ routine: Routine, _ ratio: Double, _ remark: String) -> Verdict {
    Verdict(routine: routine, passed: ratio < limit, ratio: ratio, remark: remark)
  }

  /// ‖A − L·diag(d)·R‖ / (‖A‖ · max(m, n) · ε), largest elements as norms.
  private static func reconstructionRatio<T: BLASElement>(
    _ a: Tensor<T>, _ left: Tensor<T>, _ diagonal: [T], _ right: Tensor<T>
  ) -> Double {
    let scaled = Tensor<Double>(
      left.shape,
      left.elements.enumerated().map { Double($1) * Double(diagonal[$0 % diagonal.count]) })
    let product = referenceProduct(scaled, right.converted(to: Double.self))
    var (error, size) = (0.0, 0.0)
    for i in 0..<a.count {
      let difference = abs(product.span[i] - Double(a.span[i]))
      if !(difference <= error) { error = difference }
      size = max(size, abs(Double(a.span[i])))
    }
    return error / (size * Double(max(a.shape[0], a.shape[1])) * Double(T.ulpOfOne))
  }

  private static func matrix<T: BLASElement>(_ m: Int, _ n: Int, _: T.Type) -> Tensor<T> {
    var generator = RandomGenerator(seed: UInt64(m) << 20 | UInt64(n))
    return Tensor([m, n], uniformIn: -1...1, using: &generator)
  }

  private static func referenceProduct(_ a: Tensor<Double>, _ b: Tensor<Double>) -> Tensor<Double> {
    let (m, k, n) = (a.shape[0], a.shape[1], b.shape[1])
    var c = Tensor<Double>(uninitialized: [m, n])
    var target = c.mutableSpan
    ReferenceBLAS.gemm(
      m: m, n: n, k: k, alpha: 1, a: a.span, lda: k, transposeA: false, b: b.span, ldb: n,
      transposeB: false, beta: 0, c: &target, ldc: n)
    return c
  }

  /// The product by OpenBLAS, over a C full of NaN, which must be overwritten.
  @Sendable
  private static func openBLASProduct<T: BLASElement>(_ a: Tensor<T>, _ b: Tensor<T>) -> Tensor<T> {
    let (m, k, n) = (Int32(a.shape[0]), Int32(a.shape[1]), Int32(b.shape[1]))
    var c = Tensor<T>([a.shape[0], b.shape[1]], repeating: .nan)
    do {
      let (x, y) = (a.span, b.span)
      var target = c.mutableSpan
      unsafe x.withUnsafeBufferPointer { x in
        unsafe y.withUnsafeBufferPointer { y in
          unsafe target.withUnsafeMutableBufferPointer { target in
            OpenBLAS.enter {
              unsafe T._routines.openBLAS!.gemm(
                false, false, m, n, k, 1, x.baseAddress!, k, y.baseAddress!, n, 0,
                target.baseAddress!, n)
            }
          }
        }
      }
    }
    return c
  }
}
