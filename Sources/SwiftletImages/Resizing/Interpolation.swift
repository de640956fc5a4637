// SPDX-License-Identifier: Apache-2.0

import Glibc

/// How the pixels of a resized picture follow from those around them.
public enum Interpolation: String, Sendable, CaseIterable {
  /// The nearest pixel.
  case nearest
  /// A triangle: linear between two pixels.
  case bilinear
  /// Keys' cubic convolution with a = −0.5 (IEEE Trans. ASSP 29, 1981).
  case bicubic
  /// The mean of the pixels below a pixel of the result: Pillow's `BOX`, OpenCV's `INTER_AREA`
  /// where sizes are multiples.
  case area
  /// A sinc in the window of another one, three pixels to each side.
  case lanczos

  /// The distance from which on weights are zero, in pixels.
  var support: Double {
    switch self {
    case .nearest, .area: 0.5
    case .bilinear: 1
    case .bicubic: 2
    case .lanczos: 3
    }
  }

  /// The weight of a pixel at a distance, before the weights are divided by their sum.
  func weight(at distance: Double) -> Double {
    let x = abs(distance)
    switch self {
    case .nearest, .area: return distance > -0.5 && distance <= 0.5 ? 1 : 0
    case .bilinear: return x < 1 ? 1 - x : 0
    case .bicubic:
      let a = -0.5
      if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0
    case .lanczos: return distance >= -3 && distance < 3 ? sinc(distance) * sinc(distance / 3) : 0
    }
  }

  private func sinc(_ x: Double) -> Double {
    guard x != 0 else { return 1 }
    return sin(x * .pi) / (x * .pi)
  }
}
