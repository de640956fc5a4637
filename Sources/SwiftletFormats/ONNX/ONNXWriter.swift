// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import OrderedCollections
import SwiftProtobuf
import SwiftletCore
import SwiftletGraph
import SwiftletONNXSchema

/// Builds ONNX messages from graphs, starting from the unread content of the original file.
final class ONNXWriter {
  /// The name of the external data file for larger tensors; `nil` if there is none.
  private let dataFile: String?
  /// The bytes of that file.
  private(set) var data: [UInt8] = []

  /// The producer name of models without one.
  private static let producer = "swiftlet"
  /// Smaller tensors stay in the model.
  private static let externalMinimum = 1024
  /// The alignment of tensors in the external data file: cache lines.
  private static let alignment = 64

  init(dataFile: String?) { self.dataFile = dataFile }

  func model(_ graph: Graph) throws -> ONNX_ModelProto {
    var model = try ONNX_ModelProto(serializedBytes: graph.unread)
    // The newest version of the format that every reader of the operator set accepts.
    model.irVersion = max(model.irVersion, graph.opset >= 21 ? 10 : 8)
    if !model.hasProducerName { model.producerName = Self.producer }
    model.opsetImport.insert(.with { $0.version = Int64(graph.opset) }, at: 0)
    model.metadataProps = graph.metadata.map { key, value in
      .with { ($0.key, $0.value) = (key, value) }
    }
    model.graph = try complete(model.graph, graph)
    return model
  }

  private func complete(_ rest: ONNX_GraphProto, _ given: Graph) throws -> ONNX_GraphProto {
    var proto = rest
    proto.name = given.name
    let halves = HalfValues(given)
    let graph = halves.graph
    proto.node = try graph.nodes.map { try node($0, halves) }
    let notes = Dictionary(rest.initializer.map { ($0.name, $0) }, uniquingKeysWith: { a, _ in a })
    proto.initializer = graph.initializers.map { name, value in
      let rest = notes[name] ?? ONNX_TensorProto()
      guard let halves = halves.stored(name, value) else { return tensor(name, value, rest) }
      return tensor(name, halves.bits, rest, as: halves.type)
    }
    func info(_ info: ValueInfo) throws -> ONNX_ValueInfoProto {
      var proto = try ONNX_ValueInfoProto(info)
      if let type = halves.types[info.name] { proto.type.tensorType.elemType = Int32(type) }
      return proto
    }
    proto.input = try graph.inputs.map(info)
    proto.output = try graph.outputs.map(info)
    let values = Set(graph.nodes.flatMap(\.outputs))
    // Values annotated as 16-bit floats are computed in fp32 now.
    proto.valueInfo.removeAll {
      !values.contains($0.name) || [10, 16].contains($0.type.tensorType.elemType)
    }
    return proto
  }

  private func node(_ node: Node, _ halves: HalfValues) throws -> ONNX_NodeProto {
    var proto = try ONNX_NodeProto(serializedBytes: node.unread)
    let notes = Dictionary(
      proto.attribute.map { ($0.name, $0) }, uniquingKeysWith: { a, _ in a })
    if !node.name.isEmpty { proto.name = node.name }
    proto.opType = node.opType
    if !node.domain.isEmpty { proto.domain = node.domain }
    proto.input = node.inputs
    proto.output = node.outputs
    var attributes = node.attributes
    // 16-bit values are fp32 in a graph, and therefore in the written file.
    for name in ["to", "output_dtype", "dtype"] where !halves.keepsRounding(node) {
      if case .int(10) = attributes[name] { attributes[name] = .int(1) }
      if case .int(16) = attributes[name] { attributes[name] = .int(1) }
    }
    proto.attribute = try attributes.sorted { $0.key < $1.key }.map { name, value in
      let rest = notes[name] ?? ONNX_AttributeProto()
      guard node.opType == "Constant", name == "value", case .tensor(let constant) = value,
        let halves = halves.stored(node.outputs[0], constant)
      else { return try attribute(name, value, rest) }
      var proto = rest
      (proto.name, proto.type) = (name, .tensor)
      proto.t = tensor("", halves.bits, ONNX_TensorProto(), as: halves.type)
      return proto
    }
    return proto
  }

  private func attribute(
    _ name: String, _ value: Attribute, _ rest: ONNX_AttributeProto
  ) throws -> ONNX_AttributeProto {
    var proto = rest
    proto.name = name
    switch value {
    case .int(let number): (proto.type, proto.i) = (.int, Int64(number))
    case .float(let number): (proto.type, proto.f) = (.float, number)
    case .string(let text): (proto.type, proto.s) = (.string, Data(text.utf8))
    case .ints(let numbers): (proto.type, proto.ints) = (.ints, numbers.map(Int64.init))
    case .floats(let numbers): (proto.type, proto.floats) = (.floats, numbers)
    case .strings(let texts):
      (proto.type, proto.strings) = (.strings, texts.map { Data($0.utf8) })
    case .tensor(let value):
      (proto.type, proto.t) = (.tensor, tensor("", value, ONNX_TensorProto()))
    case .graph(let graph):
      let unread = try ONNX_ModelProto(serializedBytes: graph.unread)
      (proto.type, proto.g) = (.graph, try complete(unread.graph, graph))
    case .unread(let bytes):
      proto = try ONNX_AttributeProto(serializedBytes: bytes)
    }
    return proto
  }

  private func tensor(
    _ name: String, _ value: AnyTensor, _ rest: ONNX_TensorProto,
    as type: ONNX_TensorProto.DataType? = nil
  ) -> ONNX_TensorProto {
    var proto = rest
    proto.name = name
    proto.dataType = Int32(type?.rawValue ?? value.dtype.onnx)
    proto.dims = value.shape.dimensions.map(Int64.init)
    guard let dataFile, value.byteCount >= Self.externalMinimum else {
      var bytes: [UInt8] = []
      value.appendBytes(to: &bytes)
      proto.rawData = Data(bytes)
      return proto
    }
    let padding = (Self.alignment - data.count % Self.alignment) % Self.alignment
    data.append(contentsOf: repeatElement(0, count: padding))
    let start = data.count
    value.appendBytes(to: &data)
    proto.dataLocation = .external
    proto.externalData = [
      ("location", dataFile), ("offset", "\(start)"), ("length", "\(data.count - start)"),
    ].map { key, value in .with { ($0.key, $0.value) = (key, value) } }
    return proto
  }
}

extension ONNX_ValueInfoProto {
  fileprivate init(_ info: ValueInfo) throws {
    self = try ONNX_ValueInfoProto(serializedBytes: info.unread)
    name = info.name
    guard info.isTyped else { return }
    type.tensorType.elemType = Int32(info.dtype.onnx)
    // A file may omit even the rank.
    if !info.isShaped && info.dimensions.isEmpty { return }
    let notes = type.tensorType.shape.dim
    type.tensorType.shape.dim = info.dimensions.enumerated().map { index, dimension in
      var proto = index < notes.count ? notes[index] : ONNX_TensorShapeProto.Dimension()
      switch dimension {
      case .fixed(let extent): proto.dimValue = Int64(extent)
      case .symbolic(""): break
      case .symbolic(let name): proto.dimParam = name
      }
      return proto
    }
  }
}

extension Graph {
  /// Removes the file's annotations of the shapes of values between nodes: after a change of shapes
  /// they would be wrong.
  package mutating func forgetShapes() throws {
    var rest = try ONNX_ModelProto(serializedBytes: unread)
    rest.graph.valueInfo = []
    unread = try rest.serializedBytes()
  }
}
