// SPDX-License-Identifier: Apache-2.0

// This folder is compiled twice, for every x86-64 processor and for those with AVX2 and FMA;
// SwiftletDenseAVX2 holds links to these files. Code compiled for AVX2 must not run on other
// processors, not even through the linker's choice between identical copies of a generic function:
// the kernels use only raw pointers and SIMD vectors, and no generic standard library code that is
// not inlined.

/// An element type and the vectors of it that one register holds.
protocol Lane: SIMDScalar, BinaryFloatingPoint, Codable {
  associatedtype Vector: SIMD where Vector.Scalar == Self
}

#if SWIFTLET_AVX2
  extension Double: Lane { typealias Vector = SIMD4<Double> }
  extension Float: Lane { typealias Vector = SIMD8<Float> }
#else
  extension Double: Lane { typealias Vector = SIMD2<Double> }
  extension Float: Lane { typealias Vector = SIMD4<Float> }
#endif

extension SIMD where Scalar: FloatingPoint {
  /// self += a · b, fused if the processor supports it.
  @inline(__always) mutating func accumulate(_ a: Self, _ b: Self) {
    #if SWIFTLET_AVX2
      self = addingProduct(a, b)
    #else
      self = self + a * b
    #endif
  }

  @inline(__always) init(at address: UnsafePointer<Scalar>) {
    self = unsafe UnsafeRawPointer(address).loadUnaligned(as: Self.self)
  }

  @inline(__always) func store(to address: UnsafeMutablePointer<Scalar>) {
    unsafe UnsafeMutableRawPointer(address).storeBytes(of: self, as: Self.self)
  }
}
