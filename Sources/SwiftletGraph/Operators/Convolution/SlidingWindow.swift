// SPDX-License-Identifier: Apache-2.0

package import SwiftletCore

/// The geometry shared by convolution and pooling: a window that moves over a padded image of one
/// to three spatial axes.
package struct SlidingWindow: Sendable, Equatable {
  package enum AutoPad: String {
    case explicit = "NOTSET"
    case valid = "VALID"
    case sameUpper = "SAME_UPPER"
    case sameLower = "SAME_LOWER"
  }

  /// Larger strides, dilations, windows and pads are rejected, so that nothing overflows.
  static let limit = 1 << 20
  /// The extents of images: sums and products with the limits above stay small.
  static let extents = 1...1 << 40

  /// One element per spatial axis.
  package let kernel: [Int]
  package let strides: [Int]
  package let dilations: [Int]
  /// Padding before each axis, then after each.
  package let pads: [Int]
  package let autoPad: AutoPad
  package let roundsUp: Bool

  /// - Parameter kernel: Extents of the window; `nil` reads the attribute `kernel_shape`.
  package init(_ node: Node, kernel: [Int]? = nil) throws {
    guard let kernel = try kernel ?? node.ints("kernel_shape") else {
      throw SwiftletError(.badInput, "\(node.opType) is missing the attribute kernel_shape")
    }
    guard 1...3 ~= kernel.count else {
      throw SwiftletError(
        .unsupported, "\(node.opType) supports 1 to 3 spatial axes, not \(kernel.count)")
    }
    let padding = try node.string("auto_pad", default: "NOTSET")
    guard let autoPad = AutoPad(rawValue: padding) else {
      throw SwiftletError(
        .badInput,
        "\(node.opType) has auto_pad '\(padding)', which must be NOTSET, VALID, SAME_UPPER or "
          + "SAME_LOWER")
    }
    let (ones, zeros) = (kernel.map { _ in 1 }, (kernel + kernel).map { _ in 0 })
    self.kernel = kernel
    self.autoPad = autoPad
    strides = try node.ints("strides") ?? ones
    dilations = try node.ints("dilations") ?? ones
    pads = autoPad == .explicit ? try node.ints("pads") ?? zeros : zeros
    roundsUp = try node.int("ceil_mode", default: 0) != 0
    guard strides.count == kernel.count, dilations.count == kernel.count,
      pads.count == zeros.count,
      (kernel + strides + dilations).allSatisfy({ 1...Self.limit ~= $0 }),
      pads.allSatisfy({ 0...Self.limit ~= $0 })
    else {
      throw SwiftletError(
        .badInput,
        "\(node.opType) has kernel \(kernel), strides \(strides), dilations \(dilations), "
          + "pads \(pads): all but pads must be at least 1, and their numbers must match")
    }
  }

  /// The window placed along one axis of an image.
  package struct Axis: Sendable, Equatable {
    package let kernel, stride, dilation: Int
    package let input, output: Int
    package let before, after: Int

    /// A missing axis: images of fewer axes have leading extents of 1.
    static let absent = Axis(
      kernel: 1, stride: 1, dilation: 1, input: 1, output: 1, before: 0, after: 0)

    /// The output positions whose tap at `offset` falls inside the image.
    func validOutputs(offset: Int) -> Range<Int> {
      // position·stride − before + offset must lie in 0 ..< input.
      let shift = before - offset
      let first = shift <= 0 ? 0 : (shift + stride - 1) / stride
      let end = input + shift <= 0 ? 0 : (input + shift - 1) / stride + 1
      return min(first, output)..<max(min(first, output), min(end, output))
    }

    /// The taps at an output position that fall inside the image, as image positions.
    @inline(__always)
    func taps(_ position: Int) -> StrideTo<Int> {
      let start = position * stride - before
      let end = min(start + (kernel - 1) * dilation + 1, input)
      let first = start >= 0 ? start : start + (-start + dilation - 1) / dilation * dilation
      return Swift.stride(from: first, to: end, by: dilation)
    }

    /// The number of taps at an output position that fall inside the padded image: a window added
    /// by rounding up may extend even beyond that.
    func paddedTaps(_ position: Int) -> Int {
      let start = position * stride - before
      let end = min(start + (kernel - 1) * dilation + 1, input + after)
      return end > start ? (end - start - 1) / dilation + 1 : 0
    }

    /// Whether every window has at least one tap inside the image.
    var alwaysMeetsImage: Bool {
      // The last tap reaches the image first, so in this order the ranges ascend.
      var covered = 0
      for tap in (0..<kernel).reversed() {
        let valid = validOutputs(offset: tap * dilation)
        if valid.lowerBound <= covered { covered = max(covered, valid.upperBound) }
      }
      return covered >= output
    }
  }

  /// The window placed on one image size.
  package struct Placement: Sendable, Equatable {
    package let depth, height, width: Axis
    /// The number of axes in use: the last ones.
    package let rank: Int

    init(_ axes: [Axis]) {
      let all = [Axis](repeating: .absent, count: 3 - axes.count) + axes
      (depth, height, width) = (all[0], all[1], all[2])
      rank = axes.count
    }

    private var axes: ArraySlice<Axis> { [depth, height, width].suffix(rank) }
    var inputCount: Int { depth.input * height.input * width.input }
    var outputCount: Int { depth.output * height.output * width.output }
    /// Extents of the image and of the output, in tensor order.
    var input: [Int] { axes.map(\.input) }
    var output: [Int] { axes.map(\.output) }
    package var alwaysMeetsImage: Bool { axes.allSatisfy(\.alwaysMeetsImage) }

    /// The positions of a packed output, in order.
    @inline(__always)
    func forEachOutput(_ body: (_ position: Int, _ z: Int, _ y: Int, _ x: Int) -> Void) {
      var position = 0
      for z in 0..<depth.output {
        for y in 0..<height.output {
          for x in 0..<width.output {
            body(position, z, y, x)
            position += 1
          }
        }
      }
    }

    /// The positions in a packed image under the window at an output position, in order.
    @inline(__always)
    func forEachTap(_ z: Int, _ y: Int, _ x: Int, _ body: (_ position: Int) -> Void) {
      let (rows, columns) = (height.taps(y), width.taps(x))
      for plane in depth.taps(z) {
        for row in rows {
          let start = (plane * height.input + row) * width.input
          for column in columns { body(start + column) }
        }
      }
    }
  }

  /// - Throws: `badInput` if the window does not fit into the padded images N×C×….
  package func place(_ shape: Shape) throws -> Placement {
    guard shape.rank == kernel.count + 2,
      shape.dimensions[2...].allSatisfy({ $0 <= Self.extents.upperBound })
    else {
      throw SwiftletError(
        .badInput, "a window over \(kernel.count) axes does not match input \(shape)")
    }
    return Placement(try kernel.indices.map { try axis($0, input: shape[$0 + 2]) })
  }

  /// The result of pooling images N×C×….
  ///
  /// - Throws: `badInput` if the window does not fit into the padded image.
  func pooled(_ x: TensorInfo) throws -> TensorInfo {
    let output = try place(x.shape).output
    return TensorInfo(x.dtype, try Shape(checking: x.shape.dimensions[..<2] + output))
  }

  private func axis(_ index: Int, input: Int) throws -> Axis {
    let (kernel, step, dilation) = (kernel[index], strides[index], dilations[index])
    let reach = (kernel - 1) * dilation + 1
    func axis(output: Int, before: Int, after: Int) -> Axis {
      Axis(
        kernel: kernel, stride: step, dilation: dilation, input: input, output: output,
        before: before, after: after)
    }
    if autoPad == .sameUpper || autoPad == .sameLower {
      let output = (input + step - 1) / step
      let total = max(0, (output - 1) * step + reach - input)
      let before = autoPad == .sameUpper ? total / 2 : total - total / 2
      return axis(output: output, before: before, after: total - before)
    }
    let (before, after) = (pads[index], pads[index + self.kernel.count])
    let span = input + before + after - reach
    guard span >= 0 else {
      throw SwiftletError(
        .badInput, "a window of \(reach) does not fit into \(input) + \(before + after) padding")
    }
    var output = span / step + 1
    // A last window added by rounding up must still start inside the image or its leading padding.
    if roundsUp, span % step != 0, output * step < input + before { output += 1 }
    return axis(output: output, before: before, after: after)
  }
}
