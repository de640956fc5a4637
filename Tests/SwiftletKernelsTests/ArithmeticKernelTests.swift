// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels
import Testing

/// Sums and products of every tier against the definition, bit for bit.
struct ArithmeticKernelTests {
  private static let counts = Array(0...67) + [1003]
  private static let special: [Float] = [.nan, .infinity, -.infinity, -0.0]

  private func clamped(_ x: Float, _ low: Float, _ high: Float) -> Float {
    x.isNaN ? x : min(max(x, low), high)
  }

  @Test func fp32() {
    var numbers = Numbers(seed: 11)
    for count in Self.counts {
      let a = numbers.floats(count, special: count % 2 == 0 ? Self.special : [])
      let b = numbers.floats(count, special: count % 3 == 0 ? Self.special : [])
      let (low, high): (Float, Float) = count % 4 == 0 ? (0, 6) : (-.infinity, .infinity)
      for kernel in PointwiseKernel.supported {
        var sum = GuardedBytes(count: 4 * count)
        var product = GuardedBytes(count: 4 * count)
        var inPlace = a
        unsafe a.withUnsafeBytes { a in
          unsafe b.withUnsafeBytes { b in
            let (a, b) = (a.baseAddress!, b.baseAddress!)
            unsafe sum.withPointer {
              unsafe kernel.binary(
                .add, rows: 1, channels: count, a, strideA: 0, b, strideB: 0, low: low,
                high: high, to: $0, strideY: 0)
            }
            unsafe product.withPointer {
              unsafe kernel.binary(
                .multiply, rows: 1, channels: count, a, strideA: 0, b, strideB: 0, low: low,
                high: high, to: $0, strideY: 0)
            }
            unsafe inPlace.withUnsafeMutableBytes {
              let y = $0.baseAddress!
              unsafe kernel.binary(
                .add, rows: 1, channels: count, y, strideA: 0, b, strideB: 0, low: low,
                high: high, to: y, strideY: 0)
            }
          }
        }
        var wrong = 0
        for i in 0..<count {
          let expected = clamped(a[i] + b[i], low, high)
          if !same(sum.takeFloat(at: 4 * i), expected) { wrong += 1 }
          if !same(inPlace[i], expected) { wrong += 1 }
          if !same(product.takeFloat(at: 4 * i), clamped(a[i] * b[i], low, high)) { wrong += 1 }
        }
        #expect(wrong == 0, "\(kernel.name): \(count) elements")
        #expect(sum.isUntouched && product.isUntouched, "\(kernel.name): \(count) elements")
      }
    }
  }

  private static func apply(_ function: BinaryFunction, _ a: Float, _ b: Float) -> Float {
    switch function {
    case .add: a + b
    case .subtract: a - b
    case .multiply: a * b
    case .divide: a / b
    case .larger: a.isNaN || b.isNaN ? .nan : max(a, b)
    case .smaller: a.isNaN || b.isNaN ? .nan : min(a, b)
    }
  }

  /// Rows with strides, and sides that repeat one number per row.
  @Test(arguments: BinaryFunction.allCases) func rows(_ function: BinaryFunction) {
    var numbers = Numbers(seed: 12)
    let rows = 3
    for (index, channels) in Self.counts.dropFirst().enumerated() {
      let (repeatsA, repeatsB) = (index % 3 == 1, index % 3 == 2 || index % 7 == 1)
      let (strideA, strideB, strideY) = (channels + 2, index % 2 == 0 ? 0 : channels, channels + 5)
      let a = numbers.floats(rows * strideA, special: Self.special)
      let b = numbers.floats(rows * channels, special: index % 2 == 0 ? [] : Self.special)
      for kernel in PointwiseKernel.supported {
        var result = GuardedBytes(count: 4 * rows * strideY)
        unsafe a.withUnsafeBytes { a in
          unsafe b.withUnsafeBytes { b in
            unsafe result.withPointer {
              unsafe kernel.binary(
                function, rows: rows, channels: channels, a.baseAddress!, strideA: 4 * strideA,
                repeatsA: repeatsA, b.baseAddress!, strideB: 4 * strideB, repeatsB: repeatsB,
                low: -2, high: 3, to: $0, strideY: 4 * strideY)
            }
          }
        }
        var wrong = 0
        for row in 0..<rows {
          for c in 0..<channels {
            let x = a[row * strideA + (repeatsA ? 0 : c)]
            let z = b[row * strideB + (repeatsB ? 0 : c)]
            let expected = clamped(Self.apply(function, x, z), -2, 3)
            if !same(result.takeFloat(at: 4 * (row * strideY + c)), expected) { wrong += 1 }
          }
        }
        #expect(wrong == 0, "\(kernel.name): \(function) of \(channels) channels")
        #expect(result.isUntouched, "\(kernel.name): \(function) of \(channels) channels")
      }
    }
  }

  private func rounded(_ v: Float, zero: Int32, low: Int32, high: Int32) -> Int32 {
    let v = min(max(v, -1000), 1000)
    return min(max(Int32(v.rounded(.toNearestOrEven)) + zero, low), high)
  }

  @Test func u8() {
    var numbers = Numbers(seed: 13)
    var sum = AddU8(scaleA: 0.731, scaleB: 0.5, zeroA: 128, zeroB: 0, zeroY: 77)
    var product = MulU8(scale: 0.0125, zeroA: 3, zeroB: 200, zeroY: 100)
    for count in Self.counts + [65536] {
      // The last has all pairs; some have narrower limits.
      let all = count == 65536
      let a = all ? (0..<count).map { UInt8($0 & 255) } : numbers.bytes(count)
      let b = all ? (0..<count).map { UInt8($0 >> 8) } : numbers.bytes(count)
      sum.low = count % 2 == 0 ? 0 : 77
      sum.high = count % 2 == 0 ? 255 : 180
      product.low = sum.low
      product.high = sum.high
      for kernel in PointwiseKernel.supported {
        var sums = GuardedBytes(count: count)
        var products = GuardedBytes(count: count)
        var scaled = GuardedBytes(count: 2 * (count + 3))
        unsafe a.withUnsafeBytes { a in
          unsafe b.withUnsafeBytes { b in
            let (a, b) = (a.baseAddress!, b.baseAddress!)
            unsafe sums.withPointer { unsafe kernel.addU8(count: count, a, b, sum, to: $0) }
            unsafe products.withPointer {
              unsafe kernel.mulU8(count: count, a, b, product, to: $0)
            }
            unsafe scaled.withPointer {
              unsafe kernel.mulChannelsU8(
                rows: 2, channels: count, a, strideA: 0, b, product, to: $0, strideY: count + 3)
            }
          }
        }
        var wrong = 0
        for i in 0..<count {
          let (x, y) = (Int32(a[i]), Int32(b[i]))
          let left = Float(x - sum.zeroA) * sum.scaleA
          let right = Float(y - sum.zeroB) * sum.scaleB
          let s = rounded(left + right, zero: sum.zeroY, low: sum.low, high: sum.high)
          let p = rounded(
            Float((x - product.zeroA) * (y - product.zeroB)) * product.scale,
            zero: product.zeroY, low: product.low, high: product.high)
          if Int32(sums.takeByte(at: i)) != s { wrong += 1 }
          if Int32(products.takeByte(at: i)) != p { wrong += 1 }
          if Int32(scaled.takeByte(at: i)) != p { wrong += 1 }
          if Int32(scaled.takeByte(at: count + 3 + i)) != p { wrong += 1 }
        }
        #expect(wrong == 0, "\(kernel.name): \(count) elements")
        #expect(
          sums.isUntouched && products.isUntouched && scaled.isUntouched,
          "\(kernel.name): \(count) elements")
      }
    }
  }

  @Test func aScalarKernelIsAlwaysThere() {
    #expect(PointwiseKernel.supported.last?.isa == .scalar)
  }
}
