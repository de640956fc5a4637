// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// The information about a graph with known shapes that lowering needs.
struct GraphFacts {
  let graph: Graph
  /// Images per batch: the leading extent of every value of a segment.
  let images: Int
  let precision: Precision
  private let index: GraphIndex
  private let infos: [String: TensorInfo]
  private let results: Set<String>
  /// The nodes that become instructions.
  private var lowered: [Bool]

  init(
    _ graph: Graph, _ infos: [String: TensorInfo], images: Int, precision: Precision
  ) {
    (self.graph, self.infos, self.images) = (graph, infos, images)
    self.precision = precision
    index = graph.index
    results = Set(graph.outputs.map(\.name))
    lowered = graph.nodes.map { _ in false }
    lowered = graph.nodes.map(canLower)
  }

  func isLowered(_ node: Int) -> Bool { lowered[node] }

  /// Leaves a node to the reference.
  mutating func exclude(_ node: Int) { lowered[node] = false }

  /// The inputs that a node that becomes an instruction reads as values.
  func data(_ index: Int) -> [String] {
    LoweringRegistry.operators[graph.nodes[index].opType]!.data(graph.nodes[index], self)
  }

  func isOutput(_ name: String) -> Bool { results.contains(name) }

  func shape(_ name: String) -> Shape { infos[name]!.shape }

  func dtype(_ name: String) -> DType { infos[name]!.dtype }

  private func canLower(_ node: Node) -> Bool {
    guard OperatorRegistry.supports(node), let lowering = LoweringRegistry.operators[node.opType],
      node.outputs.count == 1 || node.outputs.dropFirst().allSatisfy(\.isEmpty)
    else { return false }
    return lowering.accepts(node, self)
  }

  // MARK: Constants

  /// A constant, if the input is present and constant.
  func constant(_ node: Node, _ index: Int) -> AnyTensor? {
    index < node.inputs.count ? graph.initializers[node.inputs[index]] : nil
  }

  func has(_ node: Node, _ index: Int) -> Bool {
    index < node.inputs.count && !node.inputs[index].isEmpty
  }

  func floats(_ node: Node, _ index: Int) -> Tensor<Float>? {
    constant(node, index)?.typed(as: Float.self)?.contiguous()
  }

  /// Whether int8 zero points are omitted or constant zeros.
  func isCentred(_ node: Node, zeroPoint index: Int) -> Bool {
    guard has(node, index) else { return true }
    guard case .int8(let points)? = constant(node, index) else { return false }
    return points.elements.allSatisfy { $0 == 0 }
  }

  // MARK: Values

  /// Whether a value can be part of a segment: a batch of images N×C×H×W, of vectors N×C, or of
  /// rows N×S×C.
  func isImages(_ name: String, _ dtypes: Set<DType> = [.float32], ranks: ClosedRange<Int> = 2...4)
    -> Bool
  {
    guard let info = infos[name], graph.initializers[name] == nil, dtypes.contains(info.dtype)
    else { return false }
    return ranks ~= info.shape.rank && info.shape[0] == images && info.shape.count > 0
      && info.shape.count < 1 << 31
  }

  /// Positions of the nodes that read a value.
  func consumers(_ name: String) -> [Int] { index.consumers(of: name) }

  // MARK: Patterns

  /// The bounds of a clamp, if constant.
  func clamp(_ node: Node) -> (low: Float, high: Float)? {
    switch node.opType {
    case "Relu": return (0, .infinity)
    case "Clip":
      var bounds: [Float] = []
      let greatest = Clip.greatestBound(opset: graph.opset)
      for (index, name, fallback) in [(1, "min", -greatest), (2, "max", greatest)] {
        if has(node, index) {
          guard let bound = floats(node, index), bound.count == 1 else { return nil }
          bounds.append(bound.elements[0])
        } else {
          guard let bound = try? node.float(name, default: fallback) else { return nil }
          bounds.append(bound)
        }
      }
      return bounds[0] <= bounds[1] ? (bounds[0], bounds[1]) : nil
    default: return nil
    }
  }

  /// The scale and zero point of a node that quantizes or dequantizes a whole tensor.
  func quantization(_ node: Node) -> Lowering.Quantized? {
    guard has(node, 1), (try? node.int("block_size", default: 0)) == 0 else { return nil }
    let zeroPoint = constant(node, 2)
    guard zeroPoint != nil || !has(node, 2) else { return nil }
    // An omitted zero point is zero, of the type of the bytes.
    let bytes = node.opType == "QuantizeLinear" ? node.outputs[0] : node.inputs[0]
    let zero: AnyTensor? = dtype(bytes) == .int8 ? .int8(Tensor(zeros: [])) : nil
    return Lowering.Quantized(scale: constant(node, 1), zeroPoint: zeroPoint ?? zero)
  }

  /// The node that writes a value, if the graph computes it.
  func producer(_ name: String) -> Node? { index.producers[name].map { graph.nodes[$0] } }
}

/// The operators that become instructions, by ONNX name.
enum LoweringRegistry {
  static let operators: [String: any LoweredOperator.Type] = {
    let types: [any LoweredOperator.Type] = [
      ActivationLowering.self, AttentionLowering.self, BatchNormalizationLowering.self,
      ConcatLowering.self, ConvLowering.self, DequantizeLowering.self,
      CastLowering.self, DynamicQuantizeLowering.self, FlattenLowering.self, GemmLowering.self,
      PoolLowering.self,
      QuantizeLowering.self, RowLowering.self, SumLowering.self,
    ]
    return Dictionary(
      uniqueKeysWithValues: types.flatMap { type in type.opTypes.map { ($0, type) } })
  }()
}

/// How nodes of an operator become instructions.
protocol LoweredOperator: Sendable {
  static var opTypes: [String] { get }

  /// Whether the node can be computed in a segment. Shapes are known and match.
  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool

  /// The inputs that are read as values; the others are constants that lowering absorbs.
  static func data(_ node: Node, _ facts: GraphFacts) -> [String]

  static func lower(_ node: Node, into lowering: inout Lowering)

  /// Whether the node prefers to read one of its inputs as bf16; see
  /// ``Lowering/prefersBFloat(_:)``.
  static func takesBFloat(_ node: Node, _ name: String, _ lowering: Lowering) -> Bool
}

extension LoweredOperator {
  static func data(_ node: Node, _ facts: GraphFacts) -> [String] { [node.inputs[0]] }

  static func takesBFloat(_ node: Node, _ name: String, _ lowering: Lowering) -> Bool { false }
}
