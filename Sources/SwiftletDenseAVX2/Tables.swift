// SPDX-License-Identifier: Apache-2.0

package import SwiftletCore

#if SWIFTLET_AVX2
  private let name = "avx2"
#else
  private let name = "baseline"
#endif

/// The kernels, compiled for this target's processors.
package enum Dense {
  package static let float32 = unsafe DenseKernels<Float>(
    name: name, gemmScratch: { gemmScratch($0, $1, $2, Float.self) },
    gemm: { unsafe gemm($0, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) },
    gemv: { unsafe gemv($0, $1, $2, $3, $4, $5, $6) },
    gemvTransposed: { unsafe gemvTransposed($0, $1, $2, $3, $4, $5, $6) },
    symv: { unsafe symv($0, $1, $2, $3, $4, $5) }, dot: { unsafe dot($0, $1, $2) },
    axpy: { unsafe axpy($0, $1, $2, $3) }, rotate: { unsafe rotate($0, $1, $2, $3, $4) },
    rotateScaled: { unsafe rotateScaled($0, $1, $2, $3, $4, $5) },
    secular: { unsafe secular($0, $1, $2, $3, $4) })

  package static let float64 = unsafe DenseKernels<Double>(
    name: name, gemmScratch: { gemmScratch($0, $1, $2, Double.self) },
    gemm: { unsafe gemm($0, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) },
    gemv: { unsafe gemv($0, $1, $2, $3, $4, $5, $6) },
    gemvTransposed: { unsafe gemvTransposed($0, $1, $2, $3, $4, $5, $6) },
    symv: { unsafe symv($0, $1, $2, $3, $4, $5) }, dot: { unsafe dot($0, $1, $2) },
    axpy: { unsafe axpy($0, $1, $2, $3) }, rotate: { unsafe rotate($0, $1, $2, $3, $4) },
    rotateScaled: { unsafe rotateScaled($0, $1, $2, $3, $4, $5) },
    secular: { unsafe secular($0, $1, $2, $3, $4) })
}
