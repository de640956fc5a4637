// SPDX-License-Identifier: Apache-2.0

import Glibc
import SwiftletCore
package import SwiftletKernels

/// How a layer with constant weights is computed.
package enum Algorithm: Sendable, Hashable {
  /// Windows of the image, read in place, times packed weights.
  case product(ProductKernel.Operands)
  /// F(m×m, 3×3), Winograd's minimal filtering in fp32; m is 2 or 4.
  case winograd(m: Int)
  /// A separate window for each channel.
  case depthwise(ProductKernel.Operands)
  /// Rows times 4-bit weights, which are decoded on the fly.
  case groupwise(GroupwiseKernel.Operands)
}

/// The choice of an ``Algorithm`` from the facts about a convolution or matrix product.
///
/// Lowering asks once for each layer and each set of shapes, and creates the instruction of that
/// algorithm; halos, chains, packing and profiles follow from the instruction. Neither the batch
/// nor the number of threads nor the instruction set is among the facts, and the costs are fitted
/// to measurements rather than measured at run time: a model gives the same bits in every run, and
/// an image the same bits in every batch.
package struct Selection: Sendable {
  package var window: Window
  package var groups: Int
  /// Channels of the image and of the result.
  package var inputs, outputs: Int
  package var allowsWinograd: Bool

  /// `false` if `SWIFTLET_WINOGRAD=0`.
  package static let isWinogradEnabled =
    unsafe getenv("SWIFTLET_WINOGRAD").map { unsafe String(cString: $0) } != "0"

  package init(
    _ window: Window, groups: Int = 1, inputs: Int, outputs: Int,
    allowsWinograd: Bool = Self.isWinogradEnabled
  ) {
    (self.window, self.groups, self.inputs, self.outputs) = (window, groups, inputs, outputs)
    self.allowsWinograd = allowsWinograd
  }

  package var isDepthwise: Bool { groups > 1 && groups == inputs && groups == outputs }

  /// The algorithm for weights in fp32 or int8, once it is known which numbers are multiplied.
  ///
  /// - Parameters:
  ///   - height: Rows of the results that are needed: twice the pooled ones if 2×2 pooling follows.
  ///   - width: Columns of these results.
  package func algorithm(
    _ operands: ProductKernel.Operands, height: Int, width: Int
  ) -> Algorithm {
    if isDepthwise { return .depthwise(operands) }
    guard operands == .float, fitsWinograd else { return .product(operands) }
    let direct = cost(m: 0, height, width)
    let (small, large) = (cost(m: 2, height, width), cost(m: 4, height, width))
    guard min(small, large) < direct else { return .product(.float) }
    return .winograd(m: large < small ? 4 : 2)
  }

  /// What 4-bit weights are multiplied by if ``Algorithm/groupwise(_:)`` computes the layer.
  ///
  /// - Parameters:
  ///   - window: As large as the image if the weights follow a flattened one.
  ///   - group: The number of terms that share a scale.
  ///   - readsBytes: Whether the input is available as 8-bit codes.
  /// - Returns: `nil` if the weights are decoded in advance and multiplied in fp32.
  package static func groupwise(
    _ window: Window, group: Int, readsBytes: Bool
  ) -> GroupwiseKernel.Operands? {
    // Groups follow the elements of a flattened image, which have a different order here.
    guard window.height * window.width == 1 else { return nil }
    return readsBytes && group <= GroupwiseKernel.mostBytes ? .bytes : .float
  }

  /// Whether fp32 weights and values are multiplied in bf16 where rounding is permitted. They are
  /// not if fp32 is expected to be faster, or if groups would share words.
  ///
  /// - Parameters:
  ///   - height: Rows of the results before any pooling.
  ///   - width: Columns of these results.
  package func prefersBFloat(height: Int, width: Int) -> Bool {
    guard groups == 1 || (inputs / groups % 2 == 0 && outputs / groups % 2 == 0) else {
      return false
    }
    guard fitsWinograd else { return true }
    // Products of bf16 are twice as fast.
    let direct = cost(m: 0, height, width) / 2
    return min(cost(m: 2, height, width), cost(m: 4, height, width)) >= direct
  }

  /// The kernel for a product: weights of seven bits have a faster one on some processors.
  static func kernel(_ operands: ProductKernel.Operands, _ weights: Weights) -> ProductKernel {
    switch weights {
    case .float: operands == .bfloat ? .bfloat : .float
    case .integer(let tensor): tensor.fitsSevenBits ? .sevenBitInteger : .integer
    }
  }

  // MARK: Winograd

  private var fitsWinograd: Bool {
    allowsWinograd && groups == 1 && (window.height, window.width) == (3, 3)
      && (window.strideY, window.strideX) == (1, 1)
      && (window.dilationY, window.dilationX) == (1, 1)
  }

  /// The expected cost for one image, in units of one multiply–add of the kernels: of direct
  /// convolution for m = 0, or of tiles of m×m results.
  ///
  /// Large sets of weights are read from memory, and they grow with the tile size; this, and the
  /// work on coefficients, is weighed against the saved products.
  private func cost(m: Int, _ height: Int, _ width: Int) -> Double {
    let (inputs, outputs) = (Double(inputs), Double(outputs))
    let rows: Double
    let taps: Double
    let depth: Double
    var work = 0.0
    if m == 0 {
      (rows, taps, depth) = (Double(height * width), 9, 9 * inputs)
    } else {
      let tiles = ((width + m - 1) / m) * ((height + m - 1) / m)
      (rows, taps, depth) = (Double(tiles), Double((m + 2) * (m + 2)), inputs)
      // Whole vectors of channels.
      let own = Double(self.inputs.roundedUp(to: 16))
      let others = Double(self.outputs.roundedUp(to: 16))
      work = rows * (m == 2 ? 60 * own + 45 * others : 250 * own + 175 * others)
    }
    // Fewer than four rows do not saturate the multipliers.
    let products = max(rows, 4) * taps * inputs * outputs * (1 + 8 / depth)
    let bytes = 4 * taps * inputs * outputs
    let distance = bytes < 768e3 ? 0.1 : bytes < 16e6 ? 0.5 : 1.7
    return products + work + bytes * distance
  }
}

extension Algorithm {
  /// The halo that an image needs for results of the given size.
  func halo(_ window: Window, _ image: Value, for results: Value) -> Value.Halo {
    if case .winograd(let m) = self {
      WinogradInstruction.halo(window, image, for: results, m: m)
    } else {
      window.halo(image, for: results)
    }
  }
}
