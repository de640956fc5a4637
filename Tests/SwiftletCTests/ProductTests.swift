// SPDX-License-Identifier: Apache-2.0

import CSwiftletABI
import SwiftletCore
import Testing

/// Products through the C interface, against loops.
struct ProductTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let m, n, k: Int
    var transposeA = false, transposeB = false
    var threads: Int32 = 1
    var testDescription: String { "\(m)×\(n)×\(k) \(transposeA) \(transposeB) \(threads)" }
  }

  static let cases: [Case] = [
    Case(m: 0, n: 3, k: 2), Case(m: 3, n: 0, k: 2), Case(m: 2, n: 3, k: 0), Case(m: 1, n: 1, k: 1),
    Case(m: 5, n: 3, k: 7), Case(m: 70, n: 33, k: 65, threads: 2),
    Case(m: 33, n: 300, k: 129, threads: 3),
  ].flatMap { one in
    [(false, false), (true, false), (false, true), (true, true)].map {
      Case(m: one.m, n: one.n, k: one.k, transposeA: $0, transposeB: $1, threads: one.threads)
    }
  }

  private func matrix(_ rows: Int, _ leading: Int, seed: UInt64) -> [Double] {
    var generator = RandomGenerator(seed: seed)
    return (0..<max(1, rows * leading)).map { _ in Double(generator.below(17)) - 8 }
  }

  /// Small whole numbers: sums are exact in fp32 too.
  private func expected(
    _ one: Case, _ a: [Double], _ lda: Int, _ b: [Double], _ ldb: Int, _ c: [Double], _ ldc: Int
  ) -> [Double] {
    var c = c
    for i in 0..<one.m {
      for j in 0..<one.n {
        var sum = 0.0
        for p in 0..<one.k {
          sum +=
            (one.transposeA ? a[p * lda + i] : a[i * lda + p])
            * (one.transposeB ? b[j * ldb + p] : b[p * ldb + j])
        }
        c[i * ldc + j] = 2 * sum + 3 * c[i * ldc + j]
      }
    }
    return c
  }

  @Test(arguments: cases) func gemm(one: Case) {
    let (rowsA, columnsA) = one.transposeA ? (one.k, one.m) : (one.m, one.k)
    let (rowsB, columnsB) = one.transposeB ? (one.n, one.k) : (one.k, one.n)
    let (lda, ldb, ldc) = (columnsA + 2, columnsB + 1, one.n + 3)
    let (a, b) = (matrix(rowsA, lda, seed: 1), matrix(rowsB, ldb, seed: 2))
    let c = matrix(one.m, ldc, seed: 3)
    let expected = self.expected(one, a, lda, b, ldb, c, ldc)
    func run<T: BinaryFloatingPoint & BitwiseCopyable>(
      _ call: (Memory<T>, Memory<T>, Memory<T>) -> swiftlet_status
    ) {
      let target = Memory(c.map { T($0) })
      expectOK(call(Memory(a.map { T($0) }), Memory(b.map { T($0) }), target))
      #expect(target.elements == expected.map { T($0) })
    }
    let (m, n, k) = (Int64(one.m), Int64(one.n), Int64(one.k))
    let (flagA, flagB): (Int32, Int32) = (one.transposeA ? 1 : 0, one.transposeB ? -1 : 0)
    run { (a: Memory<Float>, b, c) in
      swiftlet_gemm_f32(
        flagA, flagB, m, n, k, 2, a.start, Int64(lda), b.start, Int64(ldb), 3, c.start, Int64(ldc),
        one.threads)
    }
    run { (a: Memory<Double>, b, c) in
      swiftlet_gemm_f64(
        flagA, flagB, m, n, k, 2, a.start, Int64(lda), b.start, Int64(ldb), 3, c.start, Int64(ldc),
        one.threads)
    }
  }

  @Test func oldContentsDoNotMatterWithBetaZero() {
    let (a, c) = (Memory<Float>([1, 2, 3, 4]), Memory([Float](repeating: .nan, count: 4)))
    let b = Memory<Float>([1, 0, 0, 1])
    expectOK(
      swiftlet_gemm_f32(0, 0, 2, 2, 2, 1, a.start, 2, b.start, 2, 0, c.start, 2, 0))
    #expect(c.elements == [1, 2, 3, 4])
  }

  /// Halves of one buffer, side by side and row by row, share no element.
  @Test func resultsMayLieBetweenTheRowsOfAnArgument() {
    let n = 6
    let (m, k) = (6, 6)
    func run(_ a: Int, _ lda: Int, _ c: Int, _ ldc: Int) -> swiftlet_status {
      let buffer = Memory((0..<200).map { Double($0 % 7) })
      let b = Memory((0..<n * k).map { Double($0 % 5) })
      let before = buffer.elements
      let status = swiftlet_gemm_f64(
        0, 0, Int64(m), Int64(n), Int64(k), 1, buffer.start + a, Int64(lda), b.start, Int64(n), 0,
        buffer.start + c, Int64(ldc), 2)
      var expected = before
      for i in 0..<m where status == SWIFTLET_OK {
        for j in 0..<n {
          expected[c + i * ldc + j] = (0..<k).reduce(0) {
            $0 + before[a + i * lda + $1] * b[$1 * n + j]
          }
        }
      }
      #expect(buffer.elements == expected)
      return status
    }
    for (a, lda, c, ldc) in [
      (0, 12, 6, 12), (6, 12, 0, 12), (0, 20, 7, 20), (7, 20, 0, 20), (0, 6, 36, 6), (3, 13, 9, 13),
      (6, 12, 0, 24), (0, 12, 6, 24), (18, 24, 0, 24), (0, 24, 6, 25),
    ] { expectOK(run(a, lda, c, ldc)) }
    for (a, lda, c, ldc) in [
      (0, 12, 5, 12), (0, 12, 7, 12), (7, 12, 0, 12), (0, 6, 35, 6), (0, 13, 6, 12), (0, 24, 6, 23),
      (0, 12, 0, 12), (40, 12, 0, 13),
    ] { expect(run(a, lda, c, ldc), SWIFTLET_USAGE, "overlap") }
  }

  @Test func sumsOfNothingAreZero() {
    let c = Memory<Float>([1, 2, 3, 4])
    for leading in [0, 1, 3] as [Int64] {
      expectOK(
        swiftlet_gemm_f32(0, 0, 2, 2, 0, 1, nil, leading, nil, 2, 2, c.start, 2, 1))
    }
    #expect(c.elements == [8, 16, 24, 32])
    expectOK(swiftlet_gemm_f32(0, 0, 2, 2, 0, 1, nil, 0, nil, 2, 0, c.start, 2, 1))
    #expect(c.elements == [0, 0, 0, 0])
    let sums = Memory<Int32>([1, 2, 3, 4])
    expectOK(swiftlet_gemm_u8s8s32(2, 2, 0, nil, 0, nil, 2, sums.start, 2, 1))
    #expect(sums.elements == [0, 0, 0, 0])
  }

  @Test func mistakesInProductsAreNamed() {
    let (a, c) = (
      Memory([Float](repeating: 0, count: 64)), Memory([Float](repeating: 0, count: 64))
    )
    func run(
      _ a: UnsafePointer<Float>?, _ c: UnsafeMutablePointer<Float>?, m: Int64 = 4, k: Int64 = 4,
      lda: Int64 = 4, ldc: Int64 = 4, threads: Int32 = 1
    ) -> swiftlet_status {
      swiftlet_gemm_f32(0, 0, m, 4, k, 1, a, lda, a, 4, 0, c, ldc, threads)
    }
    let (from, to) = (UnsafePointer(a.start), c.start)
    expect(run(nil, to), SWIFTLET_USAGE, "a is NULL")
    expect(run(from, nil), SWIFTLET_USAGE, "c is NULL")
    expect(run(from, to, m: -1), SWIFTLET_USAGE, "m is -1")
    expect(run(from, to, k: .max), SWIFTLET_UNSUPPORTED, "k is")
    expect(run(from, to, lda: 3), SWIFTLET_USAGE, "leading dimension of a")
    expect(run(from, to, ldc: 2), SWIFTLET_USAGE, "leading dimension of c")
    expect(run(from, to, threads: 5000), SWIFTLET_USAGE, "threads")
    expect(run(from, a.start + 15), SWIFTLET_USAGE, "overlap")
    expectOK(run(from, a.start + 16))
    let odd = UnsafeRawPointer(from).advanced(by: 2).assumingMemoryBound(to: Float.self)
    expect(run(odd, to), SWIFTLET_USAGE, "aligned")
  }

  @Test(
    arguments: [
      (1, 1, 1), (1, 17, 4), (3, 5, 3), (7, 33, 65), (14, 16, 512), (15, 40, 513), (130, 64, 1030),
      (2, 3, 65793), (0, 2, 3), (2, 0, 3), (2, 3, 0),
    ], [1, 2] as [Int32])
  func bytesAreExact(sizes: (m: Int, n: Int, k: Int), threads: Int32) {
    let (m, n, k) = sizes
    let (lda, ldb, ldc) = (k + 3, n + 1, n + 2)
    var generator = RandomGenerator(seed: 5)
    let extremes: [Int8] = [-128, -127, -1, 0, 1, 127]
    // The first row and column take the sums to their bounds.
    let a = (0..<max(1, m * lda)).map {
      $0 < lda ? 255 : [0, 1, 254, 255][generator.below(4)] as UInt8
    }
    let b = (0..<max(1, k * ldb)).map { $0 % ldb == 0 ? -128 : extremes[generator.below(6)] }
    let (from, by) = (Memory(a), Memory(b))
    let c = Memory([Int32](repeating: 77, count: max(1, m * ldc)))
    expectOK(
      swiftlet_gemm_u8s8s32(
        Int64(m), Int64(n), Int64(k), from.start, Int64(lda), by.start, Int64(ldb), c.start,
        Int64(ldc), threads))
    for i in 0..<m {
      for j in 0..<n {
        var sum: Int32 = 0
        for p in 0..<k { sum += Int32(a[i * lda + p]) * Int32(b[p * ldb + j]) }
        #expect(c[i * ldc + j] == sum, "\(i), \(j)")
      }
      #expect(c[i * ldc + n] == 77)
    }
  }

  @Test func bytesThatCouldOverflowAreRefused() {
    let (a, b, c) = (Memory<UInt8>([1]), Memory<Int8>([1]), Memory<Int32>([1]))
    expect(
      swiftlet_gemm_u8s8s32(1, 1, 65794, a.start, 65794, b.start, 1, c.start, 1, 1),
      SWIFTLET_UNSUPPORTED, "65793")
  }
}
