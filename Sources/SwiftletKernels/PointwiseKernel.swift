// SPDX-License-Identifier: Apache-2.0

internal import CSwiftletKernels

/// Sums of u8: v = Float(a − zeroA) · scaleA + Float(b − zeroB) · scaleB, where the scales are
/// divided by the result's; q = roundTiesToEven(v) + zeroY, clamped to low … high.
package struct AddU8: Sendable, Hashable {
  package var scaleA, scaleB: Float
  package var zeroA, zeroB, zeroY: Int32
  /// Limits of q, in 0 … 255.
  package var low: Int32 = 0
  package var high: Int32 = 255

  package init(scaleA: Float, scaleB: Float, zeroA: Int32, zeroB: Int32, zeroY: Int32) {
    self.scaleA = scaleA
    self.scaleB = scaleB
    self.zeroA = zeroA
    self.zeroB = zeroB
    self.zeroY = zeroY
  }

  fileprivate var raw: swl_add_u8 {
    swl_add_u8(
      scale_a: scaleA, scale_b: scaleB, zero_a: zeroA, zero_b: zeroB, zero_y: zeroY, low: low,
      high: high)
  }
}

/// Products of u8: v = Float((a − zeroA) · (b − zeroB)) · scale, where the scale is the product of
/// the operands' scales divided by the result's; q = roundTiesToEven(v) + zeroY, clamped to low …
/// high.
package struct MulU8: Sendable, Hashable {
  package var scale: Float
  package var zeroA, zeroB, zeroY: Int32
  /// Limits of q, in 0 … 255.
  package var low: Int32 = 0
  package var high: Int32 = 255

  package init(scale: Float, zeroA: Int32, zeroB: Int32, zeroY: Int32) {
    self.scale = scale
    self.zeroA = zeroA
    self.zeroB = zeroB
    self.zeroY = zeroY
  }

  fileprivate var raw: swl_mul_u8 {
    swl_mul_u8(
      scale: scale, zero_a: zeroA, zero_b: zeroB, zero_y: zeroY, low: low, high: high)
  }
}

/// One image as planes of fp32 (channel by channel, rows without gaps) and as channels-last pixels.
package struct PlanesGeometry: Sendable, Hashable {
  package var channels, width, height: Int
  /// Bytes between planes.
  package var plane: Int
  /// Bytes between pixels and rows of the channels-last side.
  package var x, y: Int

  /// - Parameter plane: By default planes are contiguous.
  package init(channels: Int, width: Int, height: Int, plane: Int? = nil, x: Int, y: Int) {
    self.channels = channels
    self.width = width
    self.height = height
    self.plane = plane ?? 4 * width * height
    self.x = x
    self.y = y
  }

  fileprivate var raw: swl_planes {
    swl_planes(channels: channels, width: width, height: height, plane: plane, x: x, y: y)
  }
}

/// A function of two numbers.
package enum BinaryFunction: Sendable, Hashable, CaseIterable {
  case add, subtract, multiply, divide
  /// NaN if either is NaN.
  case larger, smaller

  fileprivate var raw: swl_binary {
    switch self {
    case .add: SWL_ADD
    case .subtract: SWL_SUBTRACT
    case .multiply: SWL_MULTIPLY
    case .divide: SWL_DIVIDE
    case .larger: SWL_LARGER
    case .smaller: SWL_SMALLER
    }
  }
}

/// A function of one number. Tiers may differ in the last places unless exactness is promised;
/// `swiftlet_pointwise_kernels.h` documents the accuracy of each.
package enum ElementFunction: Sendable, Hashable {
  /// min(high, max(low, x)), exact.
  case clip(low: Float, high: Float)
  case sigmoid
  case tanh
  /// x · sigmoid(x).
  case silu
  /// max(0, min(1, alpha · x + beta)), exact.
  case hardSigmoid(alpha: Float, beta: Float)
  /// x · max(0, min(1, x / 6 + 1/2)).
  case hardSwish
  /// x / 2 · (1 + erf(x / √2)).
  case gelu
  /// x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))).
  case geluTanh
  case erf
  case exp
  /// x < 0 ? alpha · x : x, exact.
  case leakyRelu(alpha: Float)
  /// x > 0 ? x : alpha · (exp(x) − 1).
  case elu(alpha: Float)
  /// log(1 + exp(x)).
  case softplus
  /// x · tanh(softplus(x)).
  case mish

  fileprivate var raw: (kind: swl_activation, alpha: Float, beta: Float) {
    switch self {
    case .clip(let low, let high): (SWL_CLIP, low, high)
    case .sigmoid: (SWL_SIGMOID, 0, 0)
    case .tanh: (SWL_TANH, 0, 0)
    case .silu: (SWL_SILU, 0, 0)
    case .hardSigmoid(let alpha, let beta): (SWL_HARDSIGMOID, alpha, beta)
    case .hardSwish: (SWL_HARDSWISH, 0, 0)
    case .gelu: (SWL_GELU, 0, 0)
    case .geluTanh: (SWL_GELU_TANH, 0, 0)
    case .erf: (SWL_ERF, 0, 0)
    case .exp: (SWL_EXP, 0, 0)
    case .leakyRelu(let alpha): (SWL_LEAKY_RELU, alpha, 0)
    case .elu(let alpha): (SWL_ELU, alpha, 0)
    case .softplus: (SWL_SOFTPLUS, 0, 0)
    case .mish: (SWL_MISH, 0, 0)
    }
  }
}

extension UnsafeRawPointer {
  fileprivate var floats: UnsafePointer<Float> { unsafe assumingMemoryBound(to: Float.self) }
  fileprivate var bytes: UnsafePointer<UInt8> { unsafe assumingMemoryBound(to: UInt8.self) }
  fileprivate var halves: UnsafePointer<UInt16> { unsafe assumingMemoryBound(to: UInt16.self) }
}

extension UnsafeMutableRawPointer {
  fileprivate var floats: UnsafeMutablePointer<Float> {
    unsafe assumingMemoryBound(to: Float.self)
  }
  fileprivate var bytes: UnsafeMutablePointer<UInt8> {
    unsafe assumingMemoryBound(to: UInt8.self)
  }
  fileprivate var halves: UnsafeMutablePointer<UInt16> {
    unsafe assumingMemoryBound(to: UInt16.self)
  }
}

/// Layers that work element by element or pixel by pixel, and conversion to and from channels-last,
/// with the kernels of one tier.
///
/// Results may overwrite an operand. All tiers agree bit for bit unless stated otherwise.
/// `@unchecked Sendable`: a table of constant function pointers.
@safe
package struct PointwiseKernel: @unchecked Sendable {
  package let name: String
  package let isa: ISA
  private let table: swl_pointwise_kernel

  private init(_ table: swl_pointwise_kernel) {
    unsafe name = String(cString: table.name)
    unsafe isa = ISA(table.isa)
    unsafe self.table = table
  }

  /// All kernels this CPU can run, best first.
  package static let supported = unsafe (0..<swl_pointwise_kernel_count())
    .map { unsafe swl_pointwise_kernel_at($0).pointee }
    .filter { unsafe CPU.supports($0.isa, feature: $0.feature) }
    .map { unsafe PointwiseKernel($0) }

  /// The kernel in use.
  package static let current = supported.first { $0.isa <= ISA.current } ?? supported.last!

  // MARK: Sums and products

  /// y = min(high, max(low, f(a, b))) of rows of channels; strides in bytes. A side that repeats
  /// has one number per row.
  package func binary(
    _ function: BinaryFunction, rows: Int, channels: Int, _ a: UnsafeRawPointer, strideA: Int,
    repeatsA: Bool = false, _ b: UnsafeRawPointer, strideB: Int, repeatsB: Bool = false,
    low: Float = -.infinity, high: Float = .infinity, to y: UnsafeMutableRawPointer, strideY: Int
  ) {
    unsafe table.binary_f32(
      function.raw, rows, channels, a.floats, strideA, repeatsA, b.floats, strideB, repeatsB, low,
      high, y.floats, strideY)
  }

  package func addU8(
    count: Int, _ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ sum: AddU8,
    to y: UnsafeMutableRawPointer
  ) {
    var sum = sum.raw
    unsafe table.add_u8(count, a.bytes, b.bytes, &sum, y.bytes)
  }

  package func mulU8(
    count: Int, _ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ product: MulU8,
    to y: UnsafeMutableRawPointer
  ) {
    var product = product.raw
    unsafe table.mul_u8(count, a.bytes, b.bytes, &product, y.bytes)
  }

  /// Multiplies each of `rows` pixels by `b[channel]`; strides in bytes.
  package func mulChannelsU8(
    rows: Int, channels: Int, _ a: UnsafeRawPointer, strideA: Int, _ b: UnsafeRawPointer,
    _ product: MulU8, to y: UnsafeMutableRawPointer, strideY: Int
  ) {
    var product = product.raw
    unsafe table.mul_channels_u8(
      rows, channels, a.bytes, strideA, b.bytes, &product, y.bytes, strideY)
  }

  // MARK: Layout

  /// `planes` is the image's first plane and `pixels` its pixel (0, 0), regardless of `rows`.
  package func planesToPixelsF32(
    _ geometry: PlanesGeometry, from planes: UnsafeRawPointer,
    to pixels: UnsafeMutableRawPointer, rows: Range<Int>
  ) {
    var geometry = geometry.raw
    unsafe table.planes_to_pixels_f32(
      &geometry, planes.floats, pixels, rows.lowerBound, rows.upperBound)
  }

  package func pixelsToPlanesF32(
    _ geometry: PlanesGeometry, from pixels: UnsafeRawPointer,
    to planes: UnsafeMutableRawPointer, rows: Range<Int>
  ) {
    var geometry = geometry.raw
    unsafe table.pixels_to_planes_f32(
      &geometry, pixels, planes.floats, rows.lowerBound, rows.upperBound)
  }

  /// q = saturate(roundTiesToEven(x / scale) + zeroPoint); NaN gives the zero point.
  package func planesToPixelsU8(
    _ geometry: PlanesGeometry, scale: Float, zeroPoint: Int32, from planes: UnsafeRawPointer,
    to pixels: UnsafeMutableRawPointer, rows: Range<Int>
  ) {
    var geometry = geometry.raw
    unsafe table.planes_to_pixels_f32_u8(
      &geometry, scale, zeroPoint, planes.floats, pixels, rows.lowerBound, rows.upperBound)
  }

  /// x = Float(q − zeroPoint) · scale.
  package func pixelsU8ToPlanes(
    _ geometry: PlanesGeometry, scale: Float, zeroPoint: Int32, from pixels: UnsafeRawPointer,
    to planes: UnsafeMutableRawPointer, rows: Range<Int>
  ) {
    var geometry = geometry.raw
    unsafe table.pixels_to_planes_u8_f32(
      &geometry, scale, zeroPoint, pixels, planes.floats, rows.lowerBound, rows.upperBound)
  }

  // MARK: bf16

  /// y = min(high, max(low, a + b)) of bf16, rounded to bf16.
  package func addBF16(
    count: Int, _ a: UnsafeRawPointer, _ b: UnsafeRawPointer, low: Float, high: Float,
    to y: UnsafeMutableRawPointer
  ) {
    unsafe table.add_bf16(count, a.halves, b.halves, low, high, y.halves)
  }

  /// Rows of fp32 rounded to bf16; a zero is stored after an odd number of channels. Strides are in
  /// bytes.
  package func f32ToBF16(
    rows: Int, channels: Int, _ x: UnsafeRawPointer, strideX: Int,
    to y: UnsafeMutableRawPointer, strideY: Int
  ) {
    unsafe table.f32_to_bf16(rows, channels, x.floats, strideX, y.halves, strideY)
  }

  /// Rows of bf16 as fp32; strides in bytes.
  package func bf16ToF32(
    rows: Int, channels: Int, _ x: UnsafeRawPointer, strideX: Int,
    to y: UnsafeMutableRawPointer, strideY: Int
  ) {
    unsafe table.bf16_to_f32(rows, channels, x.halves, strideX, y.floats, strideY)
  }

  /// As ``planesToPixelsF32(_:from:to:rows:)``, rounded to bf16; a zero is stored after an odd
  /// number of channels.
  package func planesToPixelsBF16(
    _ geometry: PlanesGeometry, from planes: UnsafeRawPointer,
    to pixels: UnsafeMutableRawPointer, rows: Range<Int>
  ) {
    var geometry = geometry.raw
    unsafe table.planes_to_pixels_f32_bf16(
      &geometry, planes.floats, pixels, rows.lowerBound, rows.upperBound)
  }

  // MARK: Functions

  package func activate(
    _ activation: ElementFunction, count: Int, _ x: UnsafeRawPointer, to y: UnsafeMutableRawPointer
  ) {
    let (kind, alpha, beta) = activation.raw
    unsafe table.activate_f32(kind, count, x.floats, alpha, beta, y.floats)
  }

  /// y = table[x]; the table has 256 bytes.
  package func lookupU8(
    count: Int, _ x: UnsafeRawPointer, table entries: UnsafePointer<UInt8>,
    to y: UnsafeMutableRawPointer
  ) {
    unsafe table.lookup_u8(count, x.bytes, entries, y.bytes)
  }

  /// exp(x − max) / Σ of each row; strides in bytes.
  package func softmax(
    rows: Int, channels: Int, _ x: UnsafeRawPointer, strideX: Int,
    to y: UnsafeMutableRawPointer, strideY: Int
  ) {
    unsafe table.softmax_f32(rows, channels, x.floats, strideX, y.floats, strideY)
  }

  /// d / √(mean(d²) + epsilon) · gamma + beta of each row, with d = x − mean(x); strides in bytes.
  package func layerNorm(
    rows: Int, channels: Int, _ x: UnsafeRawPointer, strideX: Int, gamma: UnsafePointer<Float>,
    beta: UnsafePointer<Float>?, epsilon: Float, to y: UnsafeMutableRawPointer, strideY: Int
  ) {
    unsafe table.layer_norm_f32(
      rows, channels, x.floats, strideX, gamma, beta, epsilon, y.floats, strideY)
  }
}
