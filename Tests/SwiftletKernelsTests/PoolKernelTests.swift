// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels
import Testing

/// A pooling, in elements. Images and outputs have gaps between pixels and rows.
private struct Pool {
  var channels, inWidth, inHeight, kernel, stride, dilation, pad, padAfter: Int
  let gap = 2

  var reach: Int { (kernel - 1) * dilation + 1 }
  var outWidth: Int { (inWidth + pad + padAfter - reach) / stride + 1 }
  var outHeight: Int { (inHeight + pad + padAfter - reach) / stride + 1 }
  var inX: Int { channels + gap }
  var inY: Int { inWidth * inX + gap }
  var outX: Int { channels + gap }
  var outY: Int { outWidth * outX }

  func geometry(bytes: Int) -> PoolGeometry {
    var geometry = PoolGeometry(
      channels: channels, inWidth: inWidth, inHeight: inHeight, outWidth: outWidth,
      outHeight: outHeight, kernelWidth: kernel, kernelHeight: kernel, inX: inX * bytes,
      inY: inY * bytes, outX: outX * bytes, outY: outY * bytes)
    geometry.strideX = stride
    geometry.strideY = stride
    geometry.dilationX = dilation
    geometry.dilationY = dilation
    geometry.padLeft = pad
    geometry.padTop = pad
    geometry.padRight = padAfter
    geometry.padBottom = padAfter
    return geometry
  }

  /// Calls `body` for every output: its offset, the offsets of its taps inside by rows, and how
  /// many taps are inside the padded image.
  func forEachOutput(_ body: (_ out: Int, _ rows: [[Int]], _ padded: Int) -> Void) {
    for oy in 0..<outHeight {
      for ox in 0..<outWidth {
        for c in 0..<channels {
          var (rows, padded) = ([[Int]](), 0)
          for ky in 0..<kernel {
            var row: [Int] = []
            for kx in 0..<kernel {
              let y = oy * stride + ky * dilation - pad
              let x = ox * stride + kx * dilation - pad
              if y < inHeight + padAfter && x < inWidth + padAfter { padded += 1 }
              if (0..<inHeight).contains(y) && (0..<inWidth).contains(x) {
                row.append(y * inY + x * inX + c)
              }
            }
            if !row.isEmpty { rows.append(row) }
          }
          body(oy * outY + ox * outX + c, rows, padded)
        }
      }
    }
  }

  static let all: [Pool] = {
    var all: [Pool] = []
    func add(
      _ channels: Int, _ width: Int, _ height: Int, _ kernel: Int, _ stride: Int, _ dilation: Int,
      _ pad: Int, _ padAfter: Int
    ) {
      let pool = Pool(
        channels: channels, inWidth: width, inHeight: height, kernel: kernel, stride: stride,
        dilation: dilation, pad: pad, padAfter: padAfter)
      if min(width, height) + pad + padAfter >= pool.reach { all.append(pool) }
    }
    for channels in Array(1...67) + [127, 128, 130, 257, 300] {
      add(channels, 1 + channels % 9, 4, 3, 2, 1, 1, 1)
      add(channels, 6, 1 + channels % 5, 2, 2, 1, 0, 1)
    }
    for kernel in [1, 2, 3, 5, 7] {
      for stride in 1...2 {
        for dilation in 1...2 {
          for width in 1...9 {
            add(19, width, 3, kernel, stride, dilation, kernel / 2, kernel / 2 + 1)
            add(3, width, width, kernel, stride, dilation, 0, 0)
          }
        }
      }
    }
    for channels in [1, 17, 67, 512] { add(channels, 7, 7, 7, 1, 1, 0, 0) }
    return all
  }()
}

struct PoolKernelTests {
  @Test func fp32() {
    var numbers = Numbers(seed: 3)
    for pool in Pool.all {
      let special: [Float] = pool.inWidth % 2 == 0 ? [.nan, .infinity, -.infinity, -0.0] : []
      let x = numbers.floats(pool.inHeight * pool.inY, special: special)
      let count = 4 * pool.outHeight * pool.outY
      let rows = 0..<pool.outHeight
      for kernel in WindowKernel.supported {
        var most = GuardedBytes(count: count)
        var mean = GuardedBytes(count: count)
        var padded = GuardedBytes(count: count)
        unsafe x.withUnsafeBytes { x in
          let (x, geometry) = (x.baseAddress!, pool.geometry(bytes: 4))
          unsafe most.withPointer {
            unsafe kernel.maxPoolF32(geometry, from: x, to: $0, rows: rows)
          }
          unsafe mean.withPointer {
            unsafe kernel.averagePoolF32(
              geometry, includePad: false, from: x, to: $0, rows: rows)
          }
          unsafe padded.withPointer {
            unsafe kernel.averagePoolF32(geometry, includePad: true, from: x, to: $0, rows: rows)
          }
        }
        var wrong = 0
        pool.forEachOutput { at, rows, count in
          let inside = rows.joined().map { x[$0] }
          let largest =
            inside.contains { $0.isNaN } ? .nan : inside.reduce(-.infinity, max)
          if !same(most.takeFloat(at: 4 * at), largest) { wrong += 1 }
          let sum = rows.reduce(Float(0)) { $0 + $1.reduce(Float(0)) { $0 + x[$1] } }
          if !same(mean.takeFloat(at: 4 * at), sum / Float(max(inside.count, 1))) { wrong += 1 }
          if !same(padded.takeFloat(at: 4 * at), sum / Float(max(count, 1))) { wrong += 1 }
        }
        #expect(wrong == 0, "\(kernel.name): \(pool)")
        #expect(
          most.isUntouched && mean.isUntouched && padded.isUntouched, "\(kernel.name): \(pool)")
      }
    }
  }

  /// The largest bf16 is bf16, means are fp32.
  @Test func bf16() {
    var numbers = Numbers(seed: 6)
    for pool in Pool.all {
      let special: [Float] = pool.inWidth % 2 == 0 ? [.nan, .infinity, -.infinity, -0.0] : []
      let x = numbers.floats(pool.inHeight * pool.inY, special: special).map(\.bfloat)
      let (count, rows) = (pool.outHeight * pool.outY, 0..<pool.outHeight)
      for kernel in WindowKernel.supported {
        var most = GuardedBytes(count: 2 * count)
        var mean = GuardedBytes(count: 4 * count)
        unsafe x.withUnsafeBytes { x in
          let (x, geometry) = (x.baseAddress!, pool.geometry(bytes: 2))
          unsafe most.withPointer {
            unsafe kernel.maxPoolBF16(geometry, from: x, to: $0, rows: rows)
          }
          var wide = geometry
          (wide.outX, wide.outY) = (2 * geometry.outX, 2 * geometry.outY)
          unsafe mean.withPointer {
            unsafe kernel.averagePoolBF16(wide, includePad: true, from: x, to: $0, rows: rows)
          }
        }
        var wrong = 0
        pool.forEachOutput { at, rows, count in
          let inside = rows.joined().map { Float(bfloat: x[$0]) }
          let largest =
            inside.contains { $0.isNaN } ? .nan : inside.reduce(-.infinity, max)
          if !same(Float(bfloat: most.takeHalf(at: 2 * at)), largest) { wrong += 1 }
          let sum = rows.reduce(Float(0)) {
            $0 + $1.reduce(Float(0)) { $0 + Float(bfloat: x[$1]) }
          }
          if !same(mean.takeFloat(at: 4 * at), sum / Float(max(count, 1))) { wrong += 1 }
        }
        #expect(wrong == 0, "\(kernel.name): \(pool)")
        #expect(most.isUntouched && mean.isUntouched, "\(kernel.name): \(pool)")
      }
    }
  }

  @Test func u8() {
    var numbers = Numbers(seed: 4)
    for pool in Pool.all {
      let x = numbers.bytes(pool.inHeight * pool.inY)
      let count = pool.outHeight * pool.outY
      let rows = 0..<pool.outHeight
      let average = AverageU8(
        scaleIn: 0.03, scaleOut: pool.channels % 2 == 0 ? 0.021 : 0.03, zeroIn: 120, zeroOut: 9,
        includePad: pool.channels % 3 == 0)
      for kernel in WindowKernel.supported {
        var most = GuardedBytes(count: count)
        var mean = GuardedBytes(count: count)
        unsafe x.withUnsafeBytes { x in
          let (x, geometry) = (x.baseAddress!, pool.geometry(bytes: 1))
          unsafe most.withPointer {
            unsafe kernel.maxPoolU8(geometry, from: x, to: $0, rows: rows)
          }
          unsafe mean.withPointer {
            unsafe kernel.averagePoolU8(geometry, average, from: x, to: $0, rows: rows)
          }
        }
        var wrong = 0
        pool.forEachOutput { at, rows, count in
          let inside = rows.joined().map { Int32(x[$0]) }
          if Int32(most.takeByte(at: at)) != inside.max() ?? 0 { wrong += 1 }
          let n = Float(max(average.includePad ? count : inside.count, 1))
          let sum = inside.reduce(0) { $0 + $1 - average.zeroIn }
          let v = Float(sum) * (average.scaleIn / (average.scaleOut * n))
          let q = Int32(v.rounded(.toNearestOrEven)) + average.zeroOut
          if Int32(mean.takeByte(at: at)) != min(max(q, 0), 255) { wrong += 1 }
        }
        #expect(wrong == 0, "\(kernel.name): \(pool)")
        #expect(most.isUntouched && mean.isUntouched, "\(kernel.name): \(pool)")
      }
    }
  }

  @Test func aScalarKernelIsAlwaysThere() {
    #expect(WindowKernel.supported.last?.isa == .scalar)
  }
}
