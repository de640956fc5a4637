// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import SwiftletCore
import SwiftletONNXSchema

/// Replaces calls of a model's functions by the functions' nodes.
///
/// Names inside a function are prefixed with the name of the calling node. Functions in another
/// operator set than the model's, and recursive functions, are not inlined.
struct FunctionInlining {
  private struct Key: Hashable {
    let domain, name, overload: String
  }

  private let functions: [Key: ONNX_FunctionProto]
  private let opset: Int64
  private var inlined: Set<Key> = []
  /// The remaining number of nodes that may be written: nested calls may double it with each level.
  private var budget = 1 << 18
  private var calls = 0

  /// - Returns: `nil` if the model has no functions.
  init?(_ model: ONNX_ModelProto, opset: Int64) {
    guard !model.functions.isEmpty else { return nil }
    functions = Dictionary(
      model.functions.map { (Key(domain: $0.domain, name: $0.name, overload: $0.overload), $0) },
      uniquingKeysWith: { first, _ in first })
    self.opset = opset
  }

  /// The model without calls, and without the functions that were called.
  ///
  /// - Throws: `badInput` if there are too many nodes.
  mutating func apply(to model: inout ONNX_ModelProto) throws {
    try expand(&model.graph, depth: 0)
    model.functions.removeAll {
      inlined.contains(Key(domain: $0.domain, name: $0.name, overload: $0.overload))
    }
  }

  private mutating func expand(_ graph: inout ONNX_GraphProto, depth: Int) throws {
    graph.node = try nodes(graph.node, depth: depth, active: [])
  }

  private mutating func nodes(
    _ nodes: [ONNX_NodeProto], depth: Int, active: Set<Key>
  ) throws -> [ONNX_NodeProto] {
    var result: [ONNX_NodeProto] = []
    for var node in nodes {
      budget -= 1
      guard budget >= 0, depth <= 64 else {
        throw SwiftletError(.badInput, "the model's functions have too many nodes or levels")
      }
      let key = Key(domain: node.domain, name: node.opType, overload: node.overload)
      if let function = functions[key], !active.contains(key), isInThisOperatorSet(function),
        node.input.count <= function.input.count, node.output.count <= function.output.count
      {
        inlined.insert(key)
        let body = substituted(function, node)
        result += try self.nodes(body, depth: depth + 1, active: active.union([key]))
        continue
      }
      for index in node.attribute.indices where node.attribute[index].hasG {
        node.attribute[index].g.node = try self.nodes(
          node.attribute[index].g.node, depth: depth + 1, active: active)
      }
      result.append(node)
    }
    return result
  }

  private func isInThisOperatorSet(_ function: ONNX_FunctionProto) -> Bool {
    function.opsetImport.allSatisfy { !$0.isStandard || $0.version == opset }
  }

  /// The nodes of a function with the names and attributes of a call.
  private mutating func substituted(
    _ function: ONNX_FunctionProto, _ call: ONNX_NodeProto
  ) -> [ONNX_NodeProto] {
    calls += 1
    let prefix = "\(call.name.isEmpty ? call.opType : call.name)/\(calls)/"
    var names: [String: String] = [:]
    for (index, name) in function.input.enumerated() {
      names[name] = index < call.input.count ? call.input[index] : ""
    }
    var copies: [ONNX_NodeProto] = []
    for (index, name) in function.output.enumerated() {
      guard index < call.output.count, !call.output[index].isEmpty else { continue }
      if let input = names[name] {
        // A value that is only passed through has two outer names.
        copies.append(
          .with { ($0.opType, $0.input, $0.output) = ("Identity", [input], [call.output[index]]) })
      } else {
        names[name] = call.output[index]
      }
    }
    var attributes = Dictionary(
      function.attributeProto.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    for attribute in call.attribute { attributes[attribute.name] = attribute }
    let renaming = Renaming(names: names, prefix: prefix, attributes: attributes)
    return function.node.map(renaming.node) + copies
  }

  /// The names and attributes of one call.
  private struct Renaming {
    let names: [String: String]
    let prefix: String
    let attributes: [String: ONNX_AttributeProto]

    private func name(_ name: String) -> String {
      name.isEmpty ? name : names[name] ?? prefix + name
    }

    func node(_ node: ONNX_NodeProto) -> ONNX_NodeProto {
      var node = node
      node.name = prefix + (node.name.isEmpty ? node.opType : node.name)
      node.input = node.input.map(name)
      node.output = node.output.map(name)
      node.attribute = node.attribute.compactMap(attribute)
      return node
    }

    private func attribute(_ attribute: ONNX_AttributeProto) -> ONNX_AttributeProto? {
      var attribute = attribute
      if !attribute.refAttrName.isEmpty {
        guard var given = attributes[attribute.refAttrName] else { return nil }
        given.name = attribute.name
        attribute = given
      } else if attribute.hasG {
        attribute.g = graph(attribute.g)
      }
      return attribute
    }

    private func graph(_ graph: ONNX_GraphProto) -> ONNX_GraphProto {
      var graph = graph
      graph.node = graph.node.map(node)
      for index in graph.input.indices { graph.input[index].name = name(graph.input[index].name) }
      for index in graph.output.indices {
        graph.output[index].name = name(graph.output[index].name)
      }
      for index in graph.initializer.indices {
        graph.initializer[index].name = name(graph.initializer[index].name)
      }
      for index in graph.valueInfo.indices {
        graph.valueInfo[index].name = name(graph.valueInfo[index].name)
      }
      return graph
    }
  }
}
