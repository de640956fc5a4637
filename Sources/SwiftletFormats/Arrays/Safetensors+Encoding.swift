// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore

extension Safetensors {
  /// The bytes of a file with these tensors.
  ///
  /// Equal contents give equal bytes: wide elements come first, so that all are aligned, and
  /// elements of equal width in the order of their names, whatever the order of ``tensors``. The
  /// header is padded with spaces to a multiple of eight bytes.
  ///
  /// - Throws: `badInput` if a tensor is called `__metadata__` or the header exceeds its limit of
  ///   100,000,000 bytes.
  public func encoded() throws -> [UInt8] {
    guard tensors[Self.metadataKey] == nil else {
      throw SwiftletError(.badInput, "a safetensors tensor cannot be named \(Self.metadataKey)")
    }
    let ordered = tensors.elements.sorted {
      let (a, b) = ($0.value.dtype.byteCount, $1.value.dtype.byteCount)
      return a != b ? a > b : $0.key < $1.key
    }
    let header = try Self.header(of: ordered, metadata)
    guard header.count <= Self.headerLimit else {
      throw SwiftletError(
        .badInput,
        "the header of \(header.count) bytes exceeds safetensors' limit of \(Self.headerLimit)")
    }

    var bytes: [UInt8] = []
    bytes.reserveCapacity(8 + header.count + ordered.reduce(0) { $0 + $1.value.byteCount })
    for shift in stride(from: 0, to: 64, by: 8) {
      bytes.append(UInt8(truncatingIfNeeded: header.count >> shift))
    }
    bytes += header
    for (_, tensor) in ordered { tensor.appendBytes(to: &bytes) }
    return bytes
  }

  private static func header(
    of ordered: [(key: String, value: AnyTensor)], _ metadata: [String: String]
  ) throws -> [UInt8] {
    var members: [String] = []
    if !metadata.isEmpty {
      let pairs = metadata.sorted { $0.key < $1.key }.map {
        "\(quoted($0.key)):\(quoted($0.value))"
      }
      members.append("\(quoted(metadataKey)):{\(pairs.joined(separator: ","))}")
    }
    var offset = 0
    for (name, tensor) in ordered {
      guard let dtype = tensor.dtype.safetensorsName else {
        throw SwiftletError(
          .unsupported, "safetensors does not support elements of type \(tensor.dtype)", at: name)
      }
      let end = offset + tensor.byteCount
      let shape = tensor.shape.dimensions.map(String.init).joined(separator: ",")
      members.append(
        """
        \(quoted(name)):{"dtype":"\(dtype)","shape":[\(shape)],\
        "data_offsets":[\(offset),\(end)]}
        """)
      offset = end
    }
    var header = Array("{\(members.joined(separator: ","))}".utf8)
    header += repeatElement(UInt8(ascii: " "), count: header.count.roundedUp(to: 8) - header.count)
    return header
  }

  /// `text` as a JSON string.
  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\":
        result.unicodeScalars.append("\\")
        result.unicodeScalars.append(scalar)
      case ..<" ":
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
