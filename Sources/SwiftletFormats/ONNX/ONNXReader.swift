import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletONNXSchema

extension Graph {
  init(_ model: ONNX_ModelProto) throws {
    let opset = model.opsetImport.first { $0.domain.isEmpty || $0.domain == "ai.onnx" }?.version
    guard let opset, 7...25 ~= opset else {
      throw SwiftletError(
        .unsupported, "operator set \(opset ?? 0) of ONNX", mend: "export with opset 7 to 25")
    }
    let proto = model.graph
    self.init(name: proto.name, opset: Int(opset))
    for tensor in proto.initializer {
      guard !tensor.name.isEmpty, initializers[tensor.name] == nil else {
        throw SwiftletError(.badInput, "initializer '\(tensor.name)' is unnamed or there twice")
      }
      initializers[tensor.name] = try AnyTensor(tensor)
    }
    nodes = try proto.node.map(Node.init)
    inputs = try proto.input.filter { initializers[$0.name] == nil }.map(ValueInfo.init)
    outputs = try proto.output.map(ValueInfo.init)
    for entry in model.metadataProps { metadata[entry.key] = entry.value }
    let names = inputs.map(\.name)
    guard Set(names).count == names.count else {
      throw SwiftletError(.badInput, "two inputs have the same name")
    }
  }
}

extension Node {
  init(_ proto: ONNX_NodeProto) throws {
    self.init(
      proto.opType, name: proto.name, domain: proto.domain, inputs: proto.input,
      outputs: proto.output)
    for attribute in proto.attribute {
      attributes[attribute.name] = try locating("attribute '\(attribute.name)' of \(label)") {
        try Attribute(attribute)
      }
    }
  }
}

extension Attribute {
  init(_ proto: ONNX_AttributeProto) throws {
    switch proto.type {
    case .float: self = .float(proto.f)
    case .int: self = .int(Int(proto.i))
    case .string: self = .string(String(decoding: proto.s, as: UTF8.self))
    case .tensor: self = .tensor(try AnyTensor(proto.t))
    case .floats: self = .floats(proto.floats)
    case .ints: self = .ints(proto.ints.map(Int.init))
    case .strings: self = .strings(proto.strings.map { String(decoding: $0, as: UTF8.self) })
    default:
      throw SwiftletError(.unsupported, "an attribute of kind \(proto.type)")
    }
  }
}

extension ValueInfo {
  init(_ proto: ONNX_ValueInfoProto) throws {
    let type = proto.type.tensorType
    guard case .tensorType? = proto.type.value, let dtype = DType(onnx: type.elemType) else {
      throw SwiftletError(
        .unsupported,
        "'\(proto.name)' is no tensor of a supported element type "
          + "(\(proto.type.tensorType.elemType))")
    }
    let dimensions = try type.shape.dim.map { dimension -> Dimension in
      switch dimension.value {
      case .dimValue(let extent) where extent >= 0: .fixed(Int(extent))
      case .dimValue(let extent):
        throw SwiftletError(.badInput, "'\(proto.name)' has an extent of \(extent)")
      case .dimParam(let name): .symbolic(name)
      case nil: .symbolic("")
      }
    }
    self.init(proto.name, dtype, dimensions)
  }
}

extension DType {
  /// The element type of a number of ONNX's `TensorProto.DataType`.
  init?(onnx number: Int32) {
    switch ONNX_TensorProto.DataType(rawValue: Int(number)) {
    case .float: self = .float32
    case .double: self = .float64
    case .int8: self = .int8
    case .uint8: self = .uint8
    case .int32: self = .int32
    case .int64: self = .int64
    default: return nil
    }
  }

  var onnx: Int32 {
    let type: ONNX_TensorProto.DataType =
      switch self {
      case .float32: .float
      case .float64: .double
      case .int8: .int8
      case .uint8: .uint8
      case .int32: .int32
      case .int64: .int64
      }
    return Int32(type.rawValue)
  }
}

extension AnyTensor {
  init(_ proto: ONNX_TensorProto) throws {
    self = try locating("tensor '\(proto.name)'") { try Self.read(proto) }
  }

  private static func read(_ proto: ONNX_TensorProto) throws -> AnyTensor {
    guard proto.dataLocation == .default else {
      throw SwiftletError(.unsupported, "data in another file")
    }
    guard let dtype = DType(onnx: proto.dataType) else {
      throw SwiftletError(.unsupported, "elements of ONNX type \(proto.dataType)")
    }
    let shape = try Shape(checking: proto.dims.map(Int.init))
    if proto.hasRawData {
      let (bytes, overflow) = shape.count.multipliedReportingOverflow(by: dtype.byteCount)
      guard !overflow, proto.rawData.count == bytes else {
        throw SwiftletError(
          .badInput, "\(proto.rawData.count) bytes of data for \(dtype) \(shape)")
      }
      return AnyTensor(dtype, shape, bytes: Array(proto.rawData).span)
    }
    switch dtype {
    case .float32: return .float32(try filled(shape, proto.floatData))
    case .float64: return .float64(try filled(shape, proto.doubleData))
    case .int64: return .int64(try filled(shape, proto.int64Data))
    case .int32: return .int32(try filled(shape, proto.int32Data))
    case .int8: return .int8(try filled(shape, proto.int32Data.map(Int8.init(truncatingIfNeeded:))))
    case .uint8:
      return .uint8(try filled(shape, proto.int32Data.map(UInt8.init(truncatingIfNeeded:))))
    }
  }

  private static func filled<T>(_ shape: Shape, _ elements: [T]) throws -> Tensor<T> {
    guard elements.count == shape.count else {
      throw SwiftletError(.badInput, "\(elements.count) elements for shape \(shape)")
    }
    return Tensor(shape, elements)
  }
}
