// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// How the elements of an array are stored in a file.
struct StoredElements {
  /// The type that they have in tensors.
  let dtype: DType
  /// Whether they are 16-bit floats, which become fp32.
  var isHalf = false
  /// Whether the most significant byte comes first.
  var isBigEndian = false

  private var stored: DType { isHalf ? .uint16 : dtype }

  /// Bytes of one element.
  var byteCount: Int { stored.byteCount }

  /// Whether they are stored as tensors hold them: any byte is a truth value in files.
  var isPlain: Bool { !isHalf && !isBigEndian && dtype != .bool }

  /// - Precondition: The number of bytes matches the elements.
  func tensor(_ shape: Shape, _ bytes: Span<UInt8>) -> AnyTensor {
    if isBigEndian {
      // Indices within an element of 2ᵏ bytes, in reverse order.
      let mask = byteCount - 1
      let swapped = bytes.indices.map { bytes[$0 ^ mask] }
      var own = self
      own.isBigEndian = false
      return own.tensor(shape, swapped.span)
    }
    guard isHalf else { return AnyTensor(dtype, shape, bytes: bytes) }
    return .float32(Tensor<UInt16>(shape, bytes: bytes).map { Float(Float16(bitPattern: $0)) })
  }
}
