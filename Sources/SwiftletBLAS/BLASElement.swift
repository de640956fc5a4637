public import SwiftletCore
import SwiftletDense
import SwiftletDenseAVX2
import SwiftletKernels

/// An element type that there are BLAS and LAPACK routines and kernels of our own for.
public protocol BLASElement: FloatElement {
  static var _routines: NumericalRoutines<Self> { get }
}

/// What computes with one element type. Callers use ``BLAS`` and ``LAPACK``.
public final class NumericalRoutines<T: FloatElement>: Sendable {
  /// OpenBLAS and LAPACKE; `nil` in a build with the trait `PureSwift`.
  let openBLAS: OpenBLASRoutines<T>?
  /// Our own loops, for the processor at hand.
  package let kernels: DenseKernels<T>
  /// Our own loops for every tier that the processor can run, best first.
  package let kernelTiers: [DenseKernels<T>]

  fileprivate init(
    _ openBLAS: OpenBLASRoutines<T>?, baseline: DenseKernels<T>, avx2: DenseKernels<T>
  ) {
    self.openBLAS = openBLAS
    kernelTiers = ISA.supported >= .avx2 ? [avx2, baseline] : [baseline]
    kernels = ISA.current >= .avx2 ? avx2 : baseline
  }
}

extension Float: BLASElement {
  public static let _routines = NumericalRoutines<Float>(
    .float32, baseline: SwiftletDense.Dense.float32, avx2: SwiftletDenseAVX2.Dense.float32)
}

extension Double: BLASElement {
  public static let _routines = NumericalRoutines<Double>(
    .float64, baseline: SwiftletDense.Dense.float64, avx2: SwiftletDenseAVX2.Dense.float64)
}
