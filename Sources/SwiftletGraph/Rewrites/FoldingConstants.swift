// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore

extension Graph {
  /// The same graph with nodes that read only constants replaced by their results.
  ///
  /// Exceptions are `DequantizeLinear`, which would undo a quantization, results of the graph,
  /// results much larger than their inputs, and everything after results that together exceed the
  /// graph's constants: each of a series of nodes may double a value.
  public func foldingConstants() -> Graph {
    var result = self
    let kept = Set(outputs.map(\.name))
    var budget = 2 * weightByteCount + Self.smallResults
    result.nodes = []
    for node in nodes {
      guard node.captures.isEmpty, kept.isDisjoint(with: node.outputs),
        let values = result.constantResults(of: node, limit: budget)
      else {
        result.nodes.append(node)
        continue
      }
      budget -= values.reduce(0) { $0 + $1.byteCount }
      for (name, value) in zip(node.outputs, values) where !name.isEmpty {
        result.initializers[name] = value
      }
    }
    result.removeUnusedInitializers()
    return result
  }

  /// Results up to this size are always folded, whatever their inputs.
  private static let smallResult = 1 << 20
  /// The total of all results may always reach this size.
  private static let smallResults = 16 << 20

  func constantResults(of node: Node, limit most: Int) -> [AnyTensor]? {
    guard node.opType != "DequantizeLinear", node.opType != "Dropout" else { return nil }
    var operands: [AnyTensor?] = []
    for name in node.inputs {
      let value = initializers[name]
      guard name.isEmpty || value != nil else { return nil }
      operands.append(value)
    }
    var limit = operands.reduce(Self.smallResult) { $0 + ($1?.byteCount ?? 0) }
    for case .tensor(let value) in node.attributes.values { limit += value.byteCount }
    // An invalid node stays, and the interpreter of the graph reports it.
    guard let op = try? OperatorRegistry.make(node, opset: opset),
      let infos = try? op.infer(operands.map { $0.map(TensorInfo.init) }),
      infos.count >= node.outputs.count,
      infos.allSatisfy({ (try? $0.limited("")) != nil }),
      infos.reduce(0, { $0 + $1.shape.count * $1.dtype.byteCount }) <= min(limit, most)
    else { return nil }
    return try? op.forward(&operands, ExecutionContext())
  }
}
