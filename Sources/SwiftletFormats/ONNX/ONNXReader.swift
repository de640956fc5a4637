// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import OrderedCollections
import SwiftProtobuf
import SwiftletCore
import SwiftletGraph
import SwiftletONNXSchema

/// Builds graphs from ONNX messages.
///
/// Unknown content is kept in the properties `unread`, as messages of the same type without the
/// known fields, and is written back with the rest.
struct ONNXReader {
  /// The source of tensor elements.
  let elements: ElementSource
  /// The codes of the model's strings.
  let texts: TextCodes

  init(elements: ElementSource, _ proto: ONNX_ModelProto) {
    self.elements = elements
    texts = TextCodes(proto.metadataProps.first { $0.key == TextCodes.key }?.value)
  }

  func model(_ proto: ONNX_ModelProto) throws -> Graph {
    guard proto.irVersion >= 1 else {
      throw SwiftletError(.badInput, "unknown version \(proto.irVersion) of the ONNX format")
    }
    let imports = proto.opsetImport.filter(\.isStandard)
    let opset = imports.first?.version
    guard imports.allSatisfy({ $0.version == opset }) else {
      throw SwiftletError(.badInput, "several versions of the ONNX operator set are imported")
    }
    guard let opset, 1...28 ~= opset else {
      throw SwiftletError(
        .unsupported, "ONNX operator set \(opset ?? 0) is not supported",
        fix: "export with opset 1 to 28")
    }
    var proto = proto
    if var inlining = FunctionInlining(proto, opset: opset) { try inlining.apply(to: &proto) }
    var rest = proto
    rest.opsetImport.removeAll { $0.isStandard }
    rest.metadataProps = []
    var graph = try graph(proto.graph, opset: Int(opset), into: &rest)
    for entry in proto.metadataProps
    where graph.metadata.updateValue(entry.value, forKey: entry.key) != nil {
      throw SwiftletError(.badInput, "the metadata '\(entry.key)' occurs twice")
    }
    if let texts = texts.metadata { graph.metadata[TextCodes.key] = texts }
    graph.unread = try rest.serializedBytes()
    return graph.inStandardOperators(ranks: Self.ranks(proto.graph))
  }

  /// The ranks of the values that the file describes, by name.
  private static func ranks(_ proto: ONNX_GraphProto) -> [String: Int] {
    let shaped = (proto.valueInfo + proto.output).filter { $0.type.tensorType.hasShape }
    return Dictionary(
      shaped.map { ($0.name, $0.type.tensorType.shape.dim.count) }, uniquingKeysWith: { a, _ in a })
  }

  /// The subgraph in an attribute.
  private func graph(_ proto: ONNX_GraphProto, opset: Int) throws -> Graph {
    var rest = ONNX_ModelProto()
    var graph = try graph(proto, opset: opset, isInner: true, into: &rest)
    graph.unread = try rest.serializedBytes()
    return graph
  }

  private func graph(
    _ proto: ONNX_GraphProto, opset: Int, isInner: Bool = false, into model: inout ONNX_ModelProto
  ) throws -> Graph {
    var graph = Graph(name: proto.name, opset: opset)
    var rest = proto
    rest.clearName()
    (rest.node, rest.input, rest.output) = ([], [], [])
    rest.initializer = []
    for tensor in proto.initializer {
      guard !tensor.name.isEmpty, graph.initializers[tensor.name] == nil else {
        throw SwiftletError(.badInput, "initializer '\(tensor.name)' is unnamed or occurs twice")
      }
      graph.initializers[tensor.name] = try self.tensor(tensor)
      if let notes = try tensor.unread() { rest.initializer.append(notes) }
    }
    rest.sparseInitializer = []
    for tensor in proto.sparseInitializer {
      let name = tensor.values.name
      guard !name.isEmpty, graph.initializers[name] == nil else {
        throw SwiftletError(.badInput, "initializer '\(name)' is unnamed or occurs twice")
      }
      graph.initializers[name] = try elements.tensor(tensor)
    }
    if rest != ONNX_GraphProto() { model.graph = rest } else { model.clearGraph() }
    let halves = Self.halfTypes(proto)
    graph.nodes = try proto.node.map { try node(Self.naming($0, halves), opset: opset) }
    graph.halves = Self.storedHalves(proto, isInner: isInner)
    func info(_ proto: ONNX_ValueInfoProto) throws -> ValueInfo {
      guard isInner, proto.type.value == nil else { return try ValueInfo(proto) }
      return try ValueInfo(untyped: proto)
    }
    graph.inputs = try proto.input.filter { graph.initializers[$0.name] == nil }.map(info)
    let maps = Set(
      proto.node.filter { $0.domain == Self.learning && $0.opType == "ZipMap" }.flatMap(\.output))
    graph.outputs = try proto.output.map { try info(numbered($0, maps)) }
    let names = graph.inputs.map(\.name)
    guard Set(names).count == names.count else {
      throw SwiftletError(.badInput, "two inputs have the same name")
    }
    return graph
  }

  /// The domain of the classical machine learning operators.
  private static let learning = "ai.onnx.ml"

  private func tensor(_ proto: ONNX_TensorProto) throws -> AnyTensor {
    proto.dataType == 8 ? try texts.tensor(proto) : try elements.tensor(proto)
  }

  /// Declares an output of strings as their codes, and one of maps from labels to scores as the
  /// scores.
  private func numbered(
    _ proto: ONNX_ValueInfoProto, _ maps: Set<String>
  ) -> ONNX_ValueInfoProto {
    var proto = proto
    if proto.type.tensorType.elemType == 8 {
      proto.type.tensorType.elemType = 7
    } else if maps.contains(proto.name), proto.type.sequenceType.elemType.mapType.hasValueType {
      proto.type = .with {
        $0.tensorType.elemType = 1
        $0.tensorType.shape.dim = [.init(), .init()]
      }
    }
    return proto
  }

  /// The ONNX types of values declared as 16-bit floats, by name.
  private static func halfTypes(_ proto: ONNX_GraphProto) -> [String: Int] {
    let tensors = proto.initializer.map { ($0.name, Int($0.dataType)) }
    let values = (proto.input + proto.valueInfo).map { ($0.name, Int($0.type.tensorType.elemType)) }
    let halves = (tensors + values).filter { $0.1 == 10 || $0.1 == 16 }
    return Dictionary(halves, uniquingKeysWith: { first, _ in first })
  }

  /// The ONNX types of constants that are 16-bit floats, by name, and, at the top level, of inputs
  /// and outputs: the inputs and outputs of a subgraph have the types of the enclosing graph.
  private static func storedHalves(_ proto: ONNX_GraphProto, isInner: Bool) -> [String: Int] {
    var types = proto.initializer.map { ($0.name, Int($0.dataType)) }
    for node in proto.node where node.opType == "Constant" && node.output.count == 1 {
      types += node.attribute.filter { $0.name == "value" }.map {
        (node.output[0], Int($0.t.dataType))
      }
    }
    if !isInner {
      types += (proto.input + proto.output).map { ($0.name, Int($0.type.tensorType.elemType)) }
    }
    let halves = types.filter { $0.1 == 10 || $0.1 == 16 }
    return Dictionary(halves, uniquingKeysWith: { first, _ in first })
  }

  /// Converts a `CastLike` whose example is a 16-bit float to a `Cast` that names the type: the
  /// example itself becomes fp32.
  private static func naming(_ proto: ONNX_NodeProto, _ halves: [String: Int]) -> ONNX_NodeProto {
    guard proto.opType == "CastLike", proto.input.count == 2, let type = halves[proto.input[1]]
    else { return proto }
    var cast = proto
    cast.opType = "Cast"
    cast.input.removeLast()
    cast.attribute.append(.with { ($0.name, $0.type, $0.i) = ("to", .int, Int64(type)) })
    return cast
  }

  private func node(_ proto: ONNX_NodeProto, opset: Int) throws -> Node {
    var node = Node(
      proto.opType, name: proto.name, domain: proto.domain, inputs: proto.input,
      outputs: proto.output)
    for attribute in proto.attribute {
      guard node.attributes[attribute.name] == nil else {
        throw SwiftletError(
          .badInput, "attribute '\(attribute.name)' occurs twice", at: node.label)
      }
      node.attributes[attribute.name] = try locating(
        "attribute '\(attribute.name)' of \(node.label)"
      ) {
        try self.attribute(attribute, opset: opset)
      }
    }
    if node.domain == Self.learning { try texts.replaceTexts(of: &node) }
    if let sparse = node.attributes.removeValue(forKey: "sparse_value") {
      node.attributes["value"] = sparse
    }
    var rest = proto
    rest.clearName()
    rest.clearOpType()
    rest.clearDomain()
    (rest.input, rest.output) = ([], [])
    rest.attribute = try proto.attribute.compactMap { try $0.unread() }
    node.unread = try rest.serializedBytes()
    return node
  }

  private func attribute(_ proto: ONNX_AttributeProto, opset: Int) throws -> Attribute {
    try proto.checkFields()
    switch proto.type {
    case .float: return .float(proto.f)
    case .int: return .int(Int(proto.i))
    case .tensor: return .tensor(try tensor(proto.t))
    case .sparseTensor where proto.name == "sparse_value":
      return .tensor(try elements.tensor(proto.sparseTensor))
    case .graph: return .graph(try graph(proto.g, opset: opset))
    case .floats: return .floats(proto.floats)
    case .ints: return .ints(proto.ints.map(Int.init))
    // Bytes that are not valid text are kept unchanged.
    case .string where proto.text != nil: return .string(proto.text!)
    case .strings where proto.texts != nil: return .strings(proto.texts!)
    default:
      guard !proto.hasT, !proto.hasG else {
        throw SwiftletError(
          .badInput, "the attribute has a tensor or graph, which its type does not announce")
      }
      return .unread(try proto.serializedBytes())
    }
  }
}

extension ONNX_OperatorSetIdProto {
  /// Whether this is ONNX's own domain.
  var isStandard: Bool { domain.isEmpty || domain == "ai.onnx" }
}

extension ONNX_TensorProto {
  /// The content of an initializer other than its elements, under its name; `nil` if there is none.
  fileprivate func unread() throws -> ONNX_TensorProto? {
    var rest = ONNX_TensorProto()
    rest.unknownFields = unknownFields
    if hasDocString { rest.docString = docString }
    guard rest != ONNX_TensorProto() else { return nil }
    rest.name = name
    return rest
  }
}

extension ONNX_AttributeProto {
  fileprivate var text: String? { String(validating: s, as: UTF8.self) }

  fileprivate var texts: [String]? {
    let texts = strings.compactMap { String(validating: $0, as: UTF8.self) }
    return texts.count == strings.count ? texts : nil
  }

  /// - Throws: `badInput` if the values do not match the attribute's declared kind.
  fileprivate func checkFields() throws {
    guard hasType else { return }
    let present: [(AttributeType, Bool)] = [
      (.float, hasF), (.int, hasI), (.string, hasS), (.tensor, hasT), (.graph, hasG),
      (.floats, !floats.isEmpty), (.ints, !ints.isEmpty), (.strings, !strings.isEmpty),
    ]
    guard present.allSatisfy({ $0 == type || !$1 }) else {
      throw SwiftletError(.badInput, "the values do not match the declared kind")
    }
  }

  /// The content of an attribute other than its value, under its name; `nil` if there is none.
  fileprivate func unread() throws -> ONNX_AttributeProto? {
    var rest = ONNX_AttributeProto()
    // Values of unknown kinds are kept as a whole in the attribute.
    if hasType { rest.unknownFields = unknownFields }
    if hasDocString { rest.docString = docString }
    guard rest != ONNX_AttributeProto() else { return nil }
    rest.name = name
    return rest
  }
}

extension ValueInfo {
  /// An untyped value of a subgraph.
  fileprivate init(untyped proto: ONNX_ValueInfoProto) throws {
    self.init(proto.name, .float32, [])
    isTyped = false
    var rest = proto
    rest.clearName()
    if rest != ONNX_ValueInfoProto() { unread = try rest.serializedBytes() }
  }

  /// A description, for errors, of a type that is not a tensor of numbers.
  private static func kind(of type: ONNX_TypeProto) -> String {
    switch type.value {
    case .tensorType(let tensor):
      switch tensor.elemType {
      case 8: "a tensor of text"
      case 14, 15: "a tensor of complex numbers"
      default: "a tensor of the element type \(tensor.elemType)"
      }
    case .sequenceType: "a sequence"
    case .mapType: "a map"
    case nil: "neither a tensor nor a sequence"
    }
  }

  init(_ proto: ONNX_ValueInfoProto) throws {
    let type = proto.type.tensorType
    if case .sequenceType? = proto.type.value {
      throw SwiftletError(
        .unsupported,
        "'\(proto.name)' is a sequence; inputs, outputs and loops support only tensors",
        fix: "export it as a tensor, for instance with ConcatFromSequence")
    }
    guard case .tensorType? = proto.type.value, let dtype = DType(onnx: Int(type.elemType)) else {
      throw SwiftletError(
        .unsupported,
        "'\(proto.name)' is \(Self.kind(of: proto.type)), which is not supported",
        fix: "models take and give tensors of numbers: convert at the edges of the model")
    }
    let dimensions = try type.shape.dim.map { dimension -> Dimension in
      switch dimension.value {
      case .dimValue(let extent) where extent >= 0: .fixed(Int(extent))
      // Exporters of old Paddle models mark open extents this way.
      case .dimValue(-1): .symbolic("")
      case .dimValue(let extent):
        throw SwiftletError(
          .badInput,
          "'\(proto.name)' has an extent of \(extent), which must be at least 0, or -1 "
            + "if it is open"
        )
      case .dimParam(let name): .symbolic(name)
      case nil: .symbolic("")
      }
    }
    self.init(proto.name, dtype, dimensions)
    isShaped = type.hasShape
    var rest = proto
    rest.clearName()
    rest.type.tensorType.clearElemType()
    for index in rest.type.tensorType.shape.dim.indices {
      rest.type.tensorType.shape.dim[index].value = nil
    }
    // For a value without annotations, only the rank remains.
    var plain = ONNX_ValueInfoProto()
    plain.type.tensorType.shape.dim = dimensions.map { _ in .init() }
    if rest != plain { unread = try rest.serializedBytes() }
  }
}
