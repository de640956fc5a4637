// SPDX-License-Identifier: Apache-2.0

import Glibc
import SwiftletCore
import SwiftletKernels
import Testing

/// Softmax and layer normalization of every tier against fp64.
struct RowKernelTests {
  private static let sizes = Array(1...67) + [131, 1000, 4099]
  private let rows = 2

  private struct Comparison {
    var worst = 0.0

    mutating func add(_ y: Float, _ expected: Double, allowed: Double) {
      let ratio = Double(y) == expected ? 0 : abs(Double(y) - expected) / allowed
      if !(ratio <= worst) { worst = ratio }
    }
  }

  @Test(arguments: [Float(0.01), 1, 12])
  func softmax(spread: Float) {
    var numbers = Numbers(seed: 41)
    for channels in Self.sizes {
      let stride = channels + 3
      var x = numbers.floats(rows * stride).map { $0 * spread }
      if channels > 4 { x[2] = -.infinity }
      for kernel in PointwiseKernel.supported {
        var out = GuardedBytes(count: 4 * rows * (channels + 1))
        unsafe x.withUnsafeBytes { x in
          unsafe out.withPointer {
            unsafe kernel.softmax(
              rows: rows, channels: channels, x.baseAddress!, strideX: 4 * stride, to: $0,
              strideY: 4 * (channels + 1))
          }
        }
        var comparison = Comparison()
        for row in 0..<rows {
          let values = x[row * stride..<row * stride + channels].map(Double.init)
          let most = values.max()!
          let sum = values.reduce(0) { $0 + exp($1 - most) }
          for c in 0..<channels {
            let expected = exp(values[c] - most) / sum
            let y = out.takeFloat(at: 4 * (row * (channels + 1) + c))
            // The difference is rounded before exp sees it.
            let rounding = abs(values[c] - most) * 0x1p-24
            let ulp = Double(Float(max(expected, 0x1p-110)).ulp)
            comparison.add(
              y, expected,
              allowed: 8 * ulp + (expected > 0 ? expected * rounding : 0))
          }
        }
        #expect(comparison.worst <= 1, "\(kernel.name): \(channels) channels")
        #expect(out.isUntouched, "\(kernel.name): \(channels) channels")
      }
    }
  }

  @Test func softmaxOfNoNumbers() {
    for kernel in PointwiseKernel.supported {
      for value in [Float.nan, .infinity] {
        for at in [0, 17, 18] {
          var x = [Float](repeating: 1, count: 19)
          x[at] = value
          unsafe x.withUnsafeMutableBytes {
            let x = $0.baseAddress!
            unsafe kernel.softmax(
              rows: 1, channels: 19, x, strideX: 0, to: x, strideY: 0)
          }
          #expect(x.allSatisfy { $0.isNaN }, "\(kernel.name): \(value) at \(at)")
        }
      }
    }
  }

  @Test(arguments: [Float(0), 1000])
  func layerNorm(offset: Float) {
    var numbers = Numbers(seed: 42)
    let epsilon: Float = 1e-5
    for channels in Self.sizes {
      let stride = channels + 3
      let x = numbers.floats(rows * stride).map { $0 + offset }
      let gamma = numbers.floats(channels)
      let beta = channels % 3 == 0 ? nil : numbers.floats(channels)
      for kernel in PointwiseKernel.supported {
        var out = GuardedBytes(count: 4 * rows * (channels + 1))
        func run(_ beta: UnsafePointer<Float>?) {
          unsafe x.withUnsafeBytes { x in
            unsafe gamma.withUnsafeBufferPointer { gamma in
              unsafe out.withPointer {
                unsafe kernel.layerNorm(
                  rows: rows, channels: channels, x.baseAddress!, strideX: 4 * stride,
                  gamma: gamma.baseAddress!, beta: beta, epsilon: epsilon, to: $0,
                  strideY: 4 * (channels + 1))
              }
            }
          }
        }
        if let beta {
          unsafe beta.withUnsafeBufferPointer { unsafe run($0.baseAddress!) }
        } else {
          run(nil)
        }
        var comparison = Comparison()
        for row in 0..<rows {
          let values = x[row * stride..<row * stride + channels].map(Double.init)
          let mean = values.reduce(0, +) / Double(channels)
          let variance =
            values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(channels)
          for c in 0..<channels {
            let scaled =
              (values[c] - mean) / (variance + Double(epsilon)).squareRoot() * Double(gamma[c])
            let shift = Double(beta?[c] ?? 0)
            let y = out.takeFloat(at: 4 * (row * (channels + 1) + c))
            // Four roundings of the product, one of the sum.
            let allowed = 0x1p-24 * (4 * abs(scaled) + abs(scaled + shift)) + 0x1p-120
            comparison.add(y, scaled + shift, allowed: 1.01 * allowed)
          }
        }
        #expect(comparison.worst <= 1, "\(kernel.name): \(channels) channels")
        #expect(out.isUntouched, "\(kernel.name): \(channels) channels")
      }
    }
  }
}
