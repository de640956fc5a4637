// SPDX-License-Identifier: Apache-2.0

package import SwiftletCore

/// Element types by their numbers in ONNX's `TensorProto.DataType`.
extension DType {
  /// The numbers of the types that `Cast` identified by name up to operator set 5.
  static let onnxNumbers = [
    "FLOAT": 1, "UINT8": 2, "INT8": 3, "UINT16": 4, "INT16": 5, "INT32": 6, "INT64": 7, "BOOL": 9,
    "FLOAT16": 10, "DOUBLE": 11, "UINT32": 12, "UINT64": 13,
  ]

  /// The type that stores elements of the numbered type: 16-bit floats become fp32.
  package init?(onnx number: Int) {
    switch number {
    case 10, 16: self = .float32
    default:
      guard let dtype = Self.allCases.first(where: { $0.onnx == number }) else { return nil }
      self = dtype
    }
  }

  package var onnx: Int {
    switch self {
    case .float32: 1
    case .uint8: 2
    case .int8: 3
    case .uint16: 4
    case .int16: 5
    case .int32: 6
    case .int64: 7
    case .bool: 9
    case .float64: 11
    case .uint32: 12
    case .uint64: 13
    case .float8e4m3fn: 17
    case .float8e4m3fnuz: 18
    case .float8e5m2: 19
    case .float8e5m2fnuz: 20
    case .uint4: 21
    case .int4: 22
    case .float4e2m1: 23
    case .uint2: 25
    case .int2: 26
    }
  }
}
