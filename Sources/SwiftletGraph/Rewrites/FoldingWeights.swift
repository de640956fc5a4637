// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
package import SwiftletCore

extension Graph {
  /// The same graph with its weights as constants, however the file computes them: `Constant`
  /// nodes, and nodes that move, convert or scale constants. The factors of a Gemm (`alpha`,
  /// `beta`) become part of its weights and its bias, and the bias has an element for each output.
  ///
  /// Constants of other types than fp32, such as shapes, stay as they are. So do nodes whose
  /// results would make the file larger, because others read what they are made of. A constant that
  /// is made of one of 16 bits has them in the file, too. The graphs in `If`, `Loop` and `Scan`
  /// nodes get theirs as well, also of constants around them.
  public func foldingWeights() -> Graph {
    let whole = folding(Self.weightOperators)
    let folded =
      whole.constantBytes <= constantBytes + Self.tolerance ? whole : folding(Self.holders)
    return folded.foldingGemmFactors()
  }

  /// Operators that hold or pass on a constant.
  private static let holders: Set<String> = ["Constant", "Identity", "Cast"]
  /// Plus those that exporters insert between a weight and the layer that reads it.
  private static let weightOperators = holders.union([
    "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Split", "Concat", "Gather",
    "Add", "Sub", "Mul", "Div", "Neg", "Abs", "Sqrt", "Reciprocal", "Pow", "ReduceL2", "ReduceMean",
    "ReduceSum", "Shape", "Size",
  ])
  /// The size that is neglected.
  private static let tolerance = 4096

  /// Bytes of all constants, those in nodes and in their graphs too.
  private var constantBytes: Int {
    nodes.reduce(weightByteCount) { sum, node in
      var sum = sum
      if node.opType == "Constant", case .tensor(let value)? = node.attributes["value"] {
        sum += value.byteCount
      }
      for case .graph(let inner) in node.attributes.values { sum += inner.constantBytes }
      return sum
    }
  }

  /// - Parameter outer: The constants of the graphs around this one, and the types of 16 bits of
  ///   some.
  private func folding(_ operators: Set<String>, in outer: Graph = Graph(name: "")) -> Graph {
    let fixed = Set(outputs.map(\.name))
    let inner = innerNames
    // Codes of 8 bits are as good as quantized weights: as fp32 they would have four times their
    // size.
    let codes = Set(scaledCodes.flatMap(\.nodes).flatMap(\.outputs))
    var result = self
    result.nodes = []
    // With the values of constants that stay nodes, and of those around this graph that it can see.
    var known = Graph(name: name, initializers: outer.initializers, opset: opset)
    if !known.initializers.isEmpty {
      for name in inputs.map(\.name) + nodes.flatMap(\.outputs) { known.initializers[name] = nil }
    }
    known.initializers.merge(initializers) { $1 }
    known.halves = outer.halves.filter { known.initializers[$0.key] != nil }
    known.halves.merge(halves) { $1 }
    var folded: Set<String> = []
    var renaming: [String: String] = [:]
    var isChanged = false
    for var node in nodes {
      node.rename(reads: renaming)
      for (key, attribute) in node.attributes {
        guard case .graph(let graph) = attribute else { continue }
        let changed = graph.folding(operators, in: known)
        guard changed != graph else { continue }
        node.attributes[key] = .graph(changed)
        isChanged = true
      }
      guard operators.contains(node.opType), fixed.isDisjoint(with: node.outputs),
        codes.isDisjoint(with: node.outputs),
        let values = known.constantResults(of: node, limit: .max)
      else {
        result.nodes.append(node)
        continue
      }
      for (name, value) in zip(node.outputs, values) where !name.isEmpty {
        known.initializers[name] = value
      }
      guard values.allSatisfy({ $0.dtype == .float32 }) else {
        result.nodes.append(node)
        continue
      }
      let source = node.inputs.first ?? ""
      // A name that a graph within has of its own would be another value there.
      if let name = node.outputs.first, node.handsOnFloats, !inner.contains(source),
        known.initializers[source]?.dtype == .float32
      {
        renaming[name] = source
        if node.opType == "Cast" { result.noteBFloats(source) }
        continue
      }
      for (name, value) in zip(node.outputs, values) where !name.isEmpty {
        result.initializers[name] = value
        if result.halves[name] == nil {
          result.keepHalf(known.halves[source], for: name)
          known.halves[name] = result.halves[name]
        }
        folded.insert(name)
      }
    }
    guard isChanged || !folded.isEmpty || !renaming.isEmpty else { return self }
    // Shapes that were computed for what is folded have no reader any more.
    let dead = Set(nodes.filter { operators.contains($0.opType) }.flatMap(\.outputs))
    result.removeUnread(dead)
    result.removeUnusedInitializers()
    return result
  }

  /// Names that the graphs within have of their own.
  private var innerNames: Set<String> {
    var names: Set<String> = []
    for node in nodes {
      for case .graph(let graph) in node.attributes.values {
        names.formUnion(graph.ownNames)
      }
    }
    return names
  }

  /// Names of all values of this graph and of those within it.
  private var ownNames: Set<String> {
    Set(initializers.keys).union(inputs.map(\.name)).union(nodes.flatMap(\.outputs))
      .union(innerNames)
  }

  /// Drops nodes that make nothing but values of these that nobody reads.
  private mutating func removeUnread(_ values: Set<String>) {
    var read = Set(outputs.map(\.name))
    var kept: [Node] = []
    for node in nodes.reversed() {
      guard node.outputs.contains(where: { !values.contains($0) || read.contains($0) }) else {
        continue
      }
      read.formUnion(node.reads)
      kept.append(node)
    }
    nodes = kept.reversed()
  }

  /// Gives the constant a new value, under a new name if others read the old one.
  ///
  /// - Parameters:
  ///   - name: The constant.
  ///   - tensor: Its new value.
  ///   - taken: Names besides the graph's own that a new one must not be.
  /// - Returns: The name of the constant with the new value.
  package mutating func setConstant(
    _ name: String, _ tensor: Tensor<Float>, avoiding taken: Set<String> = []
  ) -> String {
    let isShared = consumers(of: name).count > 1 || isOutput(name)
    var own = name
    if isShared {
      var names = FreshNames(self)
      repeat { own = names.next("\(name)_folded") } while taken.contains(own)
    }
    initializers[own] = .float32(tensor)
    keepHalf(of: name, for: own)
    return own
  }

  /// Writes a constant with the 16-bit type that another one has in the file; bf16 constants are
  /// rounded to it, as the file's are.
  package mutating func keepHalf(of source: String, for name: String) {
    if source != name { keepHalf(halves[source], for: name) }
  }

  private mutating func keepHalf(_ type: Int?, for name: String) {
    guard let type, case .float32(let tensor)? = initializers[name] else { return }
    halves[name] = type
    if type == 16 { initializers[name] = .float32(tensor.map(\.roundedToBFloat)) }
  }

  /// A bf16 constant that loses the `Cast` which marks it in the file.
  private mutating func noteBFloats(_ name: String) {
    guard halves[name] == nil, case .float32(let tensor)? = initializers[name],
      tensor.elements.allSatisfy(\.isBFloat)
    else { return }
    halves[name] = 16
  }

  /// - Parameter outer: Names of the graphs around this one, which new constants do not take.
  private func foldingGemmFactors(outer: Set<String> = []) -> Graph {
    var result = self
    // Of the graph as it was: an index of the changing one would be built again for every layer.
    let readers = index
    for index in nodes.indices {
      if nodes[index].opType == "Gemm" { result.foldGemmFactors(index, readers, outer) }
      for (key, attribute) in nodes[index].attributes {
        guard case .graph(let graph) = attribute else { continue }
        let folded = graph.foldingGemmFactors(outer: outer.union(ownNames))
        if folded != graph { result.nodes[index].attributes[key] = .graph(folded) }
      }
    }
    return result
  }

  private mutating func foldGemmFactors(
    _ index: Int, _ readers: GraphIndex, _ outer: Set<String>
  ) {
    guard let layer = try? LinearLayer(nodes[index]),
      case .float32(let weights)? = initializers[layer.weights],
      let outputs = layer.layout(weights.shape)?.outputs
    else { return }
    if layer.alpha != 1 {
      // A separate copy for this layer would enlarge the file.
      guard readers.consumers(of: layer.weights).count == 1 else { return }
      nodes[index].inputs[1] = setConstant(
        layer.weights, weights.map { $0 * layer.alpha }, avoiding: outer)
      nodes[index].attributes["alpha"] = nil
    }
    guard let bias = layer.bias else {
      nodes[index].attributes["beta"] = nil
      return
    }
    guard case .float32(let addend)? = initializers[bias],
      addend.count == 1 || addend.count == outputs && addend.shape.dimensions.last == outputs
    else { return }
    guard layer.beta != 1 || addend.count != outputs else { return }
    let elements = addend.elements.map { $0 * layer.beta }
    let scaled = Tensor(
      [outputs],
      elements.count == outputs ? elements : [Float](repeating: elements[0], count: outputs))
    nodes[index].inputs[2] = setConstant(bias, scaled, avoiding: outer)
    nodes[index].attributes["beta"] = nil
  }
}

extension Node {
  /// Whether fp32 passes through unchanged.
  fileprivate var handsOnFloats: Bool {
    opType == "Identity" || opType == "Cast" && attributes["to"] == .int(1)
  }
}
