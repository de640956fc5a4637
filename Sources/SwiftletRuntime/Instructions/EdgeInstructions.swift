// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels

/// Converts an input of the segment to channels-last, and quantizes or rounds it to bf16 if
/// requested.
struct LoadInstruction: Instruction {
  let input, output: Int
  /// Whether the input already has its channels last: N×S×C, whereas images are N×C×H×W.
  let isRows: Bool
  var quantized: Lowering.Quantized?

  var label: String { "input" }
  var reads: [Int] { [] }
  var writes: Int? { output }

  func step(_ values: [Value], threadsPerImage: Int) -> Step {
    let (input, output, by) = (input, output, quantized)
    let value = values[output]
    let edge = Edge(value, isRows: isRows)
    let (steps, kernel) = (value.steps, PointwiseKernel.current)
    return Step(
      label: label, computations: [Computation(.layout, kernel.name)],
      items: Step.perImage(edge.rows)
    ) { memory, _, items in
      edge.forEachRun(items) { image, outer, inner, rows in
        let planes = unsafe memory.inputs[input] + image * 4 * value.count + outer
        let pixels = unsafe memory.start(output) + image * steps.image + inner
        if let by {
          unsafe kernel.planesToPixelsU8(
            edge.geometry, scale: by.scale, zeroPoint: Int32(by.zeroPoint), from: planes,
            to: pixels, rows: rows)
        } else if value.kind == .bfloat {
          if edge.isPlain {
            unsafe kernel.f32ToBF16(
              rows: rows.count, channels: value.channels,
              planes + 4 * value.channels * rows.lowerBound, strideX: 4 * value.channels,
              to: pixels + steps.pixel * rows.lowerBound, strideY: steps.pixel)
          } else {
            unsafe kernel.planesToPixelsBF16(edge.geometry, from: planes, to: pixels, rows: rows)
          }
        } else {
          unsafe kernel.planesToPixelsF32(edge.geometry, from: planes, to: pixels, rows: rows)
        }
      }
    }
  }
}

/// Converts a value to an output of the segment; bytes are dequantized.
struct StoreInstruction: Instruction {
  let input, output: Int
  let isRows: Bool
  var dequantized: Lowering.Quantized?

  var label: String { "output" }
  var reads: [Int] { [input] }
  var writes: Int? { nil }

  func step(_ values: [Value], threadsPerImage: Int) -> Step {
    let (input, output, by) = (input, output, dequantized)
    let value = values[input]
    let edge = Edge(value, isRows: isRows)
    let (steps, kernel) = (value.steps, PointwiseKernel.current)
    return Step(
      label: label, computations: [Computation(.layout, kernel.name)],
      items: Step.perImage(edge.rows)
    ) { memory, _, items in
      edge.forEachRun(items) { image, outer, inner, rows in
        let pixels = unsafe memory.start(input) + image * steps.image + inner
        let planes = unsafe memory.outputs[output] + image * 4 * value.count + outer
        if let by {
          unsafe kernel.pixelsU8ToPlanes(
            edge.geometry, scale: by.scale, zeroPoint: Int32(by.zeroPoint), from: pixels,
            to: planes, rows: rows)
        } else {
          unsafe kernel.pixelsToPlanesF32(edge.geometry, from: pixels, to: planes, rows: rows)
        }
      }
    }
  }
}

/// Converts 8-bit values to an output of the segment: channels-first bytes, or unchanged rows; int8
/// is shifted back.
struct StoreBytesInstruction: Instruction {
  let input, output: Int
  let isRows: Bool
  let isSigned: Bool

  var label: String { "output" }
  var reads: [Int] { [input] }
  var writes: Int? { nil }

  func step(_ values: [Value], threadsPerImage: Int) -> Step {
    let (input, output, value) = (input, output, values[input])
    let (steps, mask) = (value.steps, UInt8(isSigned ? 128 : 0))
    // Strides of the output in bytes, innermost last, and the extents.
    let axes =
      isRows
      ? [(value.height, steps.row), (value.width, steps.pixel), (value.channels, 1)]
      : [(value.channels, 1), (value.height, steps.row), (value.width, steps.pixel)]
    return Step(
      label: label, computations: [Computation(.layout)], items: Step.perImage(1)
    ) { memory, _, items in
      for image in items {
        var target = unsafe memory.outputs[output] + image * value.count
        let first = unsafe memory.start(input) + image * steps.image
        for i in 0..<axes[0].0 {
          for j in 0..<axes[1].0 {
            for k in 0..<axes[2].0 {
              let source = unsafe first + i * axes[0].1 + j * axes[1].1 + k * axes[2].1
              let byte = unsafe source.load(as: UInt8.self) ^ mask
              unsafe target.storeBytes(of: byte, as: UInt8.self)
              unsafe target += 1
            }
          }
        }
      }
    }
  }
}

/// The layout of a value outside the segment.
private struct Edge: Sendable {
  let geometry: PlanesGeometry
  /// Pieces of an image that can be converted separately.
  let rows: Int
  /// Both sides are contiguous sequences of pixels.
  let isPlain: Bool
  /// If rows of pixels have gaps between them, the bytes from one to the next on the outer and the
  /// inner side.
  private let gaps: (outer: Int, inner: Int)?

  init(_ value: Value, isRows: Bool) {
    let (size, steps) = (value.elementSize, value.steps)
    isPlain = isRows || value.pixels == 1
    guard isPlain else {
      geometry = PlanesGeometry(value)
      rows = value.height
      gaps = nil
      return
    }
    let hasGaps = value.height > 1 && steps.row != value.width * steps.pixel
    let pixels = hasGaps ? value.width : value.pixels
    // The inner side may have gaps between pixels.
    geometry = PlanesGeometry(
      channels: 1, width: value.channels, height: pixels, x: size, y: steps.pixel)
    rows = hasGaps ? value.height : pixels
    gaps = hasGaps ? (4 * value.width * value.channels, steps.row) : nil
  }

  /// Calls the body with runs of the geometry's rows, and the bytes from the image to their first
  /// one on the outer and the inner side.
  func forEachRun(
    _ items: Range<Int>,
    _ body: (_ image: Int, _ outer: Int, _ inner: Int, _ rows: Range<Int>) -> Void
  ) {
    forEachImage(items, rows: rows) { image, own in
      guard let gaps else { return body(image, 0, 0, own) }
      for row in own { body(image, row * gaps.outer, row * gaps.inner, 0..<geometry.height) }
    }
  }
}
