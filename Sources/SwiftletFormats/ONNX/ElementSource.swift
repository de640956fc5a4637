import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletONNXSchema

/// Where the elements of a model's tensors are: in its file, or in files beside it.
final class ElementSource {
  private let model: MappedFile
  /// The folder of the model; `nil` for a model that comes from no file.
  private let folder: String?
  /// Files beside the model that were opened, by the names that tensors give.
  private var files: [String: MappedFile] = [:]
  /// Bytes of the files beside the model that have been opened.
  var externalBytes: Int { files.values.reduce(0) { $0 + $1.count } }

  /// Bytes of all tensors so far: several may have the same bytes of a file.
  private var total = 0

  init(_ model: MappedFile, folder: String?) { (self.model, self.folder) = (model, folder) }

  /// - Throws: `badInput` if elements and shape do not fit each other, or the elements are outside
  ///   of where they may be; `unsupported` for other element types.
  func tensor(_ proto: ONNX_TensorProto) throws -> AnyTensor {
    try locating("tensor '\(proto.name)'") {
      let type = try ElementType(proto)
      let shape = try Shape(checking: proto.dims.map(Int.init))
      try count(shape, of: type.dtype)
      try checkFields(proto)
      if proto.hasRawData {
        // Of a function or a sparse tensor, whose elements stay in the message.
        guard proto.rawData.count == type.byteCount(shape.count) else {
          throw SwiftletError(
            .badInput, "\(proto.rawData.count) bytes of data for \(type.dtype) \(shape)")
        }
        return type.tensor(shape, Array(proto.rawData).span)
      }
      guard let place = try place(of: proto, type, shape) else { return try listed(proto, shape) }
      guard place.range.count == type.byteCount(shape.count) else {
        throw SwiftletError(
          .badInput, "\(place.range.count) bytes of data for \(type.dtype) \(shape)")
      }
      return place.file.withBytes(in: place.range) { type.tensor(shape, $0) }
    }
  }

  /// - Throws: `outOfMemory` if all tensors together exceed ``MemoryLimit``, or what the machine has.
  func count(_ shape: Shape, of dtype: DType) throws {
    let (bytes, overflow) = shape.count.multipliedReportingOverflow(by: dtype.byteCount)
    guard !overflow, bytes <= MemoryLimit.bytes - total else {
      throw SwiftletError(
        .outOfMemory, "the constants take more than the limit of \(MemoryLimit.bytes) bytes",
        mend: "allow more with --max-memory")
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

  /// The file and the range of bytes that hold the elements; `nil` if the message itself has them.
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

  /// Opens the file beside the model that holds a tensor, if there is one.
  func open(_ proto: ONNX_TensorProto) throws {
    if proto.dataLocation == .external { _ = try external(proto) }
  }

  /// The place in another file that a tensor names.
  private func external(
    _ proto: ONNX_TensorProto
  ) throws -> (file: MappedFile, range: Range<Int>) {
    var entries: [String: String] = [:]
    for entry in proto.externalData
    where entries.updateValue(entry.value, forKey: entry.key) != nil {
      throw SwiftletError(.badInput, "\(entry.key) of external data comes twice")
    }
    guard let location = entries["location"] else {
      throw SwiftletError(.badInput, "data in another file, which is not named")
    }
    func number(_ key: String) throws -> Int? {
      guard let text = entries[key] else { return nil }
      guard text.allSatisfy({ "0"..."9" ~= $0 }), let value = Int(text) else {
        throw SwiftletError(.badInput, "\(key) '\(text)' of data in '\(location)'")
      }
      return value
    }
    let file = try file(location)
    let start = try number("offset") ?? 0
    guard start <= file.count else {
      throw SwiftletError(
        .badInput, "data at offset \(start) of '\(location)', which has \(file.count) bytes")
    }
    let length = try number("length") ?? file.count - start
    guard length <= file.count - start else {
      throw SwiftletError(
        .badInput,
        "\(length) bytes at offset \(start) of '\(location)', which has \(file.count) bytes")
    }
    return (file, start..<start + length)
  }

  /// A file beside the model.
  ///
  /// - Throws: `badInput` if the name leads out of the model's folder.
  private func file(_ location: String) throws -> MappedFile {
    if let file = files[location] { return file }
    guard let folder else {
      throw SwiftletError(.unsupported, "data in the file '\(location)' beside a model in memory")
    }
    guard !location.hasPrefix("/"), !location.isEmpty,
      !location.split(separator: "/").contains("..")
    else {
      throw SwiftletError(
        .badInput, "data in '\(location)', which is outside of the model's folder")
    }
    let file = try MappedFile(InputFile.join(folder, location), beneath: folder)
    files[location] = file
    return file
  }

  /// Elements that are listed in the message, each as a number.
  private func listed(_ proto: ONNX_TensorProto, _ shape: Shape) throws -> AnyTensor {
    func filled<T>(_ elements: [T]) throws -> Tensor<T> {
      guard elements.count == shape.count else {
        throw SwiftletError(.badInput, "\(elements.count) elements for shape \(shape)")
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
    case let dtype where dtype.narrowType != nil:
      // Each number is a byte of the packed elements.
      let bytes = proto.int32Data.map { UInt8(truncatingIfNeeded: $0) }
      guard bytes.count == type.byteCount(shape.count) else {
        throw SwiftletError(.badInput, "\(bytes.count) bytes of data for \(dtype) \(shape)")
      }
      return AnyTensor(dtype, shape, bytes: bytes.span)
    default: return AnyTensor.int32(try filled(proto.int32Data)).converted(to: type.dtype)
    }
  }
}

/// The type of elements in a file. 16-bit floats are kept in files only, and become fp32.
private struct ElementType {
  let dtype: DType
  /// How 16-bit floats become fp32; `nil` for other types.
  let widen: (@Sendable (UInt16) -> Float)?

  init(_ proto: ONNX_TensorProto) throws {
    switch ONNX_TensorProto.DataType(rawValue: Int(proto.dataType)) {
    case .float16: (dtype, widen) = (.float32, { Float(Float16(bitPattern: $0)) })
    case .bfloat16: (dtype, widen) = (.float32, { Float(bitPattern: UInt32($0) << 16) })
    default:
      guard let known = DType(onnx: Int(proto.dataType)) else {
        throw SwiftletError(.unsupported, "elements of ONNX type \(proto.dataType)")
      }
      (dtype, widen) = (known, nil)
    }
  }

  /// Bytes of so many elements; `nil` if there are too many.
  func byteCount(_ count: Int) -> Int? {
    (widen == nil ? dtype : .uint16).packedByteCount(count)
  }

  /// Whether a field of floats holds elements of this type as they lie in memory.
  func isListed(in field: Int) -> Bool {
    widen == nil && (field == ONNXSkeleton.floatData ? dtype == .float32 : dtype == .float64)
  }

  /// - Precondition: There are as many bytes as the elements take.
  func tensor(_ shape: Shape, _ bytes: Span<UInt8>) -> AnyTensor {
    guard let widen else { return AnyTensor(dtype, shape, bytes: bytes) }
    return .float32(Tensor<UInt16>(shape, bytes: bytes).map { widen($0) })
  }
}
