// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels
import Testing

/// A depthwise convolution, in elements. Images and outputs have gaps between pixels and rows.
private struct Window {
  var channels, width, kernel, stride, dilation: Int
  let height = 2, gap = 3

  var inWidth: Int { (width - 1) * stride + (kernel - 1) * dilation + 1 }
  var inHeight: Int { (height - 1) * stride + (kernel - 1) * dilation + 1 }
  var inX: Int { channels + gap }
  var inY: Int { inWidth * inX + gap }
  var inCount: Int { inHeight * inY }
  var outX: Int { channels + 2 * gap }
  var outY: Int { width * outX + gap }

  func geometry(inBytes: Int, outBytes: Int) -> WindowGeometry {
    WindowGeometry(
      channels: channels, outWidth: width, outHeight: height, kernelWidth: kernel,
      kernelHeight: kernel, inX: stride * inX * inBytes, inY: stride * inY * inBytes,
      tapX: dilation * inX * inBytes, tapY: dilation * inY * inBytes, outX: outX * outBytes,
      outY: outY * outBytes)
  }

  /// Calls `body` for every output: its offset, its channel, and the offsets of taps and weights.
  func forEachOutput(_ body: (_ out: Int, _ channel: Int, _ taps: [(x: Int, w: Int)]) -> Void) {
    for y in 0..<height {
      for x in 0..<width {
        for c in 0..<channels {
          var taps: [(x: Int, w: Int)] = []
          for ky in 0..<kernel {
            for kx in 0..<kernel {
              let row = y * stride + ky * dilation
              let column = x * stride + kx * dilation
              taps.append((row * inY + column * inX + c, (ky * kernel + kx) * channels + c))
            }
          }
          body(y * outY + x * outX + c, c, taps)
        }
      }
    }
  }

  /// All channel counts around the registers' widths, and all widths for some of them.
  static let all: [Window] = {
    var all: [Window] = []
    for kernel in [1, 2, 3, 5, 7] {
      for stride in 1...2 {
        for dilation in 1...2 {
          func add(_ channels: Int, _ width: Int) {
            all.append(
              Window(
                channels: channels, width: width, kernel: kernel, stride: stride,
                dilation: dilation))
          }
          for channels in 1...67 { add(channels, 1 + channels % 9) }
          for width in 1...16 { add(width % 2 == 0 ? 5 : 97, width) }
          for channels in [96, 127, 131, 193] { add(channels, 4) }
        }
      }
    }
    return all
  }()
}

/// Every tier against the definition, one output at a time.
struct WindowKernelTests {
  @Test func depthwiseBF16() {
    var numbers = Numbers(seed: 5)
    for window in Window.all {
      let taps = window.kernel * window.kernel
      let special: [Float] = window.width % 3 == 0 ? [.nan, .infinity, -.infinity] : []
      let x = numbers.floats(window.inCount, special: special).map(\.bfloat)
      let w = numbers.floats(taps * window.channels)
      let bias = numbers.floats(window.channels)
      let (low, high): (Float, Float) =
        window.channels % 2 == 0 ? (-20, 30) : (-.infinity, .infinity)
      for kernel in WindowKernel.supported {
        var out = GuardedBytes(count: 2 * window.height * window.outY)
        unsafe out.withPointer { out in
          unsafe x.withUnsafeBytes { x in
            unsafe w.withUnsafeBufferPointer { w in
              unsafe bias.withUnsafeBufferPointer { bias in
                var weights = unsafe DepthwiseF32(
                  weights: w.baseAddress!, bias: bias.baseAddress!)
                unsafe (weights.low, weights.high) = (low, high)
                unsafe kernel.depthwiseBF16(
                  window.geometry(inBytes: 2, outBytes: 2), weights, from: x.baseAddress!, to: out,
                  rows: 0..<window.height)
              }
            }
          }
        }
        var wrong = 0
        window.forEachOutput { at, c, taps in
          var (sum, size) = (Double(bias[c]), abs(Double(bias[c])))
          for tap in taps {
            let product = Double(Float(bfloat: x[tap.x])) * Double(w[tap.w])
            sum += product
            size += abs(product)
          }
          let y = Float(bfloat: out.takeHalf(at: 2 * at))
          if sum.isNaN {
            if !y.isNaN { wrong += 1 }
            return
          }
          let bound = sum.isFinite ? Double(taps.count + 2) * 0x1p-23 * size : 0
          func result(_ sum: Double) -> Float {
            Float(bfloat: Float(min(max(sum, Double(low)), Double(high))).bfloat)
          }
          if !(result(sum - bound)...result(sum + bound) ~= y) { wrong += 1 }
        }
        #expect(wrong == 0 && out.isUntouched, "\(kernel.name): \(window)")
      }
    }
  }

  @Test func depthwiseF32() {
    var numbers = Numbers(seed: 1)
    for window in Window.all {
      let taps = window.kernel * window.kernel
      let special: [Float] = window.width % 3 == 0 ? [.nan, .infinity, -.infinity] : []
      let x = numbers.floats(window.inCount, special: special)
      let w = numbers.floats(taps * window.channels)
      let bias = numbers.floats(window.channels)
      let (low, high): (Float, Float) =
        window.channels % 2 == 0 ? (-20, 30) : (-.infinity, .infinity)
      for kernel in WindowKernel.supported {
        var out = GuardedBytes(count: 4 * window.height * window.outY)
        unsafe out.withPointer { out in
          unsafe x.withUnsafeBytes { x in
            unsafe w.withUnsafeBufferPointer { w in
              unsafe bias.withUnsafeBufferPointer { bias in
                var weights = unsafe DepthwiseF32(
                  weights: w.baseAddress!, bias: bias.baseAddress!)
                unsafe weights.low = low
                unsafe weights.high = high
                let geometry = window.geometry(inBytes: 4, outBytes: 4)
                for row in 0..<window.height {
                  unsafe kernel.depthwise(
                    geometry, weights, from: x.baseAddress!, to: out, rows: row..<row + 1)
                }
              }
            }
          }
        }
        var wrong = 0
        window.forEachOutput { at, c, taps in
          var (sum, size) = (Double(bias[c]), abs(Double(bias[c])))
          for tap in taps {
            let product = Double(x[tap.x]) * Double(w[tap.w])
            sum += product
            size += abs(product)
          }
          let y = Double(out.takeFloat(at: 4 * at))
          if sum.isNaN {
            if !y.isNaN { wrong += 1 }
          } else {
            let expected = min(max(sum, Double(low)), Double(high))
            let bound = Double(taps.count + 2) * 0x1p-23 * size
            if y != expected && !(abs(y - expected) <= bound) { wrong += 1 }
          }
        }
        #expect(wrong == 0, "\(kernel.name): \(window)")
        #expect(out.isUntouched, "\(kernel.name): \(window)")
      }
    }
  }

  @Test func depthwiseU8() {
    var numbers = Numbers(seed: 2)
    for window in Window.all {
      let x = numbers.bytes(window.inCount)
      let w = numbers.bytes(window.kernel * window.kernel * window.channels)
        .map { Int8(bitPattern: $0 == 0 ? 128 : $0) }
      let bias = (0..<window.channels).map { _ in Int32(numbers.generator.below(20001)) - 10000 }
      let scale = numbers.floats(window.channels).map { $0 / 256 }
      let (zeroPoint, low, high): (Int32, Float, Float) =
        window.channels % 2 == 0 ? (128, -128, 127) : (7, 0, 200)
      for kernel in WindowKernel.supported {
        var out = GuardedBytes(count: window.height * window.outY)
        var restored = GuardedBytes(count: 4 * window.height * window.outY)
        unsafe x.withUnsafeBytes { x in
          unsafe w.withUnsafeBufferPointer { w in
            unsafe bias.withUnsafeBufferPointer { bias in
              unsafe scale.withUnsafeBufferPointer { scale in
                var weights = unsafe DepthwiseU8(
                  weights: w.baseAddress!, bias: bias.baseAddress!, scale: scale.baseAddress!)
                unsafe weights.low = low
                unsafe weights.high = high
                unsafe weights.zeroPoint = zeroPoint
                let rows = 0..<window.height
                unsafe out.withPointer {
                  unsafe kernel.depthwise(
                    window.geometry(inBytes: 1, outBytes: 1), weights, from: x.baseAddress!,
                    to: $0, rows: rows)
                }
                unsafe restored.withPointer {
                  unsafe kernel.depthwiseToFloat(
                    window.geometry(inBytes: 1, outBytes: 4), weights, from: x.baseAddress!,
                    to: $0, rows: rows)
                }
              }
            }
          }
        }
        var wrong = 0
        window.forEachOutput { at, c, taps in
          let sum = taps.reduce(bias[c]) { $0 + Int32(x[$1.x]) * Int32(w[$1.w]) }
          let v = max(min(Float(sum) * scale[c], high), low)
          let q = Int32(v.rounded(.toNearestOrEven)) + zeroPoint
          if Int32(out.takeByte(at: at)) != q { wrong += 1 }
          if restored.takeFloat(at: 4 * at) != v { wrong += 1 }
        }
        #expect(wrong == 0, "\(kernel.name): \(window)")
        #expect(out.isUntouched && restored.isUntouched, "\(kernel.name): \(window)")
      }
    }
  }

  /// Sums far beyond what the result can hold are cut off, on both sides.
  @Test(arguments: [Float(3e5), -3e5, .infinity, -.infinity])
  func depthwiseSaturates(scale: Float) {
    let channels = 81
    let x = [UInt8](repeating: 255, count: 3 * 3 * 81)
    let w = [Int8](repeating: 127, count: 9 * channels)
    let bias = [Int32](repeating: 1, count: channels)
    let scales = [Float](repeating: scale, count: channels)
    let geometry = WindowGeometry(
      channels: channels, outWidth: 1, outHeight: 1, kernelWidth: 3, kernelHeight: 3, inX: channels,
      inY: 3 * channels, tapX: channels, tapY: 3 * channels, outX: channels, outY: channels)
    for kernel in WindowKernel.supported {
      var y = [UInt8](repeating: 77, count: channels)
      unsafe w.withUnsafeBufferPointer { w in
        unsafe bias.withUnsafeBufferPointer { bias in
          unsafe scales.withUnsafeBufferPointer { scales in
            var weights = unsafe DepthwiseU8(
              weights: w.baseAddress!, bias: bias.baseAddress!, scale: scales.baseAddress!)
            unsafe weights.low = -100
            unsafe weights.high = 150
            unsafe weights.zeroPoint = 101
            unsafe x.withUnsafeBytes { x in
              unsafe y.withUnsafeMutableBytes { y in
                unsafe kernel.depthwise(
                  geometry, weights, from: x.baseAddress!, to: y.baseAddress!, rows: 0..<1)
              }
            }
          }
        }
      }
      #expect(y.allSatisfy { $0 == (scale > 0 ? 251 : 1) }, "\(kernel.name)")
    }
  }
}
