internal import CSwiftletKernels

/// Sums of u8: v = Float(a − zeroA) · scaleA + Float(b − zeroB) · scaleB, where the scales are
/// divided by the result's; q = roundTiesToEven(v) + zeroY, held to low … high.
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

/// Products of u8: v = Float((a − zeroA) · (b − zeroB)) · scale, where the scale is those of the
/// operands divided by the result's; q = roundTiesToEven(v) + zeroY, held to low … high.
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

  /// - Parameter plane: By default planes follow each other without gaps.
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

extension UnsafeRawPointer {
  fileprivate var floats: UnsafePointer<Float> { unsafe assumingMemoryBound(to: Float.self) }
  fileprivate var bytes: UnsafePointer<UInt8> { unsafe assumingMemoryBound(to: UInt8.self) }
}

extension UnsafeMutableRawPointer {
  fileprivate var floats: UnsafeMutablePointer<Float> {
    unsafe assumingMemoryBound(to: Float.self)
  }
  fileprivate var bytes: UnsafeMutablePointer<UInt8> {
    unsafe assumingMemoryBound(to: UInt8.self)
  }
}

/// Layers that work element by element or pixel by pixel, and the way in and out of channels-last,
/// by one tier's kernels.
///
/// Results may take the place of an operand. All tiers agree bit for bit unless said otherwise.
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
  package static let supported: [PointwiseKernel] = (0..<swl_pointwise_kernel_count())
    .map { unsafe PointwiseKernel(swl_pointwise_kernel_at($0).pointee) }
    .filter { $0.isa <= ISA.supported }

  /// The kernel in use.
  package static let current = supported.first { $0.isa <= ISA.current } ?? supported.last!

  // MARK: Sums and products

  /// y = min(high, max(low, a + b)).
  package func addF32(
    count: Int, _ a: UnsafeRawPointer, _ b: UnsafeRawPointer, low: Float, high: Float,
    to y: UnsafeMutableRawPointer
  ) {
    unsafe table.add_f32(count, a.floats, b.floats, low, high, y.floats)
  }

  /// y = min(high, max(low, a · b)).
  package func mulF32(
    count: Int, _ a: UnsafeRawPointer, _ b: UnsafeRawPointer, low: Float, high: Float,
    to y: UnsafeMutableRawPointer
  ) {
    unsafe table.mul_f32(count, a.floats, b.floats, low, high, y.floats)
  }

  /// Adds `b[channel]` to each of `rows` pixels; strides in bytes.
  package func addChannelsF32(
    rows: Int, channels: Int, _ a: UnsafeRawPointer, strideA: Int, _ b: UnsafeRawPointer,
    low: Float, high: Float, to y: UnsafeMutableRawPointer, strideY: Int
  ) {
    unsafe table.add_channels_f32(
      rows, channels, a.floats, strideA, b.floats, low, high, y.floats, strideY)
  }

  /// Multiplies each of `rows` pixels by `b[channel]`; strides in bytes.
  package func mulChannelsF32(
    rows: Int, channels: Int, _ a: UnsafeRawPointer, strideA: Int, _ b: UnsafeRawPointer,
    low: Float, high: Float, to y: UnsafeMutableRawPointer, strideY: Int
  ) {
    unsafe table.mul_channels_f32(
      rows, channels, a.floats, strideA, b.floats, low, high, y.floats, strideY)
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

  /// `planes` is the image's first plane, `pixels` its pixel (0, 0), whatever `rows` are done.
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
    unsafe table.planes_to_pixels_u8(
      &geometry, scale, zeroPoint, planes.floats, pixels, rows.lowerBound, rows.upperBound)
  }

  /// x = Float(q − zeroPoint) · scale.
  package func pixelsU8ToPlanes(
    _ geometry: PlanesGeometry, scale: Float, zeroPoint: Int32, from pixels: UnsafeRawPointer,
    to planes: UnsafeMutableRawPointer, rows: Range<Int>
  ) {
    var geometry = geometry.raw
    unsafe table.pixels_u8_to_planes(
      &geometry, scale, zeroPoint, pixels, planes.floats, rows.lowerBound, rows.upperBound)
  }
}
