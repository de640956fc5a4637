// SPDX-License-Identifier: Apache-2.0

import Swiftlet

#if OpenBLAS
  import COpenBLAS
#endif

/// Calls of LAPACKE and CBLAS as a C program would make them: the memory is ready, only the call
/// is timed.
enum Baseline {
  #if OpenBLAS
    static let isInstalled = true

    static func gesdd(_ a: Tensor<Double>) -> Double {
      let (m, n) = (Int32(a.shape[0]), Int32(a.shape[1]))
      let rank = min(m, n)
      var work = a.elements
      var s = [Double](repeating: 0, count: Int(rank))
      var left = [Double](repeating: 0, count: Int(n * rank))
      var right = [Double](repeating: 0, count: Int(rank * m))
      return seconds {
        _ = unsafe LAPACKE_dgesdd(
          LAPACK_COL_MAJOR, CChar(UInt8(ascii: "S")), n, m, &work, n, &s, &left, n, &right, rank)
      }
    }

    static func gesdd(_ a: Tensor<Float>) -> Double {
      let (m, n) = (Int32(a.shape[0]), Int32(a.shape[1]))
      let rank = min(m, n)
      var work = a.elements
      var s = [Float](repeating: 0, count: Int(rank))
      var left = [Float](repeating: 0, count: Int(n * rank))
      var right = [Float](repeating: 0, count: Int(rank * m))
      return seconds {
        _ = unsafe LAPACKE_sgesdd(
          LAPACK_COL_MAJOR, CChar(UInt8(ascii: "S")), n, m, &work, n, &s, &left, n, &right, rank)
      }
    }

    static func syevd(_ a: Tensor<Double>) -> Double {
      let n = Int32(a.shape[0])
      var work = a.elements
      var values = [Double](repeating: 0, count: Int(n))
      return seconds {
        _ = unsafe LAPACKE_dsyevd(
          LAPACK_COL_MAJOR, CChar(UInt8(ascii: "V")), CChar(UInt8(ascii: "L")), n, &work, n,
          &values)
      }
    }

    /// Factors and Q, as ours.
    static func geqrf(_ a: Tensor<Double>) -> Double {
      let (m, n) = (Int32(a.shape[0]), Int32(a.shape[1]))
      let rank = min(m, n)
      var work = a.elements
      var tau = [Double](repeating: 0, count: Int(rank))
      return seconds {
        _ = unsafe LAPACKE_dgelqf(LAPACK_COL_MAJOR, n, m, &work, n, &tau)
        _ = unsafe LAPACKE_dorglq(LAPACK_COL_MAJOR, rank, m, rank, &work, n, tau)
      }
    }

    static func gemm(_ a: Tensor<Double>) -> Double {
      let n = Int32(a.shape[0])
      let x = a.elements
      var c = [Double](repeating: 0, count: x.count)
      return seconds {
        unsafe cblas_dgemm(
          CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, x, n, x, n, 0, &c, n)
      }
    }

    static func gemm(_ a: Tensor<Float>) -> Double {
      let n = Int32(a.shape[0])
      let x = a.elements
      var c = [Float](repeating: 0, count: x.count)
      return seconds {
        unsafe cblas_sgemm(
          CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, x, n, x, n, 0, &c, n)
      }
    }
  #else
    static let isInstalled = false
    static func gesdd(_: Tensor<Double>) -> Double { .nan }
    static func gesdd(_: Tensor<Float>) -> Double { .nan }
    static func syevd(_: Tensor<Double>) -> Double { .nan }
    static func geqrf(_: Tensor<Double>) -> Double { .nan }
    static func gemm(_: Tensor<Double>) -> Double { .nan }
    static func gemm(_: Tensor<Float>) -> Double { .nan }
  #endif
}

/// The seconds that `body` takes.
func seconds(_ body: () throws -> Void) rethrows -> Double {
  let elapsed = try ContinuousClock().measure(body).components
  return Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18
}
