// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels
import Testing

/// Conversion from and to bf16, and sums, on every tier, bit for bit.
struct BFloatKernelTests {
  private static let counts = Array(0...67) + [1003]

  /// Every upper half with the lower ones that matter.
  @Test func everyNumber() {
    let x = (UInt32(0)...0xffff).flatMap { upper in
      [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff].map { Float(bitPattern: upper << 16 | $0) }
    }
    let expected = x.map(\.bfloat)
    let wide = expected.map { Float(bfloat: $0) }
    for kernel in PointwiseKernel.supported {
      var y = [UInt16](repeating: 0, count: x.count)
      var back = [Float](repeating: 0, count: x.count)
      unsafe x.withUnsafeBytes { x in
        unsafe y.withUnsafeMutableBytes { y in
          unsafe kernel.f32ToBF16(
            rows: 1, channels: y.count / 2, x.baseAddress!, strideX: 0, to: y.baseAddress!,
            strideY: 0)
          unsafe back.withUnsafeMutableBytes { back in
            unsafe kernel.bf16ToF32(
              rows: 1, channels: y.count / 2, y.baseAddress!, strideX: 0, to: back.baseAddress!,
              strideY: 0)
          }
        }
      }
      #expect(y == expected, "\(kernel.name)")
      #expect(back.map(\.bitPattern) == wide.map(\.bitPattern), "\(kernel.name)")
    }
  }

  /// Rows with gaps; after an odd number of channels follows a zero.
  @Test func rows() {
    var numbers = Numbers(seed: 41)
    let rows = 3
    for channels in Self.counts {
      let (inStride, outStride) = (channels + 2, channels + 5)
      let x = numbers.floats(rows * inStride, special: [.nan, .infinity])
      for kernel in PointwiseKernel.supported {
        var bf16 = GuardedBytes(count: 2 * rows * outStride)
        var f32 = GuardedBytes(count: 4 * rows * outStride)
        unsafe x.withUnsafeBytes { x in
          unsafe bf16.withPointer { bf16 in
            unsafe kernel.f32ToBF16(
              rows: rows, channels: channels, x.baseAddress!, strideX: 4 * inStride, to: bf16,
              strideY: 2 * outStride)
            unsafe f32.withPointer {
              unsafe kernel.bf16ToF32(
                rows: rows, channels: channels, bf16, strideX: 2 * outStride, to: $0,
                strideY: 4 * outStride)
            }
          }
        }
        var wrong = 0
        for row in 0..<rows {
          for c in 0..<channels {
            let expected = x[row * inStride + c].bfloat
            if bf16.takeHalf(at: 2 * (row * outStride + c)) != expected { wrong += 1 }
            let y = f32.takeFloat(at: 4 * (row * outStride + c))
            if !same(y, Float(bfloat: expected)) { wrong += 1 }
          }
          if channels % 2 == 1 && bf16.takeHalf(at: 2 * (row * outStride + channels)) != 0 {
            wrong += 1
          }
        }
        #expect(wrong == 0, "\(kernel.name): \(channels) channels")
        #expect(bf16.isUntouched && f32.isUntouched, "\(kernel.name): \(channels) channels")
      }
    }
  }

  @Test func sums() {
    var numbers = Numbers(seed: 42)
    for count in Self.counts {
      let special: [Float] = count % 2 == 0 ? [.nan, .infinity, -.infinity, -0.0] : []
      let a = numbers.floats(count, special: special).map(\.bfloat)
      let b = numbers.floats(count, special: special).map(\.bfloat)
      let (low, high): (Float, Float) = count % 4 == 0 ? (0, 6) : (-.infinity, .infinity)
      for kernel in PointwiseKernel.supported {
        var y = GuardedBytes(count: 2 * count)
        unsafe a.withUnsafeBytes { a in
          unsafe b.withUnsafeBytes { b in
            unsafe y.withPointer {
              unsafe kernel.addBF16(
                count: count, a.baseAddress!, b.baseAddress!, low: low, high: high, to: $0)
            }
          }
        }
        var wrong = 0
        for i in 0..<count {
          let sum = Float(bfloat: a[i]) + Float(bfloat: b[i])
          let limited = sum.isNaN ? sum : min(max(sum, low), high)
          if !same(Float(bfloat: y.takeHalf(at: 2 * i)), Float(bfloat: limited.bfloat)) {
            wrong += 1
          }
        }
        #expect(wrong == 0 && y.isUntouched, "\(kernel.name): \(count) elements")
      }
    }
  }

  /// Images laid out channels-last.
  @Test func planes() {
    var numbers = Numbers(seed: 43)
    for channels in Array(1...35) + [67, 131] {
      for (width, height, gap) in [(1, 1, 0), (1 + channels % 9, 3, 0), (16, 2, 2), (37, 1, 4)] {
        let x = numbers.floats(channels * width * height, special: [.nan, .infinity])
        let pixel = (channels + 1) / 2 * 2 + gap
        let row = width * pixel + gap
        let geometry = PlanesGeometry(
          channels: channels, width: width, height: height, x: 2 * pixel, y: 2 * row)
        for kernel in PointwiseKernel.supported {
          var pixels = GuardedBytes(count: 2 * height * row)
          unsafe x.withUnsafeBytes { x in
            unsafe pixels.withPointer { pixels in
              for rows in [0..<height / 2, height / 2..<height] {
                unsafe kernel.planesToPixelsBF16(
                  geometry, from: x.baseAddress!, to: pixels, rows: rows)
              }
            }
          }
          var wrong = 0
          for y in 0..<height {
            for column in 0..<width {
              for c in 0..<channels + channels % 2 {
                let number = c < channels ? x[(c * height + y) * width + column] : 0
                if pixels.takeHalf(at: 2 * (y * row + column * pixel + c)) != number.bfloat {
                  wrong += 1
                }
              }
            }
          }
          #expect(
            wrong == 0 && pixels.isUntouched,
            "\(kernel.name): \(channels)×\(height)×\(width), gap \(gap)")
        }
      }
    }
  }
}
