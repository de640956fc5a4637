// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import Testing

/// A graph that is built node by node, with random weights.
struct ModelBuilder {
  var graph = Graph(name: "model")
  private var generator: RandomGenerator

  init(seed: UInt64, input: [Int], name: String = "x") {
    generator = RandomGenerator(seed: seed)
    graph.inputs = [ValueInfo(name, .float32, [.symbolic("N")] + input.map(Dimension.fixed))]
  }

  mutating func weights(_ name: String, _ shape: Shape, size: Double = 1) {
    let bound = size * (3 / Double(shape.count / shape[0])).squareRoot()
    graph.initializers[name] = .float32(
      Tensor(shape, uniformIn: -bound...bound, using: &generator))
  }

  mutating func node(
    _ opType: String, _ inputs: [String], _ output: String, _ attributes: [String: Attribute] = [:]
  ) {
    graph.nodes.append(
      Node(
        opType, name: "\(opType) \(output)", inputs: inputs, outputs: [output],
        attributes: attributes))
  }

  /// A convolution with as large a result as its input, and a bias.
  mutating func conv(
    _ input: String, _ output: String, _ channels: (from: Int, to: Int), kernel: Int = 3,
    groups: Int = 1
  ) {
    weights("\(output).w", [channels.to, channels.from / groups, kernel, kernel])
    weights("\(output).b", [channels.to], size: 0.1)
    let pad = kernel / 2
    node(
      "Conv", [input, "\(output).w", "\(output).b"], output,
      ["pads": .ints([pad, pad, pad, pad]), "group": .int(groups)])
  }

  mutating func gemm(_ input: String, _ output: String, _ sizes: (from: Int, to: Int)) {
    weights("\(output).w", [sizes.to, sizes.from])
    weights("\(output).b", [sizes.to], size: 0.1)
    node("Gemm", [input, "\(output).w", "\(output).b"], output, ["transB": .int(1)])
  }

  mutating func output(_ name: String, _ extents: [Int]) {
    graph.outputs.append(ValueInfo(name, .float32, [.symbolic("N")] + extents.map(Dimension.fixed)))
  }

  /// Two branches that are added, a concatenation, pools of all kinds, a classifier.
  static func residual(seed: UInt64) -> Graph {
    var model = ModelBuilder(seed: seed, input: [3, 8, 8])
    model.conv("x", "a", (3, 8))
    model.node("Relu", ["a"], "b")
    model.conv("b", "c", (8, 8))
    model.node("Add", ["c", "b"], "d")
    model.node("Relu", ["d"], "e")
    model.conv("e", "f", (8, 4), kernel: 1)
    model.node("Relu", ["f"], "g")
    model.node("Concat", ["e", "g"], "h", ["axis": .int(1)])
    model.node("MaxPool", ["h"], "i", ["kernel_shape": .ints([2, 2]), "strides": .ints([2, 2])])
    model.conv("i", "j", (12, 12), groups: 12)
    model.node("HardSwish", ["j"], "k")
    model.node(
      "AveragePool", ["k"], "l", ["kernel_shape": .ints([2, 2]), "strides": .ints([2, 2])])
    model.node("GlobalAveragePool", ["l"], "m")
    model.node("Flatten", ["m"], "n")
    model.gemm("n", "y", (12, 5))
    model.output("y", [5])
    return model.graph
  }

  /// Tokens × channels: two layers of MatMul with an activation that has no 8-bit form between
  /// them.
  static func encoder(seed: UInt64) -> Graph {
    var model = ModelBuilder(seed: seed, input: [6, 16])
    model.graph.initializers["gamma"] = .float32(
      Tensor([16], (0..<16).map { $0 == 3 ? 30 : 1 }))
    model.graph.initializers["beta"] = .float32(Tensor([16], repeating: 0.1))
    model.node("LayerNormalization", ["x", "gamma", "beta"], "a")
    model.weights("w1", [16, 32], size: 0.3)
    model.node("MatMul", ["a", "w1"], "b")
    model.node("Softmax", ["b"], "c", ["axis": .int(-1)])
    model.weights("w2", [32, 16])
    model.node("MatMul", ["c", "w2"], "y")
    model.output("y", [6, 16])
    return model.graph
  }
}

/// Expects an error of the given code whose line contains the fragment.
func expectError<Result>(
  _ code: SwiftletError.Code, _ fragment: String,
  sourceLocation: SourceLocation = #_sourceLocation, body: () throws -> Result
) {
  let error = #expect(throws: SwiftletError.self, sourceLocation: sourceLocation) {
    _ = try body()
  }
  guard let error else { return }
  #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
  #expect(error.description.contains(fragment), "\(error)", sourceLocation: sourceLocation)
}
