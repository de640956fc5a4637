import SwiftletCore
import SwiftletKernels

/// What becomes of the sums of a convolution or matrix product, and where it goes.
struct Ending: Sendable {
  /// What is added to each output channel, and for integers what it is multiplied by.
  enum Bias: Sendable {
    case float([Float])
    case integer([Int32], scale: [Float])
    /// Sums of the weights of each channel, and their scale. Zero point and scale of the inputs follow
    /// in each run from the ranges that ``DynamicRangeLayer`` writes.
    case dynamic(sums: [Int32], scale: [Float], ranges: Int)
  }

  var bias: Bias
  /// Limits of the result; of bytes in steps from the zero point.
  var low = -Float.infinity
  var high = Float.infinity
  /// Of the result, if it is to be bytes.
  var zeroPoint: Int32?
  /// A value that is added to fp32 sums; bf16 only if the products are.
  var addend: Int?
  /// Whether the largest of 2×2 neighbours takes their place. All that follows a sum keeps its order,
  /// so that this may come first. Not along with an addend.
  var isPooled = false
  var output = -1
}

extension Ending {
  /// The size of the results before they are pooled, as far as they are needed.
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
  var isNarrow: Bool {
    let packed = contiguous()
    let span = packed.span
    return span.indices.allSatisfy { ProductKernel.narrowWeights ~= span[$0] }
  }
}

/// Kernel size, strides, dilations and padding of a window over two axes.
struct Window: Sendable {
  var height = 1, width = 1
  var strideY = 1, strideX = 1
  var dilationY = 1, dilationX = 1
  var padTop = 0, padLeft = 0

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
