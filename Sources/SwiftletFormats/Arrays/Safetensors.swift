// SPDX-License-Identifier: Apache-2.0

public import OrderedCollections
public import SwiftletCore
import SwiftletFiles

/// Named tensors in a safetensors file: a length, a JSON header, then the elements.
///
/// Source: https://github.com/huggingface/safetensors, section "Format". This reader follows the
/// specification strictly: the header starts with `{`, keys are unique, and the byte ranges of the
/// tensors cover the data from the first byte to the last without holes or overlaps, so that
/// nothing else can be hidden in the file. NaN and infinities are ordinary values. 16-bit floats
/// become fp32.
public struct Safetensors: Sendable {
  /// The tensors; from a file, in the order of their data.
  public var tensors: OrderedDictionary<String, AnyTensor>
  /// Free text about the file, under `__metadata__`.
  public var metadata: [String: String]

  static let headerLimit = 100_000_000
  static let rankLimit = 64
  static let metadataKey = "__metadata__"

  /// A file with these arrays, in this order, and metadata.
  public init(tensors: OrderedDictionary<String, AnyTensor>, metadata: [String: String] = [:]) {
    self.tensors = tensors
    self.metadata = metadata
  }

  /// Reads a file.
  ///
  /// - Throws: `io` if the file cannot be read, otherwise as ``init(decoding:file:)``.
  public init(reading path: String) throws {
    try self.init(decoding: try InputFile.read(path), file: path)
  }

  /// Replaces the file at `path`, or leaves it unchanged.
  ///
  /// - Throws: `io` if the file cannot be written, otherwise as ``encoded()``.
  public func write(to path: String) throws {
    try AtomicFile.write(try encoded(), to: path)
  }
}

/// Element types by their names in the header.
extension DType {
  /// `nil` for types that the format lacks.
  var safetensorsName: String? {
    switch self {
    case .float32: "F32"
    case .float64: "F64"
    case .int8: "I8"
    case .uint8: "U8"
    case .int16: "I16"
    case .uint16: "U16"
    case .int32: "I32"
    case .uint32: "U32"
    case .int64: "I64"
    case .uint64: "U64"
    case .bool: "BOOL"
    case .float8e4m3fn: "F8_E4M3"
    case .float8e5m2: "F8_E5M2"
    default: nil
    }
  }
}

extension StoredElements {
  /// - Returns: `nil` for types that tensors do not support.
  init?(safetensorsName name: String) {
    switch name {
    case "F16": self.init(dtype: .float32, half: .float16)
    case "BF16": self.init(dtype: .float32, half: .bfloat16)
    default:
      guard let dtype = DType.allCases.first(where: { $0.safetensorsName == name }) else {
        return nil
      }
      self.init(dtype: dtype)
    }
  }
}
