// SPDX-License-Identifier: Apache-2.0

/// The inner loops of dense linear algebra in Swift, for one element type and one instruction set.
///
/// Kernels take raw pointers and sizes in elements, allocate nothing and never read out of bounds.
/// The targets `SwiftletDense` and `SwiftletDenseAVX2` fill this table from the same sources,
/// compiled for different processors.
@safe
package final class DenseKernels<T: FloatElement>: Sendable {
  /// The name of the instruction set, for users.
  package let name: String
  /// The scratch size of ``gemm`` for an m×k by k×n product, in elements, aligned to 64 bytes.
  package let gemmScratch: @Sendable (_ m: Int, _ n: Int, _ k: Int) -> Int
  /// C += alpha · A · B. A (m×k) and B (k×n) may have any strides, C (m×n) has packed rows.
  package let gemm:
    @Sendable (
      _ m: Int, _ n: Int, _ k: Int, _ alpha: T, _ a: UnsafePointer<T>, _ aRow: Int, _ aColumn: Int,
      _ b: UnsafePointer<T>, _ bRow: Int, _ bColumn: Int, _ c: UnsafeMutablePointer<T>, _ cRow: Int,
      _ scratch: UnsafeMutablePointer<T>
    ) -> Void
  /// y += alpha · A · x with A m×n.
  package let gemv: MatrixVector
  /// y += alpha · Aᵀ · x with A m×n.
  package let gemvTransposed: MatrixVector
  /// y += alpha · A · x with A symmetric, n×n, of which only the upper triangle is read.
  package let symv:
    @Sendable (
      _ n: Int, _ alpha: T, _ a: UnsafePointer<T>, _ lda: Int, _ x: UnsafePointer<T>,
      _ y: UnsafeMutablePointer<T>
    ) -> Void
  /// xᵀ · y, in several interleaved sums.
  package let dot: @Sendable (_ n: Int, _ x: UnsafePointer<T>, _ y: UnsafePointer<T>) -> T
  /// y += alpha · x.
  package let axpy:
    @Sendable (_ n: Int, _ alpha: T, _ x: UnsafePointer<T>, _ y: UnsafeMutablePointer<T>) -> Void
  /// (x, y) ← (c·x + s·y, c·y − s·x).
  package let rotate:
    @Sendable (
      _ n: Int, _ c: T, _ s: T, _ x: UnsafeMutablePointer<T>, _ y: UnsafeMutablePointer<T>
    ) -> Void
  /// (x, y) ← (x − (δ·x + p·y), y − (δ·y − q·x)): a rotation with 1 − cos = δ of rows that may be
  /// scaled differently; p = q is the sine if they are not.
  package let rotateScaled:
    @Sendable (
      _ n: Int, _ delta: T, _ p: T, _ q: T, _ x: UnsafeMutablePointer<T>,
      _ y: UnsafeMutablePointer<T>
    ) -> Void
  /// Sum and sum of derivatives, z²/Δ and z²/Δ², with Δ = (gap − t)·(sum + t), or gap − t without
  /// `sum`: one side of a secular equation.
  package let secular:
    @Sendable (
      _ n: Int, _ gap: UnsafePointer<T>, _ sum: UnsafePointer<T>?, _ z2: UnsafePointer<T>, _ t: T
    ) -> (value: T, slope: T)

  package typealias MatrixVector =
    @Sendable (
      _ m: Int, _ n: Int, _ alpha: T, _ a: UnsafePointer<T>, _ lda: Int, _ x: UnsafePointer<T>,
      _ y: UnsafeMutablePointer<T>
    ) -> Void

  package init(
    name: String, gemmScratch: @escaping @Sendable (Int, Int, Int) -> Int,
    gemm:
      @escaping @Sendable (
        Int, Int, Int, T, UnsafePointer<T>, Int, Int, UnsafePointer<T>, Int, Int,
        UnsafeMutablePointer<T>, Int, UnsafeMutablePointer<T>
      ) -> Void,
    gemv: @escaping MatrixVector, gemvTransposed: @escaping MatrixVector,
    symv:
      @escaping @Sendable (
        Int, T, UnsafePointer<T>, Int, UnsafePointer<T>, UnsafeMutablePointer<T>
      ) -> Void,
    dot: @escaping @Sendable (Int, UnsafePointer<T>, UnsafePointer<T>) -> T,
    axpy: @escaping @Sendable (Int, T, UnsafePointer<T>, UnsafeMutablePointer<T>) -> Void,
    rotate:
      @escaping @Sendable (Int, T, T, UnsafeMutablePointer<T>, UnsafeMutablePointer<T>) -> Void,
    rotateScaled:
      @escaping @Sendable (Int, T, T, T, UnsafeMutablePointer<T>, UnsafeMutablePointer<T>) -> Void,
    secular:
      @escaping @Sendable (Int, UnsafePointer<T>, UnsafePointer<T>?, UnsafePointer<T>, T) -> (
        value: T, slope: T
      )
  ) {
    self.name = name
    self.gemmScratch = gemmScratch
    unsafe self.gemm = gemm
    unsafe self.gemv = gemv
    unsafe self.gemvTransposed = gemvTransposed
    unsafe self.symv = symv
    unsafe self.dot = dot
    unsafe self.axpy = axpy
    unsafe self.rotate = rotate
    unsafe self.rotateScaled = rotateScaled
    unsafe self.secular = secular
  }
}
