// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore
import Testing

/// Every kernel of every instruction set against plain loops, for all remainders of their vectors.
struct DenseKernelTests {
  @Test func productsStayWithinTheErrorBound() {
    for kernels in Float._routines.kernelTiers { checkProducts(kernels) }
    for kernels in Double._routines.kernelTiers { checkProducts(kernels) }
  }

  private func checkProducts<T: BLASElement>(_ kernels: DenseKernels<T>) {
    var generator = RandomGenerator(seed: 40)
    let sizes = Array(1...18) + [33, 145, 150]
    for m in sizes {
      for (n, k) in [(1, 1), (m, 3), (7, m), (17, 5), (2 * m, 300), (33, 16)] {
        for (transposeA, transposeB) in [(false, false), (true, false), (false, true)] {
          let a = Tensor<T>([m, k], uniformIn: -1...1, using: &generator)
          let b = Tensor<T>([k, n], uniformIn: -1...1, using: &generator)
          let storedA = transposeA ? a.transposed().contiguous() : a
          let storedB = transposeB ? b.transposed().contiguous() : b
          let gap = 2
          var c = Tensor<T>([m, n + gap], repeating: 1)
          var scratch = Tensor<T>([kernels.gemmScratch(m, n, k)], repeating: .nan)
          multiply(
            kernels, m, n, k, storedA, transposeA ? (1, m) : (k, 1), storedB,
            transposeB ? (1, k) : (n, 1), &c, n + gap, &scratch)
          var isGood = true
          for i in 0..<m {
            for j in 0..<n {
              var (exact, magnitude) = (1.0, 1.0)
              for p in 0..<k {
                let product = 2 * Double(a[i, p]) * Double(b[p, j])
                exact += product
                magnitude += abs(product)
              }
              let bound = Double(k + 3) * Double(T.ulpOfOne) * magnitude
              isGood = isGood && abs(Double(c[i, j]) - exact) <= bound
            }
            // What lies between the rows stays.
            isGood = isGood && c[i, n] == 1 && c[i, n + 1] == 1
          }
          #expect(isGood, "\(T.dtype) \(kernels.name) \(m)×\(n)×\(k) \(transposeA) \(transposeB)")
        }
      }
    }
  }

  private func multiply<T: BLASElement>(
    _ kernels: DenseKernels<T>, _ m: Int, _ n: Int, _ k: Int, _ a: Tensor<T>,
    _ aSteps: (Int, Int), _ b: Tensor<T>, _ bSteps: (Int, Int), _ c: inout Tensor<T>, _ ldc: Int,
    _ scratch: inout Tensor<T>
  ) {
    var target = c.mutableSpan
    var buffer = scratch.mutableSpan
    unsafe target.withUnsafeMutableBufferPointer { c in
      unsafe buffer.withUnsafeMutableBufferPointer { scratch in
        unsafe a.span.withUnsafeBufferPointer { a in
          unsafe b.span.withUnsafeBufferPointer { b in
            unsafe kernels.gemm(
              m, n, k, 2, a.baseAddress!, aSteps.0, aSteps.1, b.baseAddress!, bSteps.0, bSteps.1,
              c.baseAddress!, ldc, scratch.baseAddress!)
          }
        }
      }
    }
  }

  @Test func vectorsAndMatrices() {
    for kernels in Float._routines.kernelTiers { checkVectors(kernels) }
    for kernels in Double._routines.kernelTiers { checkVectors(kernels) }
  }

  private func checkVectors<T: BLASElement>(_ kernels: DenseKernels<T>) {
    var generator = RandomGenerator(seed: 41)
    for n in 0...70 {
      for m in [0, 1, 3, 4, 6, 9] {
        // One element more than is needed, so that there always is an address.
        let a = Tensor<T>([max(m, n) + 1, n + 3], uniformIn: -1...1, using: &generator)
        let x = Tensor<T>([max(m, n) + 1], uniformIn: -1...1, using: &generator)
        let start = Tensor<T>([max(m, n) + 1], uniformIn: -1...1, using: &generator)
        let lda = n + 3
        func apply(_ body: (UnsafePointer<T>, UnsafePointer<T>, UnsafeMutablePointer<T>) -> Void)
          -> [Double]
        {
          var y = start
          var target = y.mutableSpan
          unsafe target.withUnsafeMutableBufferPointer { y in
            unsafe a.span.withUnsafeBufferPointer { a in
              unsafe x.span.withUnsafeBufferPointer { x in
                unsafe body(a.baseAddress!, x.baseAddress!, y.baseAddress!)
              }
            }
          }
          return y.elements.map { Double($0) }
        }
        func near(_ found: [Double], _ expected: (Int) -> Double) -> Bool {
          found.indices.allSatisfy {
            abs(found[$0] - expected($0)) <= 80 * Double(T.ulpOfOne) * Double(max(m, n) + 1)
          }
        }
        let (dx, dy) = (x.elements.map { Double($0) }, start.elements.map { Double($0) })
        let element = { (i: Int, j: Int) in Double(a[i, j]) }
        let remark: Comment = "\(T.dtype) \(kernels.name) \(m)×\(n)"

        let product = unsafe apply { unsafe kernels.gemv(m, n, 2, $0, lda, $1, $2) }
        #expect(
          near(product) { i in
            i < m ? (0..<n).reduce(dy[i]) { $0 + 2 * element(i, $1) * dx[$1] } : dy[i]
          }, remark)
        let transposed = unsafe apply { unsafe kernels.gemvTransposed(m, n, 2, $0, lda, $1, $2) }
        #expect(
          near(transposed) { j in
            j < n ? (0..<m).reduce(dy[j]) { $0 + 2 * element($1, j) * dx[$1] } : dy[j]
          }, remark)
        let symmetric = unsafe apply { unsafe kernels.symv(n, 2, $0, lda, $1, $2) }
        #expect(
          near(symmetric) { i in
            i < n
              ? (0..<n).reduce(dy[i]) { $0 + 2 * element(min(i, $1), max(i, $1)) * dx[$1] } : dy[i]
          }, remark)
        let sum = unsafe apply { unsafe kernels.axpy(n, 3, $1, $2) }
        #expect(near(sum) { $0 < n ? dy[$0] + 3 * dx[$0] : dy[$0] }, remark)
        let dot = unsafe apply { _, x, y in unsafe y.pointee = kernels.dot(n, x, y) }
        #expect(near([dot[0]]) { _ in (0..<n).reduce(0) { $0 + dx[$1] * dy[$1] } }, remark)
      }
    }
  }

  @Test func rotationsTurnPairs() {
    for kernels in Double._routines.kernelTiers {
      for n in 0...19 {
        var (x, y) = ((0...n).map { Double($0) }, (0...n).map { 100 - Double($0) })
        let (oldX, oldY) = (x, y)
        unsafe kernels.rotate(n, 0.6, 0.8, &x, &y)
        for i in 0...n {
          #expect(abs(x[i] - (i < n ? 0.6 * oldX[i] + 0.8 * oldY[i] : oldX[i])) < 1e-13)
          #expect(abs(y[i] - (i < n ? 0.6 * oldY[i] - 0.8 * oldX[i] : oldY[i])) < 1e-13)
        }
        (x, y) = (oldX, oldY)
        unsafe kernels.rotateScaled(n, 0.4, 0.2, 3, &x, &y)
        for i in 0...n {
          #expect(abs(x[i] - (i < n ? 0.6 * oldX[i] - 0.2 * oldY[i] : oldX[i])) < 1e-13)
          #expect(abs(y[i] - (i < n ? 0.6 * oldY[i] + 3 * oldX[i] : oldY[i])) < 1e-12)
        }
      }
    }
  }

  @Test func secularSums() {
    for kernels in Double._routines.kernelTiers {
      for n in 0...19 {
        let gap = (0...n).map { Double($0) + 1 }
        let sum = gap.map { $0 + 5 }
        let squares = gap.map { 1 / $0 }
        let t = 0.25
        for isSquared in [false, true] {
          let found =
            unsafe isSquared
            ? kernels.secular(n, gap, sum, squares, t) : kernels.secular(n, gap, nil, squares, t)
          var (value, slope) = (0.0, 0.0)
          for i in 0..<n {
            let delta = (gap[i] - t) * (isSquared ? sum[i] + t : 1)
            value += squares[i] / delta
            slope += squares[i] / (delta * delta)
          }
          #expect(abs(found.value - value) <= 1e-14 * value)
          #expect(abs(found.slope - slope) <= 1e-14 * slope)
        }
      }
    }
  }

  @Test func bothTiersAreTriedWhereTheProcessorHasBoth() {
    let names = Double._routines.kernelTiers.map(\.name)
    #expect(names == ["avx2", "baseline"] || names == ["baseline"])
    #expect(names.contains(Double._routines.kernels.name))
  }
}
