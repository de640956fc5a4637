// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// How the elements of an array are stored in a file.
struct StoredElements {
  /// 16-bit floats, which become fp32: IEEE's, and the upper half of fp32.
  enum Half { case float16, bfloat16 }

  /// The type that they have in tensors.
  let dtype: DType
  /// Their type in the file, if they are 16-bit floats.
  var half: Half?
  /// Whether the most significant byte comes first.
  var isBigEndian = false

  private var stored: DType { half == nil ? dtype : .uint16 }

  /// Bytes of one element.
  var byteCount: Int { stored.byteCount }

  /// Whether they are stored as tensors hold them: any byte is a truth value in files.
  var isPlain: Bool { half == nil && !isBigEndian && dtype != .bool }

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
    return switch half {
    case nil: AnyTensor(dtype, shape, bytes: bytes)
    case .float16:
      .float32(Tensor<UInt16>(shape, bytes: bytes).map { Float(Float16(bitPattern: $0)) })
    case .bfloat16:
      .float32(Tensor<UInt16>(shape, bytes: bytes).map { Float(bitPattern: UInt32($0) << 16) })
    }
  }
}
