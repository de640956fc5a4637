// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// What activations become.
public enum ActivationType: String, Sendable, Codable, CaseIterable {
  /// 0…255, with a zero point.
  case u8
  /// −127…127, symmetric: the zero point is 0.
  case s8
}

/// The fp32 values that 8-bit activations stand for: (code − zeroPoint) · scale.
struct ActivationGrid: Sendable, Equatable {
  let scale: Float
  let zeroPoint: Int
  let type: ActivationType

  /// The grid that covers a range, 0 exactly.
  ///
  /// - Parameter isPowerOfTwo: Whether the scale is the next larger power of two.
  init(_ range: ValueRange, _ type: ActivationType, isPowerOfTwo: Bool = false) {
    func fitting(_ scale: Float) -> Float { isPowerOfTwo ? scale.nextPowerOfTwo : scale }
    self.type = type
    // A range of zeros takes any scale; a subnormal one would overflow divisions.
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

  /// The same codes with another scale.
  func with(scale: Float) -> ActivationGrid {
    ActivationGrid(scale: scale, zeroPoint: zeroPoint, type: type)
  }

  /// The ends of the grid in steps from 0.
  var lowest: Float { type == .u8 ? Float(-zeroPoint) : -128 }
  var highest: Float { type == .u8 ? Float(255 - zeroPoint) : 127 }

  /// The zero point as the model stores it.
  var zero: AnyTensor {
    switch type {
    case .u8: .uint8(Tensor(.scalar, [UInt8(zeroPoint)]))
    case .s8: .int8(Tensor(.scalar, [Int8(zeroPoint)]))
    }
  }
}

extension Float {
  /// The least power of two that is not smaller.
  ///
  /// - Precondition: Positive and normal.
  var nextPowerOfTwo: Float {
    significand == 1 ? self : Float(sign: .plus, exponent: exponent + 1, significand: 1)
  }
}
