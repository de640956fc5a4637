// SPDX-License-Identifier: Apache-2.0

// Goto blocking: panels of B that stay in the last-level cache, blocks of A that stay in the L2
// cache, and a tile of C in registers. Both are packed first, which makes all layouts of A and B
// equivalent. Source: Goto & van de Geijn, "Anatomy of high-performance matrix multiplication"
// (2008).

#if SWIFTLET_AVX2
  private let tileRows = 6
#else
  private let tileRows = 4
#endif
private let blockRows = 144
private let blockDepth = 256
private let panelColumns = 2048

@inline(__always)
func gemmScratch<T: Lane>(_ m: Int, _ n: Int, _ k: Int, _: T.Type) -> Int {
  let tileColumns = 2 &* T.Vector.scalarCount
  let depth = min(k, blockDepth)
  let rows = (min(m, blockRows) &+ tileRows &- 1) / tileRows &* tileRows
  let columns = (min(n, panelColumns) &+ tileColumns &- 1) / tileColumns &* tileColumns
  // The packed blocks, rounded to whole cache lines, and one tile for the edges of C.
  return ((rows &* depth &+ 15) & ~15) &+ columns &* depth &+ tileRows &* tileColumns
}

@inline(__always)
func gemm<T: Lane>(
  _ m: Int, _ n: Int, _ k: Int, _ alpha: T, _ a: UnsafePointer<T>, _ aRow: Int, _ aColumn: Int,
  _ b: UnsafePointer<T>, _ bRow: Int, _ bColumn: Int, _ c: UnsafeMutablePointer<T>, _ cRow: Int,
  _ scratch: UnsafeMutablePointer<T>
) {
  let tileColumns = 2 &* T.Vector.scalarCount
  let rowCapacity = (min(m, blockRows) &+ tileRows &- 1) / tileRows &* tileRows
  let packedA = unsafe scratch
  let packedB = unsafe packedA + ((rowCapacity &* min(k, blockDepth) &+ 15) & ~15)
  let columnCapacity = (min(n, panelColumns) &+ tileColumns &- 1) / tileColumns &* tileColumns
  let edge = unsafe packedB + columnCapacity &* min(k, blockDepth)
  var column = 0
  while column < n {
    let columns = min(panelColumns, n &- column)
    var depthStart = 0
    while depthStart < k {
      let depth = min(blockDepth, k &- depthStart)
      unsafe pack(
        columns, depth, b + depthStart &* bRow + column &* bColumn, bColumn, bRow, tileColumns,
        packedB)
      var row = 0
      while row < m {
        let rows = min(blockRows, m &- row)
        unsafe pack(
          rows, depth, a + row &* aRow + depthStart &* aColumn, aRow, aColumn, tileRows, packedA)
        unsafe multiply(
          rows, columns, depth, alpha, packedA, packedB, c + row &* cRow + column, cRow, edge)
        row &+= rows
      }
      depthStart &+= depth
    }
    column &+= columns
  }
}

/// Packs `count` lines of `depth` elements into groups of `width` interleaved lines; missing lines
/// of the last group become zeros.
@inline(__always)
private func pack<T: Lane>(
  _ count: Int, _ depth: Int, _ source: UnsafePointer<T>, _ lineStep: Int, _ depthStep: Int,
  _ width: Int, _ target: UnsafeMutablePointer<T>
) {
  var target = unsafe target
  var line = 0
  while line < count {
    let lines = min(width, count &- line)
    let start = unsafe source + line &* lineStep
    if lines < width {
      for p in 0..<depth {
        for i in 0..<width {
          unsafe target[p &* width &+ i] =
            i < lines ? (unsafe start[i &* lineStep &+ p &* depthStep]) : 0
        }
      }
    } else if lineStep == 1 {
      for p in 0..<depth {
        let from = unsafe start + p &* depthStep
        let to = unsafe target + p &* width
        for i in 0..<width { unsafe to[i] = unsafe from[i] }
      }
    } else {
      for i in 0..<width {
        let from = unsafe start + i &* lineStep
        let to = unsafe target + i
        for p in 0..<depth { unsafe to[p &* width] = unsafe from[p &* depthStep] }
      }
    }
    unsafe target += width &* depth
    line &+= width
  }
}

@inline(__always)
private func multiply<T: Lane>(
  _ rows: Int, _ columns: Int, _ depth: Int, _ alpha: T, _ a: UnsafePointer<T>,
  _ b: UnsafePointer<T>, _ c: UnsafeMutablePointer<T>, _ cRow: Int, _ edge: UnsafeMutablePointer<T>
) {
  let tileColumns = 2 &* T.Vector.scalarCount
  var column = 0
  while column < columns {
    let right = unsafe b + column &* depth
    let width = min(tileColumns, columns &- column)
    var row = 0
    while row < rows {
      let left = unsafe a + row &* depth
      let height = min(tileRows, rows &- row)
      let target = unsafe c + row &* cRow + column
      if height == tileRows && width == tileColumns {
        unsafe tile(depth, alpha, left, right, target, cRow)
      } else {
        for i in 0..<tileRows &* tileColumns { unsafe edge[i] = 0 }
        unsafe tile(depth, alpha, left, right, edge, tileColumns)
        for i in 0..<height {
          for j in 0..<width { unsafe target[i &* cRow &+ j] += edge[i &* tileColumns &+ j] }
        }
      }
      row &+= tileRows
    }
    column &+= tileColumns
  }
}

/// One tile of C += alpha · A · B, held in registers: two vectors in each of its rows.
@inline(__always)
private func tile<T: Lane>(
  _ depth: Int, _ alpha: T, _ a: UnsafePointer<T>, _ b: UnsafePointer<T>,
  _ c: UnsafeMutablePointer<T>, _ cRow: Int
) {
  typealias V = T.Vector
  let lanes = V.scalarCount
  var c00 = V()
  var c01 = V()
  var c10 = V()
  var c11 = V()
  var c20 = V()
  var c21 = V()
  var c30 = V()
  var c31 = V()
  #if SWIFTLET_AVX2
    var c40 = V()
    var c41 = V()
    var c50 = V()
    var c51 = V()
  #endif
  var a = unsafe a
  var b = unsafe b
  for _ in 0..<depth {
    let b0 = unsafe V(at: b)
    let b1 = unsafe V(at: b + lanes)
    var x = V(repeating: unsafe a[0])
    c00.accumulate(x, b0)
    c01.accumulate(x, b1)
    x = V(repeating: unsafe a[1])
    c10.accumulate(x, b0)
    c11.accumulate(x, b1)
    x = V(repeating: unsafe a[2])
    c20.accumulate(x, b0)
    c21.accumulate(x, b1)
    x = V(repeating: unsafe a[3])
    c30.accumulate(x, b0)
    c31.accumulate(x, b1)
    #if SWIFTLET_AVX2
      x = V(repeating: unsafe a[4])
      c40.accumulate(x, b0)
      c41.accumulate(x, b1)
      x = V(repeating: unsafe a[5])
      c50.accumulate(x, b0)
      c51.accumulate(x, b1)
    #endif
    unsafe a += tileRows
    unsafe b += 2 &* lanes
  }
  let scale = V(repeating: alpha)
  @inline(__always) func add(_ row: Int, _ left: V, _ right: V) {
    let start = unsafe c + row &* cRow
    var x = unsafe V(at: start)
    var y = unsafe V(at: start + lanes)
    x.accumulate(scale, left)
    y.accumulate(scale, right)
    unsafe x.store(to: start)
    unsafe y.store(to: start + lanes)
  }
  add(0, c00, c01)
  add(1, c10, c11)
  add(2, c20, c21)
  add(3, c30, c31)
  #if SWIFTLET_AVX2
    add(4, c40, c41)
    add(5, c50, c51)
  #endif
}
