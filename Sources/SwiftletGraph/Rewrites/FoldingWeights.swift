import OrderedCollections
package import SwiftletCore

extension Graph {
  /// The same graph with its weights as constants, however the file computes them: `Constant`
  /// nodes, and nodes that move, convert or scale constants. The factors of a Gemm (`alpha`,
  /// `beta`) become part of its weights and its bias, and the bias has an element for each output.
  ///
  /// Constants of types other than fp32, such as shapes, are unchanged. So are nodes whose folding
  /// would enlarge the file because others read their inputs. A constant derived from a 16-bit one
  /// is stored in 16 bits in the file, too.
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

  /// The size of all constants in bytes, including those in nodes.
  private var constantBytes: Int {
    nodes.reduce(weightByteCount) { sum, node in
      guard node.opType == "Constant", case .tensor(let value)? = node.attributes["value"] else {
        return sum
      }
      return sum + value.byteCount
    }
  }

  private func folding(_ operators: Set<String>) -> Graph {
    let fixed = Set(outputs.map(\.name)).union(nodes.flatMap(\.captures))
    // Codes of 8 bits are as good as quantized weights: as fp32 they would have four times their
    // size.
    let codes = Set(scaledCodes.flatMap(\.nodes).flatMap(\.outputs))
    var result = self
    result.nodes = []
    // Includes the values of constants that remain nodes.
    var known = Graph(name: name, initializers: initializers, opset: opset)
    var folded: Set<String> = []
    var renaming: [String: String] = [:]
    for var node in nodes {
      node.rename(reads: renaming)
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
      if let name = node.outputs.first, node.handsOnFloats,
        result.initializers[source]?.dtype == .float32
      {
        renaming[name] = source
        if node.opType == "Cast" { result.noteBFloats(source) }
        continue
      }
      for (name, value) in zip(node.outputs, values) where !name.isEmpty {
        result.initializers[name] = value
        if result.halves[name] == nil { result.keepHalf(of: source, for: name) }
        folded.insert(name)
      }
    }
    guard !folded.isEmpty || !renaming.isEmpty else { return self }
    // Shapes computed for folded values have no readers left.
    let dead = Set(nodes.filter { operators.contains($0.opType) }.flatMap(\.outputs))
    result.removeUnread(dead)
    result.removeUnusedInitializers()
    return result
  }

  /// Removes nodes that produce only those of these values that nobody reads.
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

  /// Replaces the value of a constant, under a new name if others read the old one.
  package mutating func setConstant(_ name: String, _ tensor: Tensor<Float>) -> String {
    let isShared = consumers(of: name).count > 1 || outputs.contains { $0.name == name }
    let own = isShared ? freshName("\(name)_folded") : name
    initializers[own] = .float32(tensor)
    keepHalf(of: name, for: own)
    return own
  }

  /// Writes a constant with the 16-bit type that another one has in the file; bf16 constants are
  /// rounded to it, as the file's are.
  package mutating func keepHalf(of source: String, for name: String) {
    guard source != name, let type = halves[source], case .float32(let tensor)? = initializers[name]
    else { return }
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

  private func foldingGemmFactors() -> Graph {
    var result = self
    for index in nodes.indices where nodes[index].opType == "Gemm" {
      result.foldGemmFactors(index)
    }
    return result
  }

  private mutating func foldGemmFactors(_ index: Int) {
    let node = nodes[index]
    guard node.inputs.count > 1, case .float32(let weights)? = initializers[node.inputs[1]],
      weights.shape.rank == 2, let transB = try? node.int("transB", default: 0),
      let alpha = try? node.float("alpha", default: 1),
      let beta = try? node.float("beta", default: 1)
    else { return }
    if alpha != 1 {
      // A separate copy for this layer would enlarge the file.
      guard consumers(of: node.inputs[1]).count == 1 else { return }
      nodes[index].inputs[1] = setConstant(node.inputs[1], weights.map { $0 * Float(alpha) })
      nodes[index].attributes["alpha"] = nil
    }
    guard node.inputs.count > 2, !node.inputs[2].isEmpty else {
      nodes[index].attributes["beta"] = nil
      return
    }
    let outputs = weights.shape[transB != 0 ? 0 : 1]
    guard case .float32(let addend)? = initializers[node.inputs[2]],
      addend.count == 1 || addend.count == outputs && addend.shape.dimensions.last == outputs
    else { return }
    guard beta != 1 || addend.count != outputs else { return }
    let elements = addend.elements.map { $0 * Float(beta) }
    let bias = Tensor(
      [outputs],
      elements.count == outputs ? elements : [Float](repeating: elements[0], count: outputs))
    nodes[index].inputs[2] = setConstant(node.inputs[2], bias)
    nodes[index].attributes["beta"] = nil
  }
}

extension Node {
  /// Whether fp32 passes through unchanged.
  fileprivate var handsOnFloats: Bool {
    opType == "Identity" || opType == "Cast" && attributes["to"] == .int(1)
  }
}
