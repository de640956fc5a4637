// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletFiles
import SwiftletGraph
import SwiftletONNXSchema

/// The source of a model's tensor elements: its file, or files next to it.
final class ElementSource {
  private let model: MappedFile
  /// The folder of the model; `nil` for a model that is not from a file.
  private let folder: String?
  /// Opened files next to the model, by the names in the tensors.
  private var files: [String: MappedFile] = [:]
  /// The size of the opened files next to the model, in bytes.
  var externalBytes: Int { files.values.reduce(0) { $0 + $1.count } }

  /// The size of all tensors so far, in bytes: several may share the same bytes of a file.
  private var total = 0

  init(_ model: MappedFile, folder: String?) { (self.model, self.folder) = (model, folder) }

  /// - Throws: `badInput` if elements and shape do not match, or the elements are at a forbidden
  ///   location; `unsupported` for other element types.
  func tensor(_ proto: ONNX_TensorProto) throws -> AnyTensor {
    try locating("tensor '\(proto.name)'") {
      let type = try ElementType(proto)
      let shape = try Shape(checking: proto.dims.map(Int.init))
      try count(shape, of: type.dtype)
      try checkFields(proto)
      if proto.hasRawData {
        // The tensor belongs to a function or is sparse, so its elements are in the message.
        guard proto.rawData.count == type.byteCount(shape.count) else {
          throw SwiftletError(
            .badInput, "\(proto.rawData.count) bytes of data do not match \(type.dtype) \(shape)")
        }
        return type.tensor(shape, Array(proto.rawData).span)
      }
      guard let place = try place(of: proto, type, shape) else { return try listed(proto, shape) }
      guard place.range.count == type.byteCount(shape.count) else {
        throw SwiftletError(
          .badInput, "\(place.range.count) bytes of data do not match \(type.dtype) \(shape)")
      }
      return place.file.withBytes(in: place.range) { type.tensor(shape, $0) }
    }
  }

  /// - Throws: `outOfMemory` if all tensors together exceed ``MemoryLimit`` or the available
  ///   memory.
  func count(_ shape: Shape, of dtype: DType) throws {
    let (bytes, overflow) = shape.count.multipliedReportingOverflow(by: dtype.byteCount)
    guard !overflow, bytes <= MemoryLimit.bytes - total else {
      throw SwiftletError(
        .outOfMemory, "the constants exceed the limit of \(MemoryLimit.bytes) bytes",
        fix: "allow more with --max-memory")
    }
    try MemoryLimit.requireAvailable(Double(bytes), for: "a constant of \(dtype) \(shape)")
    total += bytes
  }

  /// - Throws: `badInput` if the elements are in several fields.
  private func checkFields(_ proto: ONNX_TensorProto) throws {
    let fields = [
      proto.hasElementsField, proto.hasRawData, !proto.floatData.isEmpty, !proto.doubleData.isEmpty,
      !proto.int32Data.isEmpty, !proto.int64Data.isEmpty, !proto.uint64Data.isEmpty,
      !proto.stringData.isEmpty, proto.dataLocation == .external,
    ]
    guard fields.count(where: { $0 }) <= 1 else {
      throw SwiftletError(.badInput, "the elements are in several fields")
    }
  }

  /// The file and the byte range of the elements; `nil` if they are in the message itself.
  private func place(
    of proto: ONNX_TensorProto, _ type: ElementType, _ shape: Shape
  ) throws -> (file: MappedFile, range: Range<Int>)? {
    if proto.dataLocation == .external { return try external(proto) }
    guard proto.hasElementsField else { return nil }
    let isRaw = proto.elementsField == ONNXSkeleton.rawData
    guard isRaw || type.isListed(in: Int(proto.elementsField)) else {
      throw SwiftletError(.badInput, "the elements are not in the field of their type")
    }
    return (model, Int(proto.elementsStart)..<Int(proto.elementsEnd))
  }

  /// Opens the file next to the model that holds a tensor, if any.
  func open(_ proto: ONNX_TensorProto) throws {
    if proto.dataLocation == .external { _ = try external(proto) }
  }

  /// The location in another file that a tensor refers to.
  private func external(
    _ proto: ONNX_TensorProto
  ) throws -> (file: MappedFile, range: Range<Int>) {
    var entries: [String: String] = [:]
    for entry in proto.externalData
    where entries.updateValue(entry.value, forKey: entry.key) != nil {
      throw SwiftletError(.badInput, "\(entry.key) of external data occurs twice")
    }
    guard let location = entries["location"] else {
      throw SwiftletError(.badInput, "the external data of a tensor has no file name")
    }
    func number(_ key: String) throws -> Int? {
      guard let text = entries[key] else { return nil }
      guard text.allSatisfy({ "0"..."9" ~= $0 }), let value = Int(text) else {
        throw SwiftletError(
          .badInput, "\(key) '\(text)' of the data in '\(location)' is not a number of bytes")
      }
      return value
    }
    let file = try file(location)
    let start = try number("offset") ?? 0
    guard start <= file.count else {
      throw SwiftletError(
        .badInput,
        "data starts at offset \(start) of '\(location)', which has only \(file.count) bytes")
    }
    let length = try number("length") ?? file.count - start
    guard length <= file.count - start else {
      throw SwiftletError(
        .badInput,
        "data of \(length) bytes starts at offset \(start) of '\(location)', which has only "
          + "\(file.count) bytes")
    }
    return (file, start..<start + length)
  }

  /// A file next to the model.
  ///
  /// - Throws: `badInput` if the path leaves the model's folder.
  private func file(_ location: String) throws -> MappedFile {
    if let file = files[location] { return file }
    guard let folder else {
      throw SwiftletError(
        .unsupported, "external data in '\(location)' of a model in memory is not supported")
    }
    guard !location.hasPrefix("/"), !location.isEmpty,
      !location.split(separator: "/").contains("..")
    else {
      throw SwiftletError(
        .badInput, "external data in '\(location)', which is outside the model's folder")
    }
    let file = try MappedFile(InputFile.join(folder, location), beneath: folder)
    files[location] = file
    return file
  }

  /// Elements listed in the message, each as a number.
  private func listed(_ proto: ONNX_TensorProto, _ shape: Shape) throws -> AnyTensor {
    func filled<T>(_ elements: [T]) throws -> Tensor<T> {
      guard elements.count == shape.count else {
        throw SwiftletError(.badInput, "\(elements.count) elements do not match shape \(shape)")
      }
      return Tensor(shape, elements)
    }
    let type = try ElementType(proto)
    if let widen = type.widen {
      return .float32(try filled(proto.int32Data.map { widen(UInt16(truncatingIfNeeded: $0)) }))
    }
    switch type.dtype {
    case .float32: return .float32(try filled(proto.floatData))
    case .float64: return .float64(try filled(proto.doubleData))
    case .int64: return .int64(try filled(proto.int64Data))
    case .uint32, .uint64:
      let wide = try filled(proto.uint64Data.map(Int64.init(bitPattern:)))
      return AnyTensor.int64(wide).converted(to: type.dtype)
    case let dtype where dtype.compactType != nil:
      // Each number is one byte of the packed elements.
      let bytes = proto.int32Data.map { UInt8(truncatingIfNeeded: $0) }
      guard bytes.count == type.byteCount(shape.count) else {
        throw SwiftletError(
          .badInput, "\(bytes.count) bytes of data do not match \(dtype) \(shape)")
      }
      return AnyTensor(dtype, shape, bytes: bytes.span)
    default: return AnyTensor.int32(try filled(proto.int32Data)).converted(to: type.dtype)
    }
  }
}

/// The type of elements in a file. 16-bit floats exist only in files, and become fp32.
private struct ElementType {
  let dtype: DType
  /// The conversion of 16-bit floats to fp32; `nil` for other types.
  let widen: (@Sendable (UInt16) -> Float)?

  init(_ proto: ONNX_TensorProto) throws {
    switch ONNX_TensorProto.DataType(rawValue: Int(proto.dataType)) {
    case .float16: (dtype, widen) = (.float32, { Float(Float16(bitPattern: $0)) })
    case .bfloat16: (dtype, widen) = (.float32, { Float(bitPattern: UInt32($0) << 16) })
    default:
      guard let known = DType(onnx: Int(proto.dataType)) else {
        throw SwiftletError(
          .unsupported, "elements of ONNX type \(proto.dataType) are not supported")
      }
      (dtype, widen) = (known, nil)
    }
  }

  /// The size of `count` elements in bytes; `nil` if it overflows.
  func byteCount(_ count: Int) -> Int? {
    (widen == nil ? dtype : .uint16).packedByteCount(count)
  }

  /// Whether a field of floats holds elements of this type in their memory layout.
  func isListed(in field: Int) -> Bool {
    widen == nil && (field == ONNXSkeleton.floatData ? dtype == .float32 : dtype == .float64)
  }

  /// - Precondition: The number of bytes matches the elements.
  func tensor(_ shape: Shape, _ bytes: Span<UInt8>) -> AnyTensor {
    guard let widen else { return AnyTensor(dtype, shape, bytes: bytes) }
    return .float32(Tensor<UInt16>(shape, bytes: bytes).map { widen($0) })
  }
}
