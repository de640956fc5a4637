import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletONNXSchema

extension Graph {
  init(_ model: ONNX_ModelProto) throws {
    let opset = model.opsetImport.first { $0.domain.isEmpty || $0.domain == "ai.onnx" }?.version
    guard let opset, 7...28 ~= opset else {
      throw SwiftletError(
        .unsupported, "operator set \(opset ?? 0) of ONNX", mend: "export with opset 7 to 28")
    }
    try self.init(model.graph, opset: Int(opset))
    for entry in model.metadataProps { metadata[entry.key] = entry.value }
  }

  init(_ proto: ONNX_GraphProto, opset: Int) throws {
    self.init(name: proto.name, opset: opset)
    for tensor in proto.initializer {
      guard !tensor.name.isEmpty, initializers[tensor.name] == nil else {
        throw SwiftletError(.badInput, "initializer '\(tensor.name)' is unnamed or there twice")
      }
      initializers[tensor.name] = try AnyTensor(tensor)
    }
    nodes = try proto.node.map { try Node($0, opset: opset) }
    inputs = try proto.input.filter { initializers[$0.name] == nil }.map(ValueInfo.init)
    outputs = try proto.output.map(ValueInfo.init)
    let names = inputs.map(\.name)
    guard Set(names).count == names.count else {
      throw SwiftletError(.badInput, "two inputs have the same name")
    }
  }
}

extension Node {
  init(_ proto: ONNX_NodeProto, opset: Int) throws {
    self.init(
      proto.opType, name: proto.name, domain: proto.domain, inputs: proto.input,
      outputs: proto.output)
    for attribute in proto.attribute {
      attributes[attribute.name] = try locating("attribute '\(attribute.name)' of \(label)") {
        try Attribute(attribute, opset: opset)
      }
    }
  }
}

extension Attribute {
  init(_ proto: ONNX_AttributeProto, opset: Int) throws {
    switch proto.type {
    case .float: self = .float(proto.f)
    case .int: self = .int(Int(proto.i))
    case .string: self = .string(String(decoding: proto.s, as: UTF8.self))
    case .tensor: self = .tensor(try AnyTensor(proto.t))
    case .graph: self = .graph(try Graph(proto.g, opset: opset))
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
    guard case .tensorType? = proto.type.value, let dtype = DType(onnx: Int(type.elemType)) else {
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

extension AnyTensor {
  init(_ proto: ONNX_TensorProto) throws {
    self = try locating("tensor '\(proto.name)'") { try Self.read(proto) }
  }

  private static func read(_ proto: ONNX_TensorProto) throws -> AnyTensor {
    guard proto.dataLocation == .default else {
      throw SwiftletError(.unsupported, "data in another file")
    }
    guard let dtype = DType(onnx: Int(proto.dataType)) else {
      throw SwiftletError(.unsupported, "elements of ONNX type \(proto.dataType)")
    }
    let shape = try Shape(checking: proto.dims.map(Int.init))
    if let widen = widening(proto.dataType) { return .float32(try halves(proto, shape, widen)) }
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
    case .uint32, .uint64:
      let wide = try filled(shape, proto.uint64Data.map(Int64.init(bitPattern:)))
      return AnyTensor.int64(wide).converted(to: dtype)
    default: return AnyTensor.int32(try filled(shape, proto.int32Data)).converted(to: dtype)
    }
  }

  /// How 16-bit floats, which are kept in files only, become fp32; `nil` for other types.
  private static func widening(_ type: Int32) -> ((UInt16) -> Float)? {
    switch ONNX_TensorProto.DataType(rawValue: Int(type)) {
    case .float16: { Float(Float16(bitPattern: $0)) }
    case .bfloat16: { Float(bitPattern: UInt32($0) << 16) }
    default: nil
    }
  }

  private static func halves(
    _ proto: ONNX_TensorProto, _ shape: Shape, _ widen: (UInt16) -> Float
  ) throws -> Tensor<Float> {
    let bytes = Array(proto.rawData)
    let bits =
      proto.hasRawData
      ? (0..<bytes.count / 2).map { UInt16(bytes[2 * $0]) | UInt16(bytes[2 * $0 + 1]) << 8 }
      : proto.int32Data.map(UInt16.init(truncatingIfNeeded:))
    guard bytes.count % 2 == 0 else {
      throw SwiftletError(.badInput, "\(bytes.count) bytes of 16-bit elements")
    }
    return try filled(shape, bits.map(widen))
  }

  private static func filled<T>(_ shape: Shape, _ elements: [T]) throws -> Tensor<T> {
    guard elements.count == shape.count else {
      throw SwiftletError(.badInput, "\(elements.count) elements for shape \(shape)")
    }
    return Tensor(shape, elements)
  }
}
