// SPDX-License-Identifier: Apache-2.0

internal import CSwiftletABI
import SwiftletCore

/// A tensor in C's form.
struct TensorForC {
  private let tensor: AnyTensor
  private let extents: Extents
  /// The packed bytes of types whose elements share bytes.
  private let packed: AlignedMemory?

  /// - Parameter tensor: Packed in row-major order.
  init(_ tensor: AnyTensor) {
    self.tensor = tensor
    extents = Extents(tensor.shape.dimensions.map(Int64.init))
    packed = Self.packed(tensor)
  }

  /// The struct, which is valid as long as this is.
  var value: swiftlet_tensor {
    unsafe swiftlet_tensor(
      data: UnsafeRawPointer(packed?.base ?? tensor.unsafeStart), byte_count: tensor.byteCount,
      dtype: tensor.dtype.forC, rank: extents.count, shape: extents.start)
  }

  /// The packed bytes of types whose elements share bytes; `nil` for all others.
  static func packed(_ tensor: AnyTensor) -> AlignedMemory? {
    guard tensor.dtype.bitCount < 8 else { return nil }
    var bytes: [UInt8] = []
    tensor.appendBytes(to: &bytes)
    return AlignedMemory(bytes)
  }
}
