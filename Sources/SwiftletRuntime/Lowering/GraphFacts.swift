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
  /// The layout in which segments hold each value, unless a reader asks for another.
  private var layouts: [String: Layout] = [:]

  init(
    _ graph: Graph, _ infos: [String: TensorInfo], images: Int, precision: Precision
  ) {
    (self.graph, self.infos, self.images) = (graph, infos, images)
    self.precision = precision
    index = graph.index
    results = Set(graph.outputs.map(\.name))
    lowered = []
    for input in graph.inputs { layouts[input.name] = outerLayout(input.name) }
    for node in graph.nodes {
      let isLowered = canLower(node)
      lowered.append(isLowered)
      for name in node.outputs where !name.isEmpty {
        layouts[name] =
          isLowered
          ? LoweringRegistry.operators[node.opType]!.layout(node, name, self) : outerLayout(name)
      }
    }
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
      lowering.hasManyResults || node.outputs.dropFirst().allSatisfy(\.isEmpty)
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

  /// Whether a value can be part of a segment: its leading extent is a multiple of the batch, so
  /// that each image has its own part of it.
  func isValue(_ name: String, _ dtypes: Set<DType> = [.float32]) -> Bool {
    guard let info = infos[name], graph.initializers[name] == nil, dtypes.contains(info.dtype)
    else { return false }
    return images > 0 && info.shape.rank >= 2 && info.shape[0] % images == 0
      && info.shape.count > 0 && info.shape.count < 1 << 31
  }

  /// Whether a value is a batch of images N×C×H×W, or N×C×L.
  func isImages(_ name: String, ranks: ClosedRange<Int> = 4...4) -> Bool {
    isValue(name) && ranks ~= shape(name).rank && shape(name)[0] == images
  }

  /// The layout of a value, which its readers may ask to change.
  func layout(_ name: String) -> Layout { layouts[name]! }

  /// Whether a node that becomes instructions writes a value.
  func isComputed(_ name: String) -> Bool {
    index.producers[name].map { lowered.indices.contains($0) && lowered[$0] } ?? false
  }

  /// Whether values of a layout have the batch outermost. With several images it is required.
  func isBatched(_ layout: Layout) -> Bool { images == 1 || layout.order[0] == 0 }

  /// A value of the name's shape and layout.
  func value(_ name: String, _ kind: Value.Kind) -> Value {
    Value(shape: shape(name), layout(name), images: images, kind)
  }

  /// Channels per pixel of a value.
  func channels(of name: String) -> Int { shape(name)[layout(name).channelAxis] }

  /// Whether values of a layout are loaded and stored directly: rows as they are, images plane by
  /// plane.
  func isOuter(_ layout: Layout, _ name: String) -> Bool {
    layout.isRows || layout.isPlanes && shape(name)[0] == images
  }

  /// The layout in which a tensor from outside is loaded: the one that its first readers need.
  private func outerLayout(_ name: String, depth: Int = 0) -> Layout? {
    guard let rank = infos[name]?.shape.rank, rank >= 2 else { return nil }
    guard let reader = consumers(name).first, depth < 8 else { return .rows(rank) }
    let node = graph.nodes[reader]
    let wanted: Layout
    switch node.opType {
    case "Transpose":
      guard let permutation = try? node.ints("perm"), permutation.count == rank,
        let after = outerLayout(node.outputs[0], depth: depth + 1)
      else { return .rows(rank) }
      wanted = after.beforeTransposing(permutation)
    case "MatMul", "Gemm", "LayerNormalization", "Softmax", "Reshape", "Attention":
      wanted = .rows(rank)
    default:
      guard let result = node.outputs.first, infos[result]?.shape == infos[name]?.shape,
        let after = outerLayout(result, depth: depth + 1)
      else { return rank == 4 ? .planes(rank) : .rows(rank) }
      wanted = after
    }
    // Others would need a second conversion.
    return isOuter(wanted, name) ? wanted : .rows(rank)
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
    let bytes = node.opType == "DequantizeLinear" ? node.inputs[0] : node.outputs[0]
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
      BinaryLowering.self,
      ConcatLowering.self, ConvLowering.self, DequantizeLowering.self,
      CastLowering.self, DynamicQuantizeLowering.self, LookUpLowering.self, MatMulLowering.self,
      PadLowering.self,
      PoolLowering.self, QuantizeLowering.self, ReduceLowering.self, ReshapeLowering.self,
      RowLowering.self,
      SliceLowering.self, TransposeLowering.self,
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

  /// The layout of a result.
  static func layout(_ node: Node, _ result: String, _ facts: GraphFacts) -> Layout

  /// Whether nodes may have more than one result.
  static var hasManyResults: Bool { get }

  /// Whether the node prefers to read one of its inputs as bf16; see
  /// ``Lowering/prefersBFloat(_:)``.
  static func takesBFloat(_ node: Node, _ name: String, _ lowering: Lowering) -> Bool
}

extension LoweredOperator {
  static var hasManyResults: Bool { false }

  static func data(_ node: Node, _ facts: GraphFacts) -> [String] { [node.inputs[0]] }

  /// That of the first input, or of rows if the rank differs.
  static func layout(_ node: Node, _ result: String, _ facts: GraphFacts) -> Layout {
    let rank = facts.shape(result).rank
    let layout = facts.layout(node.inputs[0])
    return layout.rank == rank ? layout : .rows(rank)
  }

  static func takesBFloat(_ node: Node, _ name: String, _ lowering: Lowering) -> Bool { false }
}
