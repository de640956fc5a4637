// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels

/// Elementwise operations on values of the same size, one contiguous run at a time.
struct ElementwiseInstruction: StripedInstruction {
  let label: String
  let inputs: [Int]
  let output: Int
  let operation: Operation

  enum Operation: Sendable {
    case activate(ElementFunction)
    /// The function's results as bytes.
    case activateBytes(ElementFunction, Lowering.Quantized)
    case binary(BinaryFunction, low: Float, high: Float)
    case addBytes(AddU8)
    case addBFloats(low: Float, high: Float)
    /// fp32 rounded to bf16, and the reverse.
    case f32ToBF16, bf16ToF32
    /// Any function of bytes, as a table of 256 values.
    case lookUp(AlignedMemory)
    case quantize(Lowering.Quantized)
    case dequantize(Lowering.Quantized)

    fileprivate var kind: Computation.Kind {
      switch self {
      case .activate, .activateBytes: .activate
      case .binary(let function, _, _): .binary(function)
      case .addBytes: .binary(.add)
      case .addBFloats: .addBF16
      case .f32ToBF16: .f32ToBF16
      case .bf16ToF32: .bf16ToF32
      case .lookUp: .lookUp
      case .quantize: .quantize
      case .dequantize: .dequantize
      }
    }
  }

  var reads: [Int] { inputs }
  var writes: Int? { output }
  var input: Int { inputs[0] }
  var rows: RowWindow { RowWindow() }

  func step(_ values: [Value], threadsPerImage: Int) -> Step {
    let all = (inputs + [output]).map { values[$0] }
    let (width, height, channels) = (all[0].width, all[0].height, all[0].channels)
    // Part of a row is one run if pixels have no gaps after them.
    let isPacked = all.allSatisfy { $0.steps.pixel == channels * $0.elementSize }
    let parts = all[0].rowParts(threadsPerImage: threadsPerImage)
    let (inputs, output, operation, result) = (inputs, output, operation, values[output])
    let sources = inputs.map { values[$0].steps }
    let kernel = PointwiseKernel.current
    return Step(
      label: label, computations: [Computation(operation.kind, kernel.name)],
      items: Step.perImage(height * parts)
    ) { memory, _, items in
      for item in items {
        let (image, row) = (item / parts / height, item / parts % height)
        let part = item % parts
        let columns = width * part / parts..<width * (part + 1) / parts
        func start(_ value: Int, _ steps: ImageSteps, _ column: Int) -> UnsafeMutableRawPointer {
          unsafe memory.start(value) + image * steps.image + row * steps.row
            + column * steps.pixel
        }
        let run = isPacked ? columns.count : 1
        for column in stride(from: columns.lowerBound, to: columns.upperBound, by: max(1, run)) {
          unsafe operation.run(
            kernel, run * channels, start(inputs[0], sources[0], column),
            start(inputs[inputs.count - 1], sources[inputs.count - 1], column),
            to: start(output, result.steps, column))
        }
      }
    }
  }
}

extension ElementwiseInstruction.Operation {
  @inline(__always)
  fileprivate func run(
    _ kernel: PointwiseKernel, _ count: Int, _ a: UnsafeMutableRawPointer,
    _ b: UnsafeMutableRawPointer, to y: UnsafeMutableRawPointer
  ) {
    switch self {
    case .activate(let activation):
      unsafe kernel.activate(activation, count: count, a, to: y)
    case .activateBytes(let activation, let by):
      unsafe Self.activate(kernel, activation, by, count, a, to: y)
    case .binary(let function, let low, let high):
      unsafe kernel.binary(
        function, rows: 1, channels: count, a, strideA: 0, b, strideB: 0, low: low, high: high,
        to: y, strideY: 0)
    case .lookUp(let table):
      unsafe kernel.lookupU8(
        count: count, a, table: UnsafePointer(table.base.assumingMemoryBound(to: UInt8.self)),
        to: y)
    case .addBFloats(let low, let high):
      unsafe kernel.addBF16(count: count, a, b, low: low, high: high, to: y)
    case .f32ToBF16:
      unsafe kernel.f32ToBF16(rows: 1, channels: count, a, strideX: 0, to: y, strideY: 0)
    case .bf16ToF32:
      unsafe kernel.bf16ToF32(rows: 1, channels: count, a, strideX: 0, to: y, strideY: 0)
    case .addBytes(let sum):
      unsafe kernel.addU8(count: count, a, b, sum, to: y)
    case .quantize(let by):
      unsafe Self.quantize(kernel, by, count, a, to: y)
    case .dequantize(let by):
      unsafe kernel.pixelsU8ToPlanes(
        .run(count, elementSize: 1), scale: by.scale, zeroPoint: Int32(by.zeroPoint), from: a,
        to: y, rows: 0..<1)
    }
  }
}

extension ElementwiseInstruction.Operation {
  private static func quantize(
    _ kernel: PointwiseKernel, _ by: Lowering.Quantized, _ count: Int,
    _ x: UnsafeMutableRawPointer, to y: UnsafeMutableRawPointer
  ) {
    unsafe kernel.planesToPixelsU8(
      .run(count, elementSize: 1), scale: by.scale, zeroPoint: Int32(by.zeroPoint), from: x,
      to: y, rows: 0..<1)
  }

  /// The number of floats on the stack between two steps.
  private static let pieceSize = 1024

  private static func activate(
    _ kernel: PointwiseKernel, _ function: ElementFunction, _ by: Lowering.Quantized, _ count: Int,
    _ x: UnsafeMutableRawPointer, to y: UnsafeMutableRawPointer
  ) {
    unsafe withUnsafeTemporaryAllocation(
      byteCount: 4 * min(count, pieceSize), alignment: 64
    ) { piece in
      let results = piece.baseAddress!
      for start in stride(from: 0, to: count, by: pieceSize) {
        let size = min(pieceSize, count - start)
        unsafe kernel.activate(function, count: size, x + 4 * start, to: results)
        unsafe quantize(kernel, by, size, results, to: y + start)
      }
    }
  }
}

extension PlanesGeometry {
  /// Elements that are contiguous on both sides.
  static func run(_ count: Int, elementSize: Int) -> PlanesGeometry {
    PlanesGeometry(channels: 1, width: count, height: 1, x: elementSize, y: count * elementSize)
  }

  /// Planes and pixels of a value.
  init(_ value: Value) {
    self.init(
      channels: value.channels, width: value.width, height: value.height, x: value.steps.pixel,
      y: value.steps.row)
  }
}
