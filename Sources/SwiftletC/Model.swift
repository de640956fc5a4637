// SPDX-License-Identifier: Apache-2.0

internal import CSwiftletABI
import SwiftletCore
import SwiftletFormats
import SwiftletGraph
import SwiftletRuntime

/// The object of a session's handle: a model with its inputs and outputs in C's form.
final class Model: Sendable {
  let session: Session
  let inputs: [ValueInfo]
  let inputDescriptions, outputDescriptions: [ValueDescription]

  init(_ graph: Graph, _ options: UnsafePointer<swiftlet_session_options>?) throws {
    let options = unsafe try Options.read(options, "options") ?? swiftlet_session_options()
    session = try Session(
      graph, threads: Arguments.threads(options.threads), precision: Precision(options.precision))
    inputs = session.inputs
    inputDescriptions = inputs.map { ValueDescription($0, hasType: true) }
    outputDescriptions = graph.outputs.map { ValueDescription($0, hasType: $0.isTyped) }
  }
}

/// The name, type and extents of a value in memory that C may read.
///
/// `@unchecked Sendable`: nothing is written after `init`.
@safe
final class ValueDescription: @unchecked Sendable {
  private let name: UnsafeMutablePointer<CChar>
  private let dtype: swiftlet_dtype
  private let dimensions: Extents

  init(_ info: ValueInfo, hasType: Bool) {
    unsafe name = copyForC(info.name)
    dtype = hasType ? info.dtype.forC : SWIFTLET_UNKNOWN
    dimensions = Extents(
      info.dimensions.map { if case .fixed(let extent) = $0 { Int64(extent) } else { -1 } })
  }

  deinit { unsafe swiftlet_string_free(name) }

  var info: swiftlet_value_info {
    unsafe swiftlet_value_info(
      name: name, dtype: dtype, rank: dimensions.count, dimensions: dimensions.start)
  }
}

/// Extents in memory that C may read.
///
/// `@unchecked Sendable`: nothing is written after `init`.
@safe
final class Extents: @unchecked Sendable {
  private let memory: UnsafeMutableBufferPointer<Int64>

  init(_ extents: [Int64]) {
    unsafe memory = .allocate(capacity: extents.count)
    _ = unsafe memory.initialize(from: extents)
  }

  deinit { unsafe memory.deallocate() }

  var count: Int { unsafe memory.count }
  /// `nil` if there are none.
  var start: UnsafePointer<Int64>? { unsafe count == 0 ? nil : UnsafePointer(memory.baseAddress) }
}

extension Precision {
  /// - Throws: A ``Refusal`` if the number is not a precision.
  init(_ precision: swiftlet_precision) throws {
    switch precision {
    case SWIFTLET_FP32: self = .fp32
    case SWIFTLET_BF16: self = .bf16
    default: throw Refusal.usage("\(precision.rawValue) is not a swiftlet_precision")
    }
  }
}

extension DType {
  var forC: swiftlet_dtype { swiftlet_dtype(UInt32(onnx)) }

  /// - Throws: A ``Refusal`` if the number is not a type.
  init(_ dtype: swiftlet_dtype) throws {
    let number = Int(dtype.rawValue)
    guard let known = DType.allCases.first(where: { $0.onnx == number }) else {
      throw Refusal.usage("\(number) is not a swiftlet_dtype")
    }
    self = known
  }
}
