// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore

extension Fusion {
  /// Nodes between 8-bit codes that compute a function of one code become a table.
  ///
  /// Quantizers write a curve such as x · sigmoid(x) as several nodes with a `QuantizeLinear` and a
  /// `DequantizeLinear` after each. The nodes are run on all 256 codes, so the result is exactly
  /// theirs.
  mutating func fuseTables() {
    var taken: Set<Int> = []
    for index in graph.nodes.indices.reversed()
    where !taken.contains(index) && graph.nodes[index].opType == "QuantizeLinear" {
      guard let (nodes, root) = table(endingAt: index),
        let table = codes(of: nodes, root, graph.nodes[index].outputs[0])
      else { continue }
      taken.formUnion(nodes)
      let end = graph.nodes[index]
      let name = add(table, "table of \(end.outputs[0])")
      replace(
        index,
        by: Node(
          LookUpTable.opType, name: end.name, domain: LookUpTable.domain,
          inputs: [root, end.inputs[1], end.inputs[2], name], outputs: end.outputs))
    }
  }

  /// Operators of one value and scalars that may be part of a table.
  private static let parts: Set<String> = [
    "Abs", "Add", "Clip", "Div", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish",
    "Identity", "LeakyRelu", "Log", "Max", "Min", "Mish", "Mul", "Neg", "Pow", "Reciprocal", "Relu",
    "Sigmoid", "Softplus", "Sqrt", "Sub", "Swish", "Tanh",
  ]
  private static let conversions: Set<String> = ["QuantizeLinear", "DequantizeLinear"]
  /// Longer functions are left as they are.
  private static let mostNodes = 40

  /// Walks up from a node, always past the latest computed value, and remembers the last place
  /// where everything passed depends on the codes of one value.
  private func table(endingAt end: Int) -> (nodes: [Int], root: String)? {
    let target = infos[graph.nodes[end].outputs[0]]
    guard let target, target.dtype.isByte, let first = codeOperands(of: end, target.shape),
      graph.nodes[end].inputs.count == 3
    else { return nil }
    var (nodes, frontier, hasFunction) = ([end], first, false)
    var best: (nodes: [Int], root: String)?
    while nodes.count <= Self.mostNodes {
      if frontier.count == 1, hasFunction, let info = infos[frontier.first!], info.dtype.isByte,
        info.shape == target.shape
      {
        best = (nodes, frontier.first!)
      }
      let latest = frontier.max { (producer($0)?.index ?? -1) < (producer($1)?.index ?? -1) }
      guard let latest, let (index, node) = producer(latest),
        let more = codeOperands(of: index, target.shape)
      else { break }
      frontier.remove(latest)
      frontier.formUnion(more)
      nodes.append(index)
      if !Self.conversions.contains(node.opType) { hasFunction = true }
    }
    return best
  }

  /// The non-scalar inputs of a node, if it may be part of a table.
  private func codeOperands(of index: Int, _ shape: Shape) -> Set<String>? {
    let node = graph.nodes[index]
    guard node.domain.isEmpty, node.outputs.count == 1, infos[node.outputs[0]]?.shape == shape
    else {
      return nil
    }
    if Self.conversions.contains(node.opType) {
      let areScalars = node.inputs.dropFirst().allSatisfy {
        $0.isEmpty || graph.initializers[$0]?.shape.count == 1
      }
      return areScalars ? [node.inputs[0]] : nil
    }
    guard Self.parts.contains(node.opType) else { return nil }
    let names = node.inputs.filter { !$0.isEmpty && scalar($0, rank: shape.rank) == nil }
    return names.contains { graph.initializers[$0] != nil } ? nil : Set(names)
  }

  /// The results of nodes for all codes of the root.
  private func codes(of nodes: [Int], _ root: String, _ result: String) -> AnyTensor? {
    let members = nodes.sorted().map { graph.nodes[$0] }
    let dtype = infos[root]!.dtype
    var part = Graph(name: "table")
    part.opset = graph.opset
    part.inputs = [ValueInfo(root, dtype, [.fixed(256)])]
    part.nodes = members
    for name in members.flatMap(\.inputs) {
      if let constant = graph.initializers[name] { part.initializers[name] = constant }
    }
    part.outputs = [ValueInfo(result, infos[result]!.dtype, [.fixed(256)])]
    let codes: AnyTensor =
      dtype == .int8
      ? .int8(Tensor([256], Array(Int8.min...Int8.max)))
      : .uint8(Tensor([256], Array(UInt8.min...UInt8.max)))
    let results = try? Interpreter(part).run([root: codes], ExecutionContext(threads: .serial))
    guard let table = results?[result], table.shape == [256] else { return nil }
    return table
  }
}
