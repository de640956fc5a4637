// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore

// Decompositions work on a tensor divided by a power of two near its largest magnitude: squares
// then neither overflow nor underflow, and the division is exact for all significant elements.

extension Tensor where Element: BLASElement {
  /// The power of two at or below the largest magnitude; 1 for a zero tensor.
  ///
  /// - Throws: `badInput` for a tensor without elements, or with NaN or infinite ones.
  @specialized(where Element == Float)
  @specialized(where Element == Double)
  func scale() throws -> Element {
    guard count > 0 else {
      throw SwiftletError(.badInput, "a tensor of shape \(shape) has nothing to decompose")
    }
    guard isFinite else {
      throw SwiftletError(.badInput, "the \(shape) tensor has NaN or infinite elements")
    }
    let packed = contiguous()
    let span = packed.span
    var largest: Element = 0
    for i in span.indices { largest = max(largest, abs(span[i])) }
    return largest > 0 ? Element(sign: .plus, exponent: largest.exponent, significand: 1) : 1
  }

  @specialized(where Element == Float)
  @specialized(where Element == Double)
  func divided(by scale: Element) -> Tensor { map { $0 / scale } }

  /// This tensor times a scale that was divided out of the input.
  ///
  /// - Throws: `numerical` if the result overflows: a norm can overflow although no element does.
  @specialized(where Element == Float)
  @specialized(where Element == Double)
  func multiplied(by scale: Element) throws -> Tensor {
    let result = map { $0 * scale }
    guard result.isFinite else {
      throw SwiftletError(
        .numerical, "the norm of the tensor is beyond the largest \(Element.dtype)",
        mend: "scale the tensor down")
    }
    return result
  }

  /// Σ x², in double precision.
  @specialized(where Element == Float)
  @specialized(where Element == Double)
  func energy() -> Double {
    let packed = contiguous()
    let span = packed.span
    var sum = 0.0
    for i in span.indices { sum += Double(span[i]) * Double(span[i]) }
    return sum
  }

  /// Σ (x − y)², in double precision.
  @specialized(where Element == Float)
  @specialized(where Element == Double)
  func energy(without other: Tensor) -> Double {
    let (a, b) = (contiguous(), other.contiguous())
    let (x, y) = (a.span, b.span)
    var sum = 0.0
    for i in x.indices {
      let difference = Double(x[i]) - Double(y[i])
      sum += difference * difference
    }
    return sum
  }

  /// The elements in double precision.
  @specialized(where Element == Float)
  @specialized(where Element == Double)
  func widened() -> Tensor<Double> { converted() }

  /// The elements of a double-precision tensor, rounded.
  @specialized(where Element == Float)
  @specialized(where Element == Double)
  static func rounded(_ tensor: Tensor<Double>) -> Tensor { tensor.converted() }
}
