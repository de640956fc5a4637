// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// The 8-bit type that activations are quantized to.
public enum ActivationType: String, Sendable, Codable, CaseIterable {
  /// Unsigned, 0…255, asymmetric: the zero point is chosen from the range.
  case u8
  /// Signed, −127…127, symmetric: the zero point is 0.
  case s8
}

/// An affine mapping from 8-bit codes to fp32: value = (code − zeroPoint) · scale.
struct ActivationGrid: Sendable, Equatable {
  let scale: Float
  let zeroPoint: Int
  let type: ActivationType

  /// The grid that covers a range and represents 0 exactly.
  ///
  /// - Parameter isPowerOfTwo: Whether to round the scale up to a power of two.
  init(_ range: ValueRange, _ type: ActivationType, isPowerOfTwo: Bool = false) {
    func fitting(_ scale: Float) -> Float { isPowerOfTwo ? scale.nextPowerOfTwo : scale }
    self.type = type
    // Any scale fits a range of zeros, but dividing by a subnormal one would overflow.
    switch type {
    case .u8:
      scale = fitting(max((range.upper - range.lower) / 255, Float.leastNormalMagnitude))
      zeroPoint = Int(min(max((-range.lower / scale).rounded(.toNearestOrEven), 0), 255))
    case .s8:
      scale = fitting(max(max(-range.lower, range.upper) / 127, Float.leastNormalMagnitude))
      zeroPoint = 0
    }
  }

  private init(scale: Float, zeroPoint: Int, type: ActivationType) {
    (self.scale, self.zeroPoint, self.type) = (scale, zeroPoint, type)
  }

  /// The same type and zero point with another scale.
  func with(scale: Float) -> ActivationGrid {
    ActivationGrid(scale: scale, zeroPoint: zeroPoint, type: type)
  }

  /// The lowest and highest representable values, in multiples of the scale.
  var lowest: Float { type == .u8 ? Float(-zeroPoint) : -128 }
  var highest: Float { type == .u8 ? Float(255 - zeroPoint) : 127 }

  /// The zero point as a scalar tensor of the activation type.
  var zero: AnyTensor {
    switch type {
    case .u8: .uint8(Tensor(.scalar, [UInt8(zeroPoint)]))
    case .s8: .int8(Tensor(.scalar, [Int8(zeroPoint)]))
    }
  }
}

extension Float {
  /// The smallest power of two that is greater than or equal to this number.
  ///
  /// - Precondition: The number is positive and normal.
  var nextPowerOfTwo: Float {
    significand == 1 ? self : Float(sign: .plus, exponent: exponent + 1, significand: 1)
  }
}
