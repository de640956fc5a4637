// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
import SwiftletDense
import SwiftletDenseAVX2
import SwiftletKernels

/// An element type with BLAS and LAPACK routines and Swift kernels.
public protocol BLASElement: FloatElement {
  static var _routines: NumericalRoutines<Self> { get }
}

/// The routines for one element type. Callers use ``BLAS`` and ``LAPACK``.
public final class NumericalRoutines<T: FloatElement>: Sendable {
  /// OpenBLAS and LAPACKE; `nil` in a build with the trait `PureSwift`.
  let openBLAS: OpenBLASRoutines<T>?
  /// Our own kernels for this processor.
  package let kernels: DenseKernels<T>
  /// Our own kernels for every tier that the processor supports, best first.
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
