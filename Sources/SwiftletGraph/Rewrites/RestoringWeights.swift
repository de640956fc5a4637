// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore

extension Graph {
  /// The same graph with constants after `DequantizeLinear` in the form that computations use.
  ///
  /// Weights of a layer with a quantized input stay integers: int8 around 0, whatever the stored
  /// type, so that they can be multiplied directly. All others become fp32: a layer with an fp32
  /// input computes in fp32 and would restore its weights in every run; subgraphs among the
  /// attributes of nodes would do so in every step.
  public func restoringWeights() -> Graph { transposingCodes().restoringStoredWeights() }

  private func restoringStoredWeights() -> Graph {
    var result = self
    result.nodes = []
    let outputs = Set(outputs.map(\.name))
    let uses = StoredUses(self)
    var names = FreshNames(self)
    // By the outputs of the nodes that make them: the last makes the weights, the others what only
    // it reads.
    var scaled: [String: Tensor<Float>?] = [:]
    for codes in scaledCodes {
      guard let values = codes.restored(in: self) else { continue }
      for node in codes.nodes { scaled[node.outputs[0]] = .some(nil) }
      scaled[codes.weights] = values
    }
    for var node in nodes {
      for (key, attribute) in node.attributes {
        if case .graph(let inner) = attribute {
          node.attributes[key] = .graph(inner.restoringWeights())
        }
      }
      if let product = scaled[node.outputs.first ?? ""] {
        if let values = product { result.initializers[node.outputs[0]] = .float32(values) }
        continue
      }
      guard node.opType == "DequantizeLinear", !outputs.contains(node.outputs[0]),
        let stored = StoredWeights(node, self)
      else {
        result.nodes.append(node)
        continue
      }
      if uses.isReadByIntegerLayers(node.outputs[0]),
        let kept = stored.integers(in: &result, &names)
      {
        result.nodes.append(kept)
      } else if uses.isReadPacked(node) {
        result.nodes.append(node)
      } else if let values = stored.restored {
        result.initializers[node.outputs[0]] = .float32(values)
      } else {
        result.nodes.append(node)
      }
    }
    if result.nodes != nodes { result.removeUnusedInitializers() }
    return result
  }
}

extension Graph {
  /// The graph with codes that a `Transpose` turns before they are restored as constants: of
  /// weights that a table and a layer share.
  private func transposingCodes() -> Graph {
    let restored = Set(nodes.filter { $0.opType == "DequantizeLinear" }.compactMap(\.inputs.first))
    let outputs = Set(outputs.map(\.name))
    var result = self
    result.nodes = nodes.filter { node in
      guard node.opType == "Transpose", let codes = node.inputs.first.flatMap({ initializers[$0] }),
        [.int8, .uint8].contains(codes.dtype), restored.contains(node.outputs[0]),
        !outputs.contains(node.outputs[0]),
        let turned = constantResults(of: node, limit: codes.byteCount)?.first
      else { return true }
      result.initializers[node.outputs[0]] = turned
      return false
    }
    return result
  }
}

/// How the values of a graph are read, determined for all of them at once.
private struct StoredUses {
  private let graph: Graph
  /// Values that result from dequantizing, wherever they were moved to.
  private var restored: Set<String> = []

  init(_ graph: Graph) {
    self.graph = graph
    for node in graph.nodes where isRestored(by: node) { restored.formUnion(node.outputs) }
  }

  private func isRestored(by node: Node) -> Bool {
    guard let first = node.inputs.first else { return false }
    switch node.opType {
    case "DequantizeLinear": return graph.initializers[first] == nil
    case "Flatten", "Reshape", "MaxPool", "Transpose", "Squeeze", "Unsqueeze", "Identity":
      return restored.contains(first)
    case "Concat": return node.inputs.allSatisfy(restored.contains)
    default: return false
    }
  }

  /// Whether a node restores a 4-bit matrix for matrix products, which decode it on the fly.
  func isReadPacked(_ node: Node) -> Bool {
    guard let codes = graph.initializers[node.inputs[0]], [.int4, .uint4].contains(codes.dtype),
      codes.shape.rank == 2
    else { return false }
    let name = node.outputs[0]
    return graph.consumers(of: name).allSatisfy { index in
      let reader = graph.nodes[index]
      return reader.isStandard && ["Gemm", "MatMul"].contains(reader.opType)
        && reader.inputs.indices.filter { reader.inputs[$0] == name } == [1]
    }
  }

  /// Whether all readers of a value are layers with quantized inputs that use it as weights or
  /// bias.
  func isReadByIntegerLayers(_ name: String) -> Bool {
    let readers = graph.consumers(of: name)
    guard !readers.isEmpty else { return false }
    return readers.allSatisfy { index in
      let node = graph.nodes[index]
      return node.isStandard && ["Conv", "Gemm", "MatMul"].contains(node.opType)
        && node.inputs.count > 1
        && node.inputs[0] != name && restored.contains(node.inputs[0])
    }
  }
}

/// A constant that a `DequantizeLinear` restores.
private struct StoredWeights {
  private let node: Node
  private let codes, scale: AnyTensor
  private let zeroPoint: AnyTensor?

  init?(_ node: Node, _ graph: Graph) {
    guard OperatorRegistry.supports(node), 2...3 ~= node.inputs.count, node.outputs.count == 1,
      let codes = graph.initializers[node.inputs[0]],
      let scale = graph.initializers[node.inputs[1]]
    else { return nil }
    self.node = node
    (self.codes, self.scale) = (codes, scale)
    guard node.inputs.count > 2, !node.inputs[2].isEmpty else {
      zeroPoint = nil
      return
    }
    guard let zero = graph.initializers[node.inputs[2]] else { return nil }
    zeroPoint = zero
  }

  private var layout: QuantizationLayout? {
    guard let axis = try? node.int("axis", default: 1), let blockSize = try? node.blockSize() else {
      return nil
    }
    return try? QuantizationLayout(
      node.opType, codes.shape, axis: axis, blockSize: blockSize, scale: scale.shape,
      zeroPoint?.shape)
  }

  /// The node, with int8 codes around 0 added to the graph; `nil` if that is not possible.
  func integers(in graph: inout Graph, _ names: inout FreshNames) -> Node? {
    guard let layout, layout.hasRuns else { return nil }
    let points = zeroPoint?.integers
    if [.int8, .int32].contains(codes.dtype), points?.allSatisfy({ $0 == 0 }) ?? true {
      return node
    }
    guard [.int8, .uint8, .int4, .uint4].contains(codes.dtype) else { return nil }
    let differences = codes.integers.enumerated().map { position, code in
      code - (points?[layout.scaleIndex(position)] ?? 0)
    }
    guard differences.allSatisfy({ -128...127 ~= $0 }) else { return nil }
    var node = node
    let name = names.next("\(node.inputs[0]).centred")
    graph.initializers[name] = .int8(Tensor(codes.shape, differences.map { Int8($0) }))
    node.inputs = [name, node.inputs[1]]
    return node
  }

  /// The weights in fp32.
  var restored: Tensor<Float>? {
    var operands: [AnyTensor?] = [codes, scale, zeroPoint]
    guard let op = try? DequantizeLinear(node, opset: 21),
      let infos = try? op.infer(operands.map { $0.map(TensorInfo.init) }),
      (try? infos[0].limited("")) != nil
    else { return nil }
    return try? op.forward(&operands, ExecutionContext())[0].require()
  }
}
