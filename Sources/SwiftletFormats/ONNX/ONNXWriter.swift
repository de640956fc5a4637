import FoundationEssentials
import SwiftProtobuf
import SwiftletCore
import SwiftletGraph
import SwiftletONNXSchema

extension ONNX_ModelProto {
  init(_ graph: Graph) {
    self.init()
    // The newest file version that every reader of the operator set accepts.
    irVersion = graph.opset >= 21 ? 10 : 8
    producerName = ONNXFile.producer
    opsetImport = [.with { $0.version = Int64(graph.opset) }]
    metadataProps = graph.metadata.map { key, value in
      .with { ($0.key, $0.value) = (key, value) }
    }
    self.graph = ONNX_GraphProto(graph)
  }
}

extension ONNX_GraphProto {
  init(_ graph: Graph) {
    self.init()
    name = graph.name
    node = graph.nodes.map(ONNX_NodeProto.init)
    initializer = graph.initializers.map(ONNX_TensorProto.init)
    input = graph.inputs.map(ONNX_ValueInfoProto.init)
    output = graph.outputs.map(ONNX_ValueInfoProto.init)
  }
}

extension ONNX_NodeProto {
  init(_ node: Node) {
    self.init()
    name = node.name
    opType = node.opType
    if !node.domain.isEmpty { domain = node.domain }
    input = node.inputs
    output = node.outputs
    attribute = node.attributes.sorted { $0.key < $1.key }.map(ONNX_AttributeProto.init)
  }
}

extension ONNX_AttributeProto {
  init(_ name: String, _ value: Attribute) {
    self.init()
    self.name = name
    switch value {
    case .int(let number): (type, i) = (.int, Int64(number))
    case .float(let number): (type, f) = (.float, number)
    case .string(let text): (type, s) = (.string, Data(text.utf8))
    case .ints(let numbers): (type, ints) = (.ints, numbers.map(Int64.init))
    case .floats(let numbers): (type, floats) = (.floats, numbers)
    case .strings(let texts): (type, strings) = (.strings, texts.map { Data($0.utf8) })
    case .tensor(let tensor): (type, t) = (.tensor, ONNX_TensorProto("", tensor))
    case .graph(let graph): (type, g) = (.graph, ONNX_GraphProto(graph))
    }
  }
}

extension ONNX_TensorProto {
  init(_ name: String, _ tensor: AnyTensor) {
    self.init()
    self.name = name
    dataType = Int32(tensor.dtype.onnx)
    dims = tensor.shape.dimensions.map(Int64.init)
    var bytes: [UInt8] = []
    tensor.appendBytes(to: &bytes)
    rawData = Data(bytes)
  }
}

extension ONNX_ValueInfoProto {
  init(_ info: ValueInfo) {
    self.init()
    name = info.name
    type.tensorType.elemType = Int32(info.dtype.onnx)
    type.tensorType.shape.dim = info.dimensions.map { dimension in
      .with {
        switch dimension {
        case .fixed(let extent): $0.dimValue = Int64(extent)
        case .symbolic(""): break
        case .symbolic(let name): $0.dimParam = name
        }
      }
    }
  }
}
