// SPDX-License-Identifier: Apache-2.0

internal import CSwiftletKernels

/// Conversion between fp32 and 8-bit integers, by ONNX's formulas.
///
/// q = saturate(roundTiesToEven(x / scale) + zeroPoint), where NaN gives the zero point, and
/// x = (q − zeroPoint) · scale. All instruction sets agree bit for bit.
public enum Quantization {
  /// The kernels of one tier. `@unchecked Sendable`: a table of constant function pointers.
  @safe
  package struct Kernel: @unchecked Sendable {
    package let name: String
    package let isa: ISA
    private let table: swl_quantize_kernel

    fileprivate init(_ table: swl_quantize_kernel) {
      unsafe name = String(cString: table.name)
      unsafe isa = ISA(table.isa)
      unsafe self.table = table
    }
  }

  /// All kernels this CPU can run, best first.
  package static let kernels = unsafe (0..<swl_quantize_kernel_count())
    .map { unsafe swl_quantize_kernel_at($0).pointee }
    .filter { unsafe CPU.supports($0.isa, feature: $0.feature) }
    .map { unsafe Kernel($0) }

  /// The kernel in use.
  package static let kernel = kernels.first { $0.isa <= ISA.current } ?? kernels.last!

  /// The name of the kernel in use.
  public static var kernelName: String { kernel.name }

  /// q = clamp(round(x / scale) + zeroPoint, 0…255), ties to even.
  ///
  /// - Precondition: `q` has as many elements as `x`; the scale is positive.
  public static func quantize(
    _ x: Span<Float>, scale: Float, zeroPoint: UInt8, into q: inout MutableSpan<UInt8>
  ) {
    kernel.quantize(x, scale: scale, zeroPoint: zeroPoint, into: &q)
  }

  /// q = clamp(round(x / scale) + zeroPoint, −128…127), ties to even.
  ///
  /// - Precondition: `q` has as many elements as `x`; the scale is positive.
  public static func quantize(
    _ x: Span<Float>, scale: Float, zeroPoint: Int8, into q: inout MutableSpan<Int8>
  ) {
    kernel.quantize(x, scale: scale, zeroPoint: zeroPoint, into: &q)
  }

  /// x = (q − zeroPoint) · scale.
  ///
  /// - Precondition: `x` has as many elements as `q`.
  public static func dequantize(
    _ q: Span<UInt8>, scale: Float, zeroPoint: UInt8, into x: inout MutableSpan<Float>
  ) {
    kernel.dequantize(q, scale: scale, zeroPoint: zeroPoint, into: &x)
  }

  /// x = (q − zeroPoint) · scale.
  ///
  /// - Precondition: `x` has as many elements as `q`.
  public static func dequantize(
    _ q: Span<Int8>, scale: Float, zeroPoint: Int8, into x: inout MutableSpan<Float>
  ) {
    kernel.dequantize(q, scale: scale, zeroPoint: zeroPoint, into: &x)
  }
}

extension Quantization.Kernel {
  package func quantize(
    _ x: Span<Float>, scale: Float, zeroPoint: UInt8, into q: inout MutableSpan<UInt8>
  ) {
    precondition(x.count == q.count, "quantize: \(x.count) into \(q.count) elements")
    unsafe x.withUnsafeBufferPointer { x in
      unsafe q.withUnsafeMutableBufferPointer { q in
        unsafe table.quantize_f32_u8(x.count, x.baseAddress, scale, Int32(zeroPoint), q.baseAddress)
      }
    }
  }

  package func quantize(
    _ x: Span<Float>, scale: Float, zeroPoint: Int8, into q: inout MutableSpan<Int8>
  ) {
    precondition(x.count == q.count, "quantize: \(x.count) into \(q.count) elements")
    unsafe x.withUnsafeBufferPointer { x in
      unsafe q.withUnsafeMutableBufferPointer { q in
        unsafe table.quantize_f32_s8(x.count, x.baseAddress, scale, Int32(zeroPoint), q.baseAddress)
      }
    }
  }

  package func dequantize(
    _ q: Span<UInt8>, scale: Float, zeroPoint: UInt8, into x: inout MutableSpan<Float>
  ) {
    precondition(x.count == q.count, "dequantize: \(q.count) into \(x.count) elements")
    unsafe q.withUnsafeBufferPointer { q in
      unsafe x.withUnsafeMutableBufferPointer { x in
        unsafe table.dequantize_u8_f32(
          q.count, q.baseAddress, scale, Int32(zeroPoint), x.baseAddress)
      }
    }
  }

  package func dequantize(
    _ q: Span<Int8>, scale: Float, zeroPoint: Int8, into x: inout MutableSpan<Float>
  ) {
    precondition(x.count == q.count, "dequantize: \(q.count) into \(x.count) elements")
    unsafe q.withUnsafeBufferPointer { q in
      unsafe x.withUnsafeMutableBufferPointer { x in
        unsafe table.dequantize_s8_f32(
          q.count, q.baseAddress, scale, Int32(zeroPoint), x.baseAddress)
      }
    }
  }
}
