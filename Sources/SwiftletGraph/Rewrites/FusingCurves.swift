// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore

extension Fusion {
  /// Nodes that compute a known function of one value, in any spelling, become that function's
  /// operator.
  ///
  /// There are many ways to write `Gelu`: orders of its products, a division by √2 or a product,
  /// factors of one half first or last. The comparison is therefore by function rather than by
  /// spelling: the nodes are run on numbers of all magnitudes, and must agree with the operator on
  /// each.
  mutating func fuseCurves() {
    // Outer nodes first, because they may cover more of the function.
    var taken: Set<Int> = []
    for index in graph.nodes.indices.reversed()
    where !taken.contains(index) && ["Mul", "Div"].contains(graph.nodes[index].opType) {
      guard let (nodes, root, curve) = curve(endingAt: index) else { continue }
      taken.formUnion(nodes)
      let end = graph.nodes[index]
      replace(
        index,
        by: Node(
          curve.opType, name: end.name, inputs: [root], outputs: end.outputs,
          attributes: curve.attributes))
    }
  }

  /// Operators of one value and constants that may be part of a curve.
  private static let parts: Set<String> = [
    "Add", "Clip", "Div", "Erf", "Exp", "HardSigmoid", "Log", "Max", "Min", "Mul", "Neg", "Pow",
    "Reciprocal", "Relu", "Sigmoid", "Softplus", "Sqrt", "Sub", "Tanh",
  ]
  /// Each known function contains one of these.
  private static let bends: Set<String> = [
    "Clip", "Erf", "Exp", "HardSigmoid", "Min", "Sigmoid", "Tanh",
  ]
  /// No known function has more nodes.
  private static let mostNodes = 12

  /// Walks up from a node, always past the latest computed value, until everything passed depends
  /// on one value and is a known function of it.
  private func curve(
    endingAt end: Int
  ) -> (nodes: [Int], root: String, curve: Curve)? {
    guard let target = infos[graph.nodes[end].outputs[0]], target.dtype == .float32 else {
      return nil
    }
    var nodes = [end]
    guard var frontier = operands(of: end, rank: target.shape.rank) else { return nil }
    while nodes.count <= Self.mostNodes {
      if frontier.count == 1, nodes.count > 1, infos[frontier.first!] == target,
        nodes.contains(where: { Self.bends.contains(graph.nodes[$0].opType) }),
        let values = values(of: nodes, frontier.first!),
        let curve = Curve.known.first(where: { $0.agrees(with: values) })
      {
        return (nodes, frontier.first!, curve)
      }
      let latest = frontier.max { (producer($0)?.index ?? -1) < (producer($1)?.index ?? -1) }
      guard let latest, let (index, _) = producer(latest),
        let more = operands(of: index, rank: target.shape.rank)
      else { return nil }
      frontier.remove(latest)
      frontier.formUnion(more)
      nodes.append(index)
    }
    return nil
  }

  /// The non-scalar inputs of a node, if it may be part of a curve.
  private func operands(of index: Int, rank: Int) -> Set<String>? {
    let node = graph.nodes[index]
    guard Self.parts.contains(node.opType), node.domain.isEmpty, node.outputs.count == 1 else {
      return nil
    }
    let names = node.inputs.filter { !$0.isEmpty && scalar($0, rank: rank) == nil }
    return names.contains { graph.initializers[$0] != nil } ? nil : Set(names)
  }

  /// The result of the nodes for the sample numbers.
  private func values(of nodes: [Int], _ root: String) -> [Float]? {
    let members = nodes.sorted().map { graph.nodes[$0] }
    var part = Graph(name: "curve")
    part.opset = graph.opset
    part.inputs = [ValueInfo(root, .float32, [.fixed(Curve.samples.count)])]
    part.nodes = members
    for name in members.flatMap(\.inputs) {
      if let constant = graph.initializers[name] { part.initializers[name] = constant }
    }
    part.outputs = [ValueInfo(members.last!.outputs[0], .float32, [])]
    let result = try? Interpreter(part).run([root: Curve.input], ExecutionContext(threads: .serial))
    return result?[part.outputs[0].name]?.typed(as: Float.self)?.elements
  }
}

/// A function of one number with an operator.
private struct Curve: Sendable {
  let opType: String
  let attributes: [String: Attribute]
  private let values: [Float]

  /// 64 numbers in each unit from −20 to 20, and powers of two up to ±2⁴⁰.
  static let samples: [Float] = {
    let steps = (-20 * 64...20 * 64).map { Float($0) / 64 }
    let powers = (-30...40).map { Float(sign: .plus, exponent: $0, significand: 1) }
    return steps + powers + powers.map { -$0 }
  }()
  static let input = AnyTensor(Tensor([samples.count], samples))

  static let known: [Curve] = [
    Curve("Gelu"), Curve("Gelu", ["approximate": .string("tanh")]), Curve("Swish"),
    Curve("HardSwish"), Curve("Mish"), Curve("Sigmoid"),
  ]

  private init(_ opType: String, _ attributes: [String: Attribute] = [:]) {
    (self.opType, self.attributes) = (opType, attributes)
    var inputs: [AnyTensor?] = [Self.input]
    let node = Node(opType, name: "", inputs: ["x"], outputs: ["y"], attributes: attributes)
    let results = try? OperatorRegistry.make(node, opset: 24)
      .forward(&inputs, ExecutionContext(threads: .serial))
    values = results![0].typed(as: Float.self)!.elements
  }

  /// Different rounding changes results by a few units in the last place of the largest
  /// intermediate number, which is near x or 1.
  func agrees(with others: [Float]) -> Bool {
    others.count == values.count
      && values.indices.allSatisfy {
        abs(values[$0] - others[$0]) <= 2e-6 * max(1, abs(Self.samples[$0]))
      }
  }
}
