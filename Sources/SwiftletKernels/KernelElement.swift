// SPDX-License-Identifier: Apache-2.0

import RealModule
public import SwiftletCore

/// An element type with kernels for memory-bound operations: SIMD for `Float`, plain loops, which
/// are also the oracle, for others.
public protocol KernelElement: FloatElement {
  /// y += x.
  static func add(_ x: Span<Self>, to y: inout MutableSpan<Self>)

  /// Σ x, in sixteen interleaved partial sums that are added in order.
  static func sum(_ x: Span<Self>) -> Self

  /// x = max(x, 0); NaN stays NaN.
  static func relu(_ x: inout MutableSpan<Self>)

  /// Replaces each row of `width` elements by exp(x − largest) / Σ.
  static func softmax(_ x: inout MutableSpan<Self>, width: Int)

  /// Sets gradients to zero where the output of relu is zero.
  static func reluGradient(_ y: Span<Self>, _ slope: inout MutableSpan<Self>)

  /// The largest value of each 2×2 window of a plane of 2·height × 2·width; NaN if the window has
  /// one.
  static func maxPool2(
    _ x: Span<Self>, height: Int, width: Int, into y: inout MutableSpan<Self>)

  /// Passes each gradient to the first of its four positions that holds the maximum; the others get
  /// zero.
  static func maxPool2Gradient(
    _ x: Span<Self>, _ slope: Span<Self>, height: Int, width: Int, into dx: inout MutableSpan<Self>)
}

extension KernelElement {
  public static func add(_ x: Span<Self>, to y: inout MutableSpan<Self>) {
    for i in y.indices { y[i] += x[i] }
  }

  public static func sum(_ x: Span<Self>) -> Self {
    var lanes = [Self](repeating: 0, count: 16)
    for i in x.indices { lanes[i % 16] += x[i] }
    return lanes.reduce(0, +)
  }

  public static func relu(_ x: inout MutableSpan<Self>) {
    for i in x.indices { x[i] = x[i] < 0 ? 0 : x[i] }
  }

  public static func softmax(_ x: inout MutableSpan<Self>, width: Int) {
    guard width > 0 else { return }
    for start in stride(from: 0, to: x.count, by: width) {
      var largest = -Self.infinity
      for i in start..<start + width { largest = max(largest, x[i]) }
      var sum: Self = 0
      for i in start..<start + width {
        x[i] = Self.exp(x[i] - largest)
        sum += x[i]
      }
      for i in start..<start + width { x[i] /= sum }
    }
  }

  public static func reluGradient(_ y: Span<Self>, _ slope: inout MutableSpan<Self>) {
    for i in slope.indices { slope[i] = y[i] > 0 ? slope[i] : 0 }
  }

  public static func maxPool2(
    _ x: Span<Self>, height: Int, width: Int, into y: inout MutableSpan<Self>
  ) {
    for position in 0..<height * width {
      let window = window(position, width)
      y[position] = x[winner(x, window)]
    }
  }

  public static func maxPool2Gradient(
    _ x: Span<Self>, _ slope: Span<Self>, height: Int, width: Int, into dx: inout MutableSpan<Self>
  ) {
    for position in 0..<height * width {
      let window = window(position, width)
      for i in window { dx[i] = 0 }
      dx[winner(x, window)] = slope[position]
    }
  }

  /// The four positions of a 2×2 pooling window, in row-major order.
  private static func window(_ position: Int, _ width: Int) -> [Int] {
    let corner = position / width * 4 * width + position % width * 2
    return [corner, corner + 1, corner + 2 * width, corner + 2 * width + 1]
  }

  private static func winner(_ x: Span<Self>, _ window: [Int]) -> Int {
    var best = window[0]
    for i in window[1...] where x[i] > x[best] || x[i].isNaN { best = i }
    return best
  }
}

extension Double: KernelElement {}

extension Float: KernelElement {
  public static func add(_ x: Span<Float>, to y: inout MutableSpan<Float>) {
    TrainingKernel.current.add(x, to: &y)
  }

  public static func sum(_ x: Span<Float>) -> Float { TrainingKernel.current.sum(x) }

  public static func relu(_ x: inout MutableSpan<Float>) { TrainingKernel.current.relu(&x) }

  public static func softmax(_ x: inout MutableSpan<Float>, width: Int) {
    let rows = width > 0 ? x.count / width : 0
    unsafe x.withUnsafeMutableBytes { bytes in
      guard let start = bytes.baseAddress, rows > 0 else { return }
      let stride = width * MemoryLayout<Float>.stride
      unsafe PointwiseKernel.current.softmax(
        rows: rows, channels: width, start, strideX: stride, to: start, strideY: stride)
    }
  }

  public static func reluGradient(_ y: Span<Float>, _ slope: inout MutableSpan<Float>) {
    TrainingKernel.current.reluGradient(y, &slope)
  }

  public static func maxPool2(
    _ x: Span<Float>, height: Int, width: Int, into y: inout MutableSpan<Float>
  ) {
    TrainingKernel.current.maxPool2(x, height: height, width: width, into: &y)
  }

  public static func maxPool2Gradient(
    _ x: Span<Float>, _ slope: Span<Float>, height: Int, width: Int,
    into dx: inout MutableSpan<Float>
  ) {
    TrainingKernel.current.maxPool2Gradient(x, slope, height: height, width: width, into: &dx)
  }
}
