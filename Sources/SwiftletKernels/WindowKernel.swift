// SPDX-License-Identifier: Apache-2.0

internal import CSwiftletKernels

/// A window sliding over one channels-last image, with strides in bytes.
///
/// A pixel's channels are contiguous. The window stays inside readable memory: the caller has put a
/// halo of zeros, or of the zero point, around the image.
package struct WindowGeometry: Sendable, Hashable {
  package var channels, outWidth, outHeight, kernelWidth, kernelHeight: Int
  /// Stride between the windows of consecutive outputs: includes the convolution's stride.
  package var inX, inY: Int
  /// Stride between consecutive taps of a window: includes the dilation.
  package var tapX, tapY: Int
  /// Stride between consecutive outputs.
  package var outX, outY: Int

  package init(
    channels: Int, outWidth: Int, outHeight: Int, kernelWidth: Int, kernelHeight: Int,
    inX: Int, inY: Int, tapX: Int, tapY: Int, outX: Int, outY: Int
  ) {
    self.channels = channels
    self.outWidth = outWidth
    self.outHeight = outHeight
    self.kernelWidth = kernelWidth
    self.kernelHeight = kernelHeight
    self.inX = inX
    self.inY = inY
    self.tapX = tapX
    self.tapY = tapY
    self.outX = outX
    self.outY = outY
  }

  fileprivate var raw: swl_window {
    swl_window(
      channels: channels, out_width: outWidth, out_height: outHeight, kernel_width: kernelWidth,
      kernel_height: kernelHeight, in_x: inX, in_y: inY, tap_x: tapX, tap_y: tapY, out_x: outX,
      out_y: outY)
  }
}

/// A pooling window sliding over one channels-last image; taps outside the image are skipped, so it
/// needs no halo. Memory strides (`inX`, `inY`, `outX`, `outY`) are in bytes.
package struct PoolGeometry: Sendable, Hashable {
  package var channels, inWidth, inHeight, outWidth, outHeight: Int
  package var kernelWidth, kernelHeight: Int
  package var strideX = 1, strideY = 1, dilationX = 1, dilationY = 1
  package var padLeft = 0, padRight = 0, padTop = 0, padBottom = 0
  /// Strides between consecutive pixels and rows.
  package var inX, inY: Int
  /// Strides between consecutive outputs and output rows.
  package var outX, outY: Int

  package init(
    channels: Int, inWidth: Int, inHeight: Int, outWidth: Int, outHeight: Int, kernelWidth: Int,
    kernelHeight: Int, inX: Int, inY: Int, outX: Int, outY: Int
  ) {
    self.channels = channels
    self.inWidth = inWidth
    self.inHeight = inHeight
    self.outWidth = outWidth
    self.outHeight = outHeight
    self.kernelWidth = kernelWidth
    self.kernelHeight = kernelHeight
    self.inX = inX
    self.inY = inY
    self.outX = outX
    self.outY = outY
  }

  fileprivate var raw: swl_pool {
    swl_pool(
      channels: channels, in_width: inWidth, in_height: inHeight, out_width: outWidth,
      out_height: outHeight, kernel_width: kernelWidth, kernel_height: kernelHeight,
      stride_x: strideX, stride_y: strideY, dilation_x: dilationX, dilation_y: dilationY,
      pad_left: padLeft, pad_right: padRight, pad_top: padTop, pad_bottom: padBottom, in_x: inX,
      in_y: inY, out_x: outX, out_y: outY)
  }
}

/// Averages of u8: v = Float(Σ(x − zeroIn)) · (scaleIn / (scaleOut · n)), and
/// q = saturate(roundTiesToEven(v) + zeroOut).
package struct AverageU8: Sendable, Hashable {
  package var scaleIn, scaleOut: Float
  package var zeroIn, zeroOut: Int32
  /// Whether n counts the taps in the padding.
  package var includePad: Bool

  package init(
    scaleIn: Float, scaleOut: Float, zeroIn: Int32, zeroOut: Int32, includePad: Bool = false
  ) {
    self.scaleIn = scaleIn
    self.scaleOut = scaleOut
    self.zeroIn = zeroIn
    self.zeroOut = zeroOut
    self.includePad = includePad
  }
}

/// Weights of a depthwise convolution of fp32: y = min(high, max(low, bias + Σ x·w)).
@unsafe
package struct DepthwiseF32 {
  /// `[kernelHeight][kernelWidth][channels]`
  package var weights: UnsafePointer<Float>
  /// `[channels]`
  package var bias: UnsafePointer<Float>
  package var low = -Float.infinity, high = Float.infinity

  package init(weights: UnsafePointer<Float>, bias: UnsafePointer<Float>) {
    unsafe self.weights = unsafe weights
    unsafe self.bias = unsafe bias
  }

  fileprivate var raw: swl_depthwise_f32 {
    unsafe swl_depthwise_f32(weights: weights, bias: bias, low: low, high: high)
  }
}

/// Weights of a depthwise convolution of u8 by s8: v = max(low, min(high, Float(acc) · scale)) with
/// acc = bias + Σ x·w in int32, and q = roundTiesToEven(v) + zeroPoint.
///
/// The bias contains −zeroPoint(x)·Σw. For u8 results `low` and `high` are integers in
/// −zeroPoint … 255 − zeroPoint.
@unsafe
package struct DepthwiseU8 {
  /// `[kernelHeight][kernelWidth][channels]`
  package var weights: UnsafePointer<Int8>
  /// `[channels]`
  package var bias: UnsafePointer<Int32>
  /// `[channels]`
  package var scale: UnsafePointer<Float>
  package var low = -Float.infinity, high = Float.infinity
  package var zeroPoint: Int32 = 0

  package init(
    weights: UnsafePointer<Int8>, bias: UnsafePointer<Int32>, scale: UnsafePointer<Float>
  ) {
    unsafe self.weights = unsafe weights
    unsafe self.bias = unsafe bias
    unsafe self.scale = unsafe scale
  }

  fileprivate var raw: swl_depthwise_u8 {
    unsafe swl_depthwise_u8(
      weights: weights, bias: bias, scale: scale, low: low, high: high, zero_point: zeroPoint)
  }
}

/// Depthwise convolution and pooling of channels-last images, with the kernels of one tier.
///
/// Calls compute the output rows `rows`; each call prepares the weights, so it should cover several
/// rows. Integer results and those of pooling are the same on all tiers. `@unchecked Sendable`: a
/// table of constant function pointers.
@safe
package struct WindowKernel: @unchecked Sendable {
  package let name: String
  package let isa: ISA
  private let table: swl_window_kernel

  private init(_ table: swl_window_kernel) {
    unsafe name = String(cString: table.name)
    unsafe isa = ISA(table.isa)
    unsafe self.table = table
  }

  /// All kernels this CPU can run, best first.
  package static let supported = unsafe (0..<swl_window_kernel_count())
    .map { unsafe swl_window_kernel_at($0).pointee }
    .filter { unsafe CPU.supports($0.isa, feature: $0.feature) }
    .map { unsafe WindowKernel($0) }

  /// The kernel in use.
  package static let current = supported.first { $0.isa <= ISA.current } ?? supported.last!

  /// `input` is the first tap of output (0, 0).
  package func depthwise(
    _ window: WindowGeometry, _ weights: DepthwiseF32, from input: UnsafeRawPointer,
    to output: UnsafeMutableRawPointer, rows: Range<Int>
  ) {
    var (window, weights) = unsafe (window.raw, weights.raw)
    unsafe table.depthwise_f32(&window, &weights, input, output, rows.lowerBound, rows.upperBound)
  }

  /// From bf16 to bf16, with sums in fp32.
  package func depthwiseBF16(
    _ window: WindowGeometry, _ weights: DepthwiseF32, from input: UnsafeRawPointer,
    to output: UnsafeMutableRawPointer, rows: Range<Int>
  ) {
    var (window, weights) = unsafe (window.raw, weights.raw)
    unsafe table.depthwise_bf16(&window, &weights, input, output, rows.lowerBound, rows.upperBound)
  }

  /// `input` is the first tap of output (0, 0).
  package func depthwise(
    _ window: WindowGeometry, _ weights: DepthwiseU8, from input: UnsafeRawPointer,
    to output: UnsafeMutableRawPointer, rows: Range<Int>
  ) {
    var (window, weights) = unsafe (window.raw, weights.raw)
    unsafe table.depthwise_u8(&window, &weights, input, output, rows.lowerBound, rows.upperBound)
  }

  /// The result is v, in fp32.
  package func depthwiseToFloat(
    _ window: WindowGeometry, _ weights: DepthwiseU8, from input: UnsafeRawPointer,
    to output: UnsafeMutableRawPointer, rows: Range<Int>
  ) {
    var (window, weights) = unsafe (window.raw, weights.raw)
    unsafe table.depthwise_u8_f32(
      &window, &weights, input, output, rows.lowerBound, rows.upperBound)
  }

  /// The largest value of each window, NaN if it has one. `input` is pixel (0, 0) of the image.
  package func maxPoolF32(
    _ geometry: PoolGeometry, from input: UnsafeRawPointer, to output: UnsafeMutableRawPointer,
    rows: Range<Int>
  ) {
    var geometry = geometry.raw
    unsafe table.max_pool_f32(&geometry, input, output, rows.lowerBound, rows.upperBound)
  }

  package func maxPoolBF16(
    _ geometry: PoolGeometry, from input: UnsafeRawPointer, to output: UnsafeMutableRawPointer,
    rows: Range<Int>
  ) {
    var geometry = geometry.raw
    unsafe table.max_pool_bf16(&geometry, input, output, rows.lowerBound, rows.upperBound)
  }

  package func maxPoolU8(
    _ geometry: PoolGeometry, from input: UnsafeRawPointer, to output: UnsafeMutableRawPointer,
    rows: Range<Int>
  ) {
    var geometry = geometry.raw
    unsafe table.max_pool_u8(&geometry, input, output, rows.lowerBound, rows.upperBound)
  }

  /// The sum of the sums of the window's rows, divided by the number of taps.
  package func averagePoolF32(
    _ geometry: PoolGeometry, includePad: Bool, from input: UnsafeRawPointer,
    to output: UnsafeMutableRawPointer, rows: Range<Int>
  ) {
    var geometry = geometry.raw
    unsafe table.average_pool_f32(
      &geometry, includePad, input, output, rows.lowerBound, rows.upperBound)
  }

  /// From bf16 to fp32.
  package func averagePoolBF16(
    _ geometry: PoolGeometry, includePad: Bool, from input: UnsafeRawPointer,
    to output: UnsafeMutableRawPointer, rows: Range<Int>
  ) {
    var geometry = geometry.raw
    unsafe table.average_pool_bf16_f32(
      &geometry, includePad, input, output, rows.lowerBound, rows.upperBound)
  }

  package func averagePoolU8(
    _ geometry: PoolGeometry, _ average: AverageU8, from input: UnsafeRawPointer,
    to output: UnsafeMutableRawPointer, rows: Range<Int>
  ) {
    var geometry = geometry.raw
    var raw = swl_average_u8(
      scale_in: average.scaleIn, scale_out: average.scaleOut, zero_in: average.zeroIn,
      zero_out: average.zeroOut, include_pad: average.includePad)
    unsafe table.average_pool_u8(&geometry, &raw, input, output, rows.lowerBound, rows.upperBound)
  }
}
