// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// A graph of named nodes, written down one by one.
func model(
  _ inputs: [ValueInfo], _ nodes: [Node], _ constants: OrderedDictionary<String, AnyTensor> = [:],
  outputs: [ValueInfo]
) -> Graph {
  Graph(name: "model", nodes: nodes, initializers: constants, inputs: inputs, outputs: outputs)
}

/// A node with the name of its result.
func node(
  _ opType: String, _ inputs: [String], _ output: String, _ attributes: [String: Attribute] = [:]
) -> Node {
  Node(opType, name: output, inputs: inputs, outputs: [output], attributes: attributes)
}

func value(_ name: String, _ dtype: DType = .float32, _ dimensions: Dimension...) -> ValueInfo {
  ValueInfo(name, dtype, dimensions)
}

/// Small numbers around zero that differ from place to place.
func floats(_ shape: Shape, seed: UInt64 = 1) -> AnyTensor {
  var generator = RandomGenerator(seed: seed)
  return .float32(Tensor(shape, uniformIn: -1...1, using: &generator))
}

func bytes(_ shape: Shape, seed: UInt64 = 1) -> AnyTensor {
  var generator = RandomGenerator(seed: seed)
  return .int8(Tensor(shape, (0..<shape.count).map { _ in Int8(generator.below(255) - 127) }))
}

func scalar(_ value: Float) -> AnyTensor { .float32(Tensor([], [value])) }

/// Convolution, pooling, residual, pooling of all pixels and a fully connected layer: takes images
/// of any size.
func anySizeModel() -> Graph {
  let pads: Attribute = .ints([1, 1, 1, 1])
  return model(
    [value("x", .float32, .symbolic("N"), .fixed(3), .symbolic("H"), .symbolic("W"))],
    [
      node("Conv", ["x", "w1", "b1"], "a", ["pads": pads]),
      node("Relu", ["a"], "b"),
      node(
        "MaxPool", ["b"], "c",
        ["kernel_shape": .ints([3, 3]), "strides": .ints([2, 2]), "ceil_mode": .int(1)]),
      node("Conv", ["c", "w2"], "d", ["pads": pads]),
      node("Add", ["d", "c"], "e"),
      node("Sigmoid", ["e"], "f"),
      node("Conv", ["f", "w3"], "g", ["pads": pads, "group": .int(8)]),
      node("GlobalAveragePool", ["g"], "h"),
      node("Flatten", ["h"], "i"),
      node("Gemm", ["i", "w4", "b4"], "y", ["transB": .int(1)]),
    ],
    [
      "w1": floats([8, 3, 3, 3]), "b1": floats([8]), "w2": floats([8, 8, 3, 3], seed: 2),
      "w3": floats([8, 1, 3, 3], seed: 3), "w4": floats([10, 8], seed: 4),
      "b4": floats([10], seed: 5),
    ], outputs: [value("y", .float32, .symbolic("N"), .fixed(10))])
}
