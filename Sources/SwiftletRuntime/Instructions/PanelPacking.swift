// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels

/// Packs a matrix of fp32 that a run computes, as constant weights are packed in advance.
struct PanelPacking: Sendable {
  let kernel = ProductKernel.float
  private let pointwise = PointwiseKernel.current
  let depth, columns: Int

  /// The size of the packed matrix, in bytes.
  var byteCount: Int { (4 * depth * kernel.paddedColumns(columns)).roundedUp(to: 64) }

  /// A product of rows with the packed matrix. Each row is an image of one pixel, so any number of
  /// rows can be computed.
  func product(from: Int, to: Int, addend: Int) -> Product {
    func steps(_ step: Int) -> ImageSteps { ImageSteps(pixel: step, row: step, image: step) }
    return Product(
      kernel,
      Product.Geometry(
        width: 1, height: 1, input: steps(from), output: steps(to), addend: steps(addend), outer: 1,
        inner: 1, words: depth, outerStep: 0, innerStep: 0),
      columns: columns, weights: nil,
      Product.Ending(
        bias: AlignedMemory([Float](repeating: 0, count: kernel.paddedColumns(columns))),
        low: -.infinity, high: .infinity), threads: 1)
  }

  /// Packs a matrix with contiguous columns, multiplied by a factor.
  ///
  /// - Parameters:
  ///   - step: Bytes between columns.
  ///   - factor: One number; `nil` for 1.
  func packColumns(
    _ source: UnsafeRawPointer, step: Int, factor: UnsafeRawPointer? = nil,
    into target: UnsafeMutableRawPointer
  ) {
    forEachPanel { start, count, width in
      let panel = unsafe target + 4 * depth * start
      if count < width {
        unsafe panel.initializeMemory(as: UInt8.self, repeating: 0, count: 4 * depth * width)
      }
      unsafe pointwise.pixelsToPlanesF32(
        PlanesGeometry(
          channels: depth, width: count, height: 1, plane: 4 * width, x: step, y: count * step),
        from: source + start * step, to: panel, rows: 0..<1)
      guard let factor = unsafe factor else { return }
      unsafe pointwise.binary(
        .multiply, rows: 1, channels: depth * width, panel, strideA: 0, factor, strideB: 0,
        repeatsB: true, to: panel, strideY: 0)
    }
  }

  /// Packs a matrix with contiguous rows.
  ///
  /// - Parameter step: Bytes between rows.
  func packRows(_ source: UnsafeRawPointer, step: Int, into target: UnsafeMutableRawPointer) {
    forEachPanel { start, count, width in
      for row in 0..<depth {
        let packed = unsafe target + 4 * (depth * start + row * width)
        unsafe packed.copyMemory(from: source + row * step + 4 * start, byteCount: 4 * count)
        if count < width {
          unsafe (packed + 4 * count).initializeMemory(
            as: UInt8.self, repeating: 0, count: 4 * (width - count))
        }
      }
    }
  }

  /// Calls the body with the first column, the number of columns and the padded number of columns
  /// of each panel.
  private func forEachPanel(_ body: (_ start: Int, _ count: Int, _ width: Int) -> Void) {
    let padded = kernel.paddedColumns(columns)
    for start in stride(from: 0, to: padded, by: 2 * kernel.lanes) {
      let width = min(2 * kernel.lanes, padded - start)
      body(start, min(width, columns - start), width)
    }
  }
}
