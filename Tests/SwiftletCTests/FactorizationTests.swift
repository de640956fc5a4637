// SPDX-License-Identifier: Apache-2.0

import CSwiftletABI
import SwiftletCore
import Testing

/// Factorisations through the C interface: leading dimensions, and whether the factors multiply to
/// the matrix. How accurate they are is tested with the library.
struct FactorizationTests {
  private static let sizes = [
    (0, 3), (3, 0), (1, 1), (5, 3), (3, 5), (20, 20), (40, 17), (1, 100), (100, 1),
  ]

  private func values(_ rows: Int, _ columns: Int, _ leading: Int) -> [Double] {
    var generator = RandomGenerator(seed: 3)
    return Tensor<Double>([max(1, rows * leading)], normalUsing: &generator).elements
  }

  /// The largest difference between a matrix and left · diag(scale) · right.
  private func difference(
    _ a: [Double], _ lda: Int, _ m: Int, _ n: Int, _ rank: Int, left: Memory<Double>, ldl: Int,
    scale: (Int) -> Double, right: (_ row: Int, _ column: Int) -> Double
  ) -> Double {
    var largest = 0.0
    for i in 0..<m {
      for j in 0..<n {
        var sum = 0.0
        for p in 0..<rank { sum += left[i * ldl + p] * scale(p) * right(p, j) }
        largest = max(largest, abs(sum - a[i * lda + j]))
      }
    }
    return largest
  }

  @Test(arguments: sizes) func svd(m: Int, n: Int) {
    let rank = min(m, n)
    let (lda, ldu, ldvt) = (n + 2, rank + 1, n + 3)
    let elements = values(m, n, lda)
    let a = Memory(elements)
    let u = Memory([Double](repeating: 0, count: max(1, m * ldu)))
    let vt = Memory([Double](repeating: 0, count: max(1, rank * ldvt)))
    let (s, alone) = (
      Memory([Double](repeating: 0, count: rank)), Memory([Double](repeating: 0, count: rank))
    )
    expectOK(
      swiftlet_svd_f64(
        Int64(m), Int64(n), a.start, Int64(lda), s.start, u.start, Int64(ldu), vt.start,
        Int64(ldvt), 1))
    let error = difference(
      elements, lda, m, n, rank, left: u, ldl: ldu, scale: { s[$0] },
      right: { vt[$0 * ldvt + $1] })
    #expect(error < 1e-12)
    #expect(a.elements == elements)
    expectOK(
      swiftlet_svd_f64(
        Int64(m), Int64(n), a.start, Int64(lda), alone.start, nil, 0, nil, 0, 2))
    for index in 0..<rank { #expect(abs(s[index] - alone[index]) < 1e-12) }
    guard rank > 0 else { return }
    let r = max(1, rank / 2)
    expectOK(
      swiftlet_randomized_svd_f64(
        Int64(m), Int64(n), a.start, Int64(lda), Int64(r), 10, 4, 1, alone.start, u.start,
        Int64(ldu), vt.start, Int64(ldvt), 2))
    #expect(abs(s[0] - alone[0]) < 0.05 * s[0])
  }

  @Test(arguments: sizes) func qr(m: Int, n: Int) {
    let rank = min(m, n)
    let (lda, ldq, ldr) = (n + 1, rank + 2, n + 1)
    let elements = values(m, n, lda)
    let (a, q) = (Memory(elements), Memory([Double](repeating: 0, count: max(1, m * ldq))))
    let r = Memory([Double](repeating: 9, count: max(1, rank * ldr)))
    expectOK(
      swiftlet_qr_f64(
        Int64(m), Int64(n), a.start, Int64(lda), q.start, Int64(ldq), r.start, Int64(ldr), 1))
    let error = difference(
      elements, lda, m, n, rank, left: q, ldl: ldq, scale: { _ in 1 },
      right: { r[$0 * ldr + $1] })
    #expect(error < 1e-12)
    for i in 0..<rank { for j in 0..<min(i, n) { #expect(r[i * ldr + j] == 0) } }
  }

  @Test(arguments: [0, 1, 3, 20]) func eigh(n: Int) {
    let (lda, ldv) = (n + 1, n + 2)
    var elements = values(n, n, lda)
    for i in 0..<n { for j in 0..<i { elements[i * lda + j] = elements[j * lda + i] } }
    let (a, w) = (Memory(elements), Memory([Double](repeating: 0, count: n)))
    let v = Memory([Double](repeating: 0, count: max(1, n * ldv)))
    expectOK(
      swiftlet_eigh_f64(
        Int64(n), a.start, Int64(lda), w.start, v.start, Int64(ldv), 1))
    let error = difference(
      elements, lda, n, n, n, left: v, ldl: ldv, scale: { w[$0] }, right: { v[$1 * ldv + $0] })
    #expect(error < 1e-12)
    #expect(zip(w.elements, w.elements.dropFirst()).allSatisfy { $0 >= $1 })
    let alone = Memory([Double](repeating: 0, count: n))
    expectOK(
      swiftlet_eigh_f64(Int64(n), a.start, Int64(lda), alone.start, nil, 0, 1))
    for (x, y) in zip(w.elements, alone.elements) { #expect(abs(x - y) < 1e-12) }
    // What is below the diagonal is not read.
    for i in 0..<n { for j in 0..<i { a[i * lda + j] = .nan } }
    for vectors in [nil, v.start] {
      expectOK(
        swiftlet_eigh_f64(
          Int64(n), a.start, Int64(lda), alone.start, vectors, Int64(ldv), 2))
      for (x, y) in zip(w.elements, alone.elements) { #expect(abs(x - y) < 1e-12) }
    }
    guard n > 1 else { return }
    a[1] = .nan
    expect(
      swiftlet_eigh_f64(Int64(n), a.start, Int64(lda), alone.start, nil, 0, 1),
      SWIFTLET_BAD_INPUT, "NaN")
  }

  /// Matrices without columns have no elements: any leading dimension will do.
  @Test func matricesWithoutColumns() {
    for (m, n) in [(3, 0), (0, 3), (0, 0)] as [(Int64, Int64)] {
      for leading in [0, 1, 5] as [Int64] where leading >= n {
        expectOK(swiftlet_svd_f64(m, n, nil, leading, nil, nil, 0, nil, leading, 1))
        expectOK(swiftlet_qr_f32(m, n, nil, leading, nil, 0, nil, leading, 1))
      }
    }
    expectOK(swiftlet_eigh_f32(0, nil, 0, nil, nil, 0, 1))
  }

  /// Far more than any machine has: nothing is read.
  @Test func whatDoesNotFitIntoMemoryIsRefused() throws {
    let (side, wide) = (Int64(1 << 21), 1 << 21)
    let s = Memory([Double](repeating: 0, count: wide))
    let nowhere = try #require(
      UnsafePointer<Double>(bitPattern: 1 << 60 | UInt(bitPattern: s.start)))
    expect(
      swiftlet_svd_f64(side, side, nowhere, side, s.start, nil, 0, nil, 0, 2),
      SWIFTLET_OUT_OF_MEMORY, "2097152×2097152 needs ")
    expect(
      swiftlet_svd_f64(side, side, nowhere, side + 1, s.start, nil, 0, nil, 0, 2),
      SWIFTLET_OUT_OF_MEMORY, "work on a copy of a needs ")
    expect(
      swiftlet_eigh_f64(side, nowhere, side, s.start, nil, 0, 1), SWIFTLET_OUT_OF_MEMORY, "needs")
    #expect(String(cString: swiftlet_status_name(SWIFTLET_OUT_OF_MEMORY)) == "out of memory")
    #expect(s.elements.allSatisfy { $0 == 0 })
  }

  @Test func singlePrecisionToo() {
    let a = Memory<Float>([3, 0, 0, 4])
    let (s, u, vt) = (
      Memory<Float>([0, 0]), Memory([Float](repeating: 0, count: 4)),
      Memory([Float](repeating: 0, count: 4))
    )
    expectOK(swiftlet_svd_f32(2, 2, a.start, 2, s.start, u.start, 2, vt.start, 2, 1))
    #expect(abs(s[0] - 4) < 1e-5 && abs(s[1] - 3) < 1e-5)
    expectOK(swiftlet_eigh_f32(2, a.start, 2, s.start, u.start, 2, 1))
    #expect(abs(s[0] - 4) < 1e-5 && abs(s[1] - 3) < 1e-5)
    expectOK(swiftlet_qr_f32(2, 2, a.start, 2, u.start, 2, vt.start, 2, 1))
    #expect(abs(abs(vt[0]) - 3) < 1e-5)
    expectOK(
      swiftlet_randomized_svd_f32(
        2, 2, a.start, 2, 1, 10, 2, 0, s.start, u.start, 1, vt.start, 2, 1))
    #expect(abs(s[0] - 4) < 1e-4)
  }

  @Test func mistakesInFactorisationsAreNamed() {
    let a = Memory<Double>([1, 2, 3, .nan])
    let (s, u, vt) = (Memory<Double>([0, 0]), Memory([0.0, 0, 0, 0]), Memory([0.0, 0, 0, 0]))
    func svd(
      _ s: UnsafeMutablePointer<Double>?, _ u: UnsafeMutablePointer<Double>?,
      _ vt: UnsafeMutablePointer<Double>?
    ) -> swiftlet_status {
      swiftlet_svd_f64(2, 2, a.start, 2, s, u, 2, vt, 2, 1)
    }
    expect(svd(s.start, u.start, vt.start), SWIFTLET_BAD_INPUT, "NaN")
    a[3] = 4
    expect(svd(nil, u.start, vt.start), SWIFTLET_USAGE, "s is NULL")
    expect(svd(s.start, u.start, nil), SWIFTLET_USAGE, "vt is NULL")
    expect(svd(s.start, u.start, u.start), SWIFTLET_USAGE, "overlap")
    expect(svd(s.start, a.start, vt.start), SWIFTLET_USAGE, "overlap")
    expect(svd(u.start, u.start, vt.start), SWIFTLET_USAGE, "overlap")
    expect(
      swiftlet_randomized_svd_f64(
        2, 2, a.start, 2, 3, 0, 0, 0, s.start, u.start, 3, vt.start, 2, 1), SWIFTLET_USAGE,
      "rank is 3")
    expect(
      swiftlet_eigh_f64(2, a.start, 2, nil, nil, 0, 1), SWIFTLET_USAGE, "values is NULL")
    expect(
      swiftlet_qr_f64(2, 2, a.start, 2, u.start, 2, u.start, 2, 1), SWIFTLET_USAGE, "overlap"
    )
  }
}
