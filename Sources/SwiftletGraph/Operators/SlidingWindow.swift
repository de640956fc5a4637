import SwiftletCore

/// The geometry that convolution and pooling share: a window that steps over padded rows and
/// columns.
///
/// Two spatial axes, in the order height, width.
struct SlidingWindow: Sendable, Equatable {
  enum AutoPad: String {
    case explicit = "NOTSET"
    case valid = "VALID"
    case sameUpper = "SAME_UPPER"
    case sameLower = "SAME_LOWER"
  }

  let kernel: [Int]
  let strides: [Int]
  let dilations: [Int]
  /// Padding before height, before width, after height, after width.
  let pads: [Int]
  let autoPad: AutoPad
  let roundsUp: Bool

  /// - Parameter kernel: Extents of the window; `nil` reads the attribute `kernel_shape`.
  init(_ node: Node, kernel: [Int]? = nil) throws {
    guard let kernel = try kernel ?? node.ints("kernel_shape") else {
      throw SwiftletError(.badInput, "\(node.opType) lacks the attribute kernel_shape")
    }
    guard kernel.count == 2 else {
      throw SwiftletError(
        .unsupported, "\(node.opType) over \(kernel.count) spatial axes; only 2 are supported")
    }
    guard let autoPad = AutoPad(rawValue: try node.string("auto_pad", default: "NOTSET")) else {
      throw SwiftletError(.badInput, "unknown auto_pad of \(node.opType)")
    }
    self.kernel = kernel
    self.autoPad = autoPad
    strides = try node.ints("strides") ?? [1, 1]
    dilations = try node.ints("dilations") ?? [1, 1]
    pads = autoPad == .explicit ? try node.ints("pads") ?? [0, 0, 0, 0] : [0, 0, 0, 0]
    roundsUp = try node.int("ceil_mode", default: 0) != 0
    let limit = 1 << 20
    guard strides.count == 2, dilations.count == 2, pads.count == 4,
      (kernel + strides + dilations).allSatisfy({ 1...limit ~= $0 }),
      pads.allSatisfy({ 0...limit ~= $0 })
    else {
      throw SwiftletError(
        .badInput,
        "\(node.opType) has kernel_shape \(kernel), strides \(strides), dilations \(dilations), "
          + "pads \(pads)")
    }
  }

  /// The window placed on one image size.
  struct Placement: Sendable, Equatable {
    let inputHeight, inputWidth: Int
    let outputHeight, outputWidth: Int
    let padTop, padLeft: Int
    let padBottom, padRight: Int

    var inputArea: Int { inputHeight * inputWidth }
    var outputArea: Int { outputHeight * outputWidth }
  }

  /// - Throws: `badInput` if the window does not fit into the padded image.
  func place(height: Int, width: Int) throws -> Placement {
    let (top, bottom, outputHeight) = try extent(of: height, axis: 0)
    let (left, right, outputWidth) = try extent(of: width, axis: 1)
    return Placement(
      inputHeight: height, inputWidth: width, outputHeight: outputHeight, outputWidth: outputWidth,
      padTop: top, padLeft: left, padBottom: bottom, padRight: right)
  }

  /// What pooling makes of images N×C×H×W.
  ///
  /// - Throws: `badInput` if the window does not fit into the padded image.
  func pooled(_ x: TensorInfo) throws -> TensorInfo {
    let place = try place(height: x.shape[2], width: x.shape[3])
    return try TensorInfo(
      x.dtype,
      Shape(checking: [x.shape[0], x.shape[1], place.outputHeight, place.outputWidth]))
  }

  /// Whether every window has at least one tap inside the image.
  func alwaysMeetsImage(_ place: Placement) -> Bool {
    let axes = [
      (place.padTop, place.inputHeight, place.outputHeight),
      (place.padLeft, place.inputWidth, place.outputWidth),
    ]
    return axes.enumerated().allSatisfy { axis, extents in
      let (pad, input, output) = extents
      // The last tap reaches the image first, so that in this order the ranges ascend.
      var covered = 0
      for tap in (0..<kernel[axis]).reversed() {
        let valid = Self.validOutputs(
          offset: tap * dilations[axis], stride: strides[axis], pad: pad, input: input,
          output: output)
        if valid.lowerBound <= covered { covered = max(covered, valid.upperBound) }
      }
      return covered >= output
    }
  }

  private func extent(of input: Int, axis: Int) throws -> (before: Int, after: Int, output: Int) {
    let reach = (kernel[axis] - 1) * dilations[axis] + 1
    let step = strides[axis]
    if autoPad == .sameUpper || autoPad == .sameLower {
      let output = (input + step - 1) / step
      let total = max(0, (output - 1) * step + reach - input)
      let small = total / 2
      let before = autoPad == .sameUpper ? small : total - small
      return (before, total - before, output)
    }
    let (before, after) = (pads[axis], pads[axis + 2])
    let span = input + before + after - reach
    guard span >= 0 else {
      throw SwiftletError(
        .badInput, "a window of \(reach) does not fit into \(input) + \(before + after) padding")
    }
    var output = span / step + 1
    // A rounded-up last window must still start inside the image or its leading padding.
    if roundsUp, span % step != 0, output * step < input + before { output += 1 }
    return (before, after, output)
  }

  /// The output positions whose tap at `offset` falls inside the image, along one axis.
  static func validOutputs(
    offset: Int, stride: Int, pad: Int, input: Int, output: Int
  ) -> Range<Int> {
    // position·stride − pad + offset must lie in 0 ..< input.
    let shift = pad - offset
    let first = shift <= 0 ? 0 : (shift + stride - 1) / stride
    let end = input + shift <= 0 ? 0 : (input + shift - 1) / stride + 1
    return min(first, output)..<max(min(first, output), min(end, output))
  }
}
