// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels

/// The final steps for the sums of a convolution or matrix product, and the destination of the
/// result.
struct Ending: Sendable {
  /// The term added to each output channel and, for integers, its factor.
  enum Bias: Sendable {
    case float([Float])
    case integer([Int32], scale: [Float])
    /// Sums of the weights of each channel, and their scale. The zero point and the scale of the
    /// inputs are derived in each run from the ranges that ``DynamicRangeInstruction`` writes.
    case dynamic(sums: [Int32], scale: [Float], ranges: Int)
  }

  var bias: Bias
  /// Limits of the result; for bytes, in steps from the zero point.
  var low = -Float.infinity
  var high = Float.infinity
  /// The zero point of the result if it is stored as bytes.
  var zeroPoint: Int32?
  /// A value that is added to fp32 sums; bf16 only if the products are.
  var addend: Int?
  /// Whether the largest of 2×2 neighbours replaces them. All subsequent operations on a sum are
  /// monotonic, so this may come first. Not combined with an addend.
  var isPooled = false
  var output = -1
}

extension Ending {
  /// The size of the results before pooling, as far as they are needed.
  func results(_ values: [Value]) -> Value {
    let result = values[output]
    guard isPooled else { return result }
    return Value(
      kind: result.kind, channels: result.channels, height: 2 * result.height,
      width: 2 * result.width)
  }
}

/// Weights O×(C/groups)×kH×kW.
enum Weights: Sendable {
  case float(Tensor<Float>)
  case integer(Tensor<Int8>)
}

extension Tensor<Int8> {
  /// The sum of the elements at each index of the first axis.
  var rowSums: [Int32] {
    let depth = count / max(1, shape[0])
    let rows = contiguous()
    let span = rows.span
    return (0..<shape[0]).map { row in
      (row * depth..<(row + 1) * depth).reduce(0) { $0 + Int32(span[$1]) }
    }
  }

  /// Whether two products of an element and a byte fit 16 bits.
  var fitsSevenBits: Bool {
    let packed = contiguous()
    let span = packed.span
    return span.indices.allSatisfy { ProductKernel.sevenBitWeights ~= span[$0] }
  }
}

/// Kernel size, strides, dilations and padding of a window over two axes.
package struct Window: Sendable {
  package var height, width, strideY, strideX, dilationY, dilationX, padTop, padLeft: Int

  package init(
    height: Int = 1, width: Int = 1, strideY: Int = 1, strideX: Int = 1, dilationY: Int = 1,
    dilationX: Int = 1, padTop: Int = 0, padLeft: Int = 0
  ) {
    (self.height, self.width, self.strideY, self.strideX) = (height, width, strideY, strideX)
    (self.dilationY, self.dilationX) = (dilationY, dilationX)
    (self.padTop, self.padLeft) = (padTop, padLeft)
  }

  /// The window of a matrix: a pixel of the image, or all of it if it is flattened.
  init(of image: Value, depth: Int) {
    let isFlattened = image.channels != depth
    self.init(
      height: isFlattened ? image.height : 1, width: isFlattened ? image.width : 1)
  }

  /// The halo that an image needs for results of the given size.
  func halo(_ image: Value, for result: Value) -> Value.Halo {
    let bottom = (result.height - 1) * strideY + (height - 1) * dilationY + 1
    let right = (result.width - 1) * strideX + (width - 1) * dilationX + 1
    return Value.Halo(
      top: padTop, left: padLeft, bottom: max(0, bottom - padTop - image.height),
      right: max(0, right - padLeft - image.width))
  }

  /// Bytes from the first tap of the first result to the first pixel.
  func corner(_ image: Value) -> Int {
    padTop * image.steps.row + padLeft * image.steps.pixel
  }
}
