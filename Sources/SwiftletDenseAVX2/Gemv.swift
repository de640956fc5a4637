// SPDX-License-Identifier: Apache-2.0

// Matrix–vector products are memory-bound: four rows share every load of the vectors.

@inline(__always)
func gemv<T: Lane>(
  _ m: Int, _ n: Int, _ alpha: T, _ a: UnsafePointer<T>, _ lda: Int, _ x: UnsafePointer<T>,
  _ y: UnsafeMutablePointer<T>
) {
  typealias V = T.Vector
  let lanes = V.scalarCount
  var row = 0
  while row &+ 4 <= m {
    let r0 = unsafe a + row &* lda
    let r1 = unsafe r0 + lda
    let r2 = unsafe r1 + lda
    let r3 = unsafe r2 + lda
    var s0 = V()
    var s1 = V()
    var s2 = V()
    var s3 = V()
    var t0 = V()
    var t1 = V()
    var t2 = V()
    var t3 = V()
    var j = 0
    while j &+ 2 &* lanes <= n {
      var v = unsafe V(at: x + j)
      unsafe s0.accumulate(V(at: r0 + j), v)
      unsafe s1.accumulate(V(at: r1 + j), v)
      unsafe s2.accumulate(V(at: r2 + j), v)
      unsafe s3.accumulate(V(at: r3 + j), v)
      j &+= lanes
      v = unsafe V(at: x + j)
      unsafe t0.accumulate(V(at: r0 + j), v)
      unsafe t1.accumulate(V(at: r1 + j), v)
      unsafe t2.accumulate(V(at: r2 + j), v)
      unsafe t3.accumulate(V(at: r3 + j), v)
      j &+= lanes
    }
    var sum0 = (s0 + t0).sum()
    var sum1 = (s1 + t1).sum()
    var sum2 = (s2 + t2).sum()
    var sum3 = (s3 + t3).sum()
    while j < n {
      let v = unsafe x[j]
      unsafe sum0 += r0[j] * v
      unsafe sum1 += r1[j] * v
      unsafe sum2 += r2[j] * v
      unsafe sum3 += r3[j] * v
      j &+= 1
    }
    unsafe y[row] += alpha * sum0
    unsafe y[row &+ 1] += alpha * sum1
    unsafe y[row &+ 2] += alpha * sum2
    unsafe y[row &+ 3] += alpha * sum3
    row &+= 4
  }
  while row < m {
    unsafe y[row] += alpha * dot(n, a + row &* lda, x)
    row &+= 1
  }
}

@inline(__always)
func gemvTransposed<T: Lane>(
  _ m: Int, _ n: Int, _ alpha: T, _ a: UnsafePointer<T>, _ lda: Int, _ x: UnsafePointer<T>,
  _ y: UnsafeMutablePointer<T>
) {
  typealias V = T.Vector
  let lanes = V.scalarCount
  var row = 0
  while row &+ 4 <= m {
    let r0 = unsafe a + row &* lda
    let r1 = unsafe r0 + lda
    let r2 = unsafe r1 + lda
    let r3 = unsafe r2 + lda
    let x0 = unsafe alpha * x[row]
    let x1 = unsafe alpha * x[row &+ 1]
    let x2 = unsafe alpha * x[row &+ 2]
    let x3 = unsafe alpha * x[row &+ 3]
    let (v0, v1, v2, v3) = (
      V(repeating: x0), V(repeating: x1), V(repeating: x2), V(repeating: x3)
    )
    var j = 0
    while j &+ lanes <= n {
      var v = unsafe V(at: y + j)
      unsafe v.accumulate(v0, V(at: r0 + j))
      unsafe v.accumulate(v1, V(at: r1 + j))
      unsafe v.accumulate(v2, V(at: r2 + j))
      unsafe v.accumulate(v3, V(at: r3 + j))
      unsafe v.store(to: y + j)
      j &+= lanes
    }
    while j < n {
      unsafe y[j] += x0 * r0[j] + x1 * r1[j] + x2 * r2[j] + x3 * r3[j]
      j &+= 1
    }
    row &+= 4
  }
  while row < m {
    unsafe axpy(n, alpha * x[row], a + row &* lda, y)
    row &+= 1
  }
}

/// Reads every element above the diagonal once, for both its row and its column.
@inline(__always)
func symv<T: Lane>(
  _ n: Int, _ alpha: T, _ a: UnsafePointer<T>, _ lda: Int, _ x: UnsafePointer<T>,
  _ y: UnsafeMutablePointer<T>
) {
  typealias V = T.Vector
  let lanes = V.scalarCount
  var row = 0
  while row &+ 4 <= n {
    let r0 = unsafe a + row &* lda
    let r1 = unsafe r0 + lda
    let r2 = unsafe r1 + lda
    let r3 = unsafe r2 + lda
    // The 4×4 block on the diagonal, element by element.
    for i in row..<row &+ 4 {
      unsafe y[i] += alpha * a[i &* lda &+ i] * x[i]
      for j in i &+ 1..<row &+ 4 {
        let element = unsafe alpha * a[i &* lda &+ j]
        unsafe y[i] += element * x[j]
        unsafe y[j] += element * x[i]
      }
    }
    let x0 = unsafe alpha * x[row]
    let x1 = unsafe alpha * x[row &+ 1]
    let x2 = unsafe alpha * x[row &+ 2]
    let x3 = unsafe alpha * x[row &+ 3]
    let (v0, v1, v2, v3) = (
      V(repeating: x0), V(repeating: x1), V(repeating: x2), V(repeating: x3)
    )
    var s0 = V()
    var s1 = V()
    var s2 = V()
    var s3 = V()
    var j = row &+ 4
    while j &+ lanes <= n {
      let v = unsafe V(at: x + j)
      var w = unsafe V(at: y + j)
      let e0 = unsafe V(at: r0 + j)
      w.accumulate(v0, e0)
      s0.accumulate(e0, v)
      let e1 = unsafe V(at: r1 + j)
      w.accumulate(v1, e1)
      s1.accumulate(e1, v)
      let e2 = unsafe V(at: r2 + j)
      w.accumulate(v2, e2)
      s2.accumulate(e2, v)
      let e3 = unsafe V(at: r3 + j)
      w.accumulate(v3, e3)
      s3.accumulate(e3, v)
      unsafe w.store(to: y + j)
      j &+= lanes
    }
    var sum0 = s0.sum()
    var sum1 = s1.sum()
    var sum2 = s2.sum()
    var sum3 = s3.sum()
    while j < n {
      let v = unsafe x[j]
      unsafe sum0 += r0[j] * v
      unsafe sum1 += r1[j] * v
      unsafe sum2 += r2[j] * v
      unsafe sum3 += r3[j] * v
      unsafe y[j] += x0 * r0[j] + x1 * r1[j] + x2 * r2[j] + x3 * r3[j]
      j &+= 1
    }
    unsafe y[row] += alpha * sum0
    unsafe y[row &+ 1] += alpha * sum1
    unsafe y[row &+ 2] += alpha * sum2
    unsafe y[row &+ 3] += alpha * sum3
    row &+= 4
  }
  while row < n {
    let r = unsafe a + row &* lda
    unsafe y[row] += alpha * r[row] * x[row]
    for j in row &+ 1..<n {
      unsafe y[row] += alpha * r[j] * x[j]
      unsafe y[j] += alpha * r[j] * x[row]
    }
    row &+= 1
  }
}
