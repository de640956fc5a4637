// SPDX-License-Identifier: Apache-2.0

internal import CSwiftletKernels
package import SwiftletCore

/// The tile transforms of Winograd's F(m×m, 3×3), forward and inverse, with the kernels of one
/// tier.
///
/// `@unchecked Sendable`: a table of constant function pointers.
@safe
package struct WinogradKernel: @unchecked Sendable {
  package let name: String
  package let isa: ISA
  private let table: swl_winograd_kernel

  private init(_ table: swl_winograd_kernel) {
    unsafe name = String(cString: table.name)
    unsafe isa = ISA(table.isa)
    unsafe self.table = table
  }

  /// All kernels this CPU can run, best first.
  package static let supported = unsafe (0..<swl_winograd_kernel_count())
    .map { unsafe swl_winograd_kernel_at($0).pointee }
    .filter { unsafe CPU.supports($0.isa, feature: $0.feature) }
    .map { unsafe WinogradKernel($0) }

  /// The kernel in use.
  package static let current = supported.first { $0.isa <= ISA.current } ?? supported.last!

  /// The layout of tiles on images, and of their coefficients in matrices.
  package struct Side: Sendable {
    /// Results per tile along each axis: 2 or 4.
    package var m: Int
    package var channels, tilesX, tilesY: Int
    package var steps: ImageSteps
    /// Bytes between the rows of a coefficient's matrix, one per tile, and between matrices.
    package var pitch, plane: Int

    package init(
      m: Int, channels: Int, tilesX: Int, tilesY: Int, steps: ImageSteps, pitch: Int, plane: Int
    ) {
      (self.m, self.channels, self.tilesX, self.tilesY) = (m, channels, tilesX, tilesY)
      (self.steps, self.pitch, self.plane) = (steps, pitch, plane)
    }

    fileprivate var raw: swl_winograd {
      swl_winograd(
        m: m, channels: channels, tiles_x: tilesX, tiles_y: tilesY, x: steps.pixel, y: steps.row,
        image: steps.image, pitch: pitch, plane: plane)
    }
  }

  /// The final step for sums: clamp(s + bias + addend), inside width × height; if pooled, for the
  /// largest of 2×2 sums, where width and height count pooled results and there is no addend.
  package struct Ending: Sendable {
    package var isPooled: Bool
    package var width, height: Int
    package var bias: AlignedMemory
    package var addend: ImageSteps
    package var low, high: Float

    package init(
      isPooled: Bool = false, width: Int, height: Int, bias: AlignedMemory, addend: ImageSteps,
      low: Float, high: Float
    ) {
      self.isPooled = isPooled
      (self.width, self.height, self.bias, self.addend) = (width, height, bias, addend)
      (self.low, self.high) = (low, high)
    }
  }

  /// Coefficients of some tiles, numbered across all images. `input` is the first tap of the first
  /// tile.
  package func analyze(
    _ side: Side, _ input: UnsafeRawPointer, into coefficients: UnsafeMutableRawPointer,
    tiles: Range<Int>
  ) {
    var side = side.raw
    unsafe table.analyze_f32(&side, input, coefficients, tiles.lowerBound, tiles.upperBound)
  }

  /// Results from coefficients, starting with channel `first`.
  package func synthesize(
    _ side: Side, _ ending: Ending, channelsFrom first: Int, _ coefficients: UnsafeRawPointer,
    addend: UnsafeRawPointer?, into output: UnsafeMutableRawPointer, tiles: Range<Int>
  ) {
    var side = side.raw
    var ending = unsafe swl_winograd_ending(
      pooled: ending.isPooled, width: ending.width, height: ending.height,
      bias: ending.bias.base.assumingMemoryBound(to: Float.self) + first,
      addend: addend.map { unsafe $0 + 4 * first }, addend_x: ending.addend.pixel,
      addend_y: ending.addend.row, addend_image: ending.addend.image, low: ending.low,
      high: ending.high)
    unsafe table.synthesize_f32(
      &side, &ending, coefficients, output + 4 * first, tiles.lowerBound, tiles.upperBound)
  }

  /// The coefficients of O×C×3×3 weights for some output channels: (m+2)² matrices of those
  /// channels × C.
  package func coefficients(
    m: Int, _ weights: Tensor<Float>, columns: Range<Int>
  ) -> AlignedMemory {
    let channels = weights.shape[1]
    let pairs = columns.count * channels
    let memory = AlignedMemory(byteCount: 4 * (m + 2) * (m + 2) * pairs)
    unsafe weights.span.withUnsafeBufferPointer {
      unsafe table.analyze_weights_f32(
        m, pairs, 0, pairs, $0.baseAddress! + 9 * channels * columns.lowerBound,
        memory.base.assumingMemoryBound(to: Float.self))
    }
    return memory
  }
}
