// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
package import SwiftletCore

/// Builds a graph layer by layer, with seeded initial weights.
package struct GraphBuilder {
  private var graph: Graph
  private var generator: RandomGenerator

  /// - Parameters:
  ///   - name: The name of the graph.
  ///   - seed: The seed of the weights of its layers.
  package init(name: String, seed: UInt64 = 0) {
    graph = Graph(name: name)
    generator = RandomGenerator(seed: seed)
  }

  /// Adds an fp32 input and returns its name.
  package mutating func input(_ name: String, _ dimensions: [Dimension]) -> String {
    graph.inputs.append(ValueInfo(name, .float32, dimensions))
    return name
  }

  /// Adds a constant and returns its name.
  package mutating func constant(_ name: String, _ tensor: AnyTensor) -> String {
    graph.initializers[name] = tensor
    return name
  }

  /// Adds a node with one output and returns that value's name: the given one, or `NAME.out`.
  package mutating func apply(
    _ opType: String, _ name: String, _ inputs: [String], _ attributes: [String: Attribute] = [:],
    result: String? = nil
  ) -> String {
    let output = result ?? "\(name).out"
    graph.nodes.append(
      Node(opType, name: name, inputs: inputs, outputs: [output], attributes: attributes))
    return output
  }

  /// Adds a 3×3 convolution that keeps the image size, with `NAME.weight` and `NAME.bias`.
  package mutating func conv(_ name: String, _ value: String, inputs: Int, outputs: Int) -> String {
    parameters(name, [outputs, inputs, 3, 3], fanIn: inputs * 9)
    return apply(
      "Conv", name, [value, "\(name).weight", "\(name).bias"],
      ["kernel_shape": .ints([3, 3]), "pads": .ints([1, 1, 1, 1])])
  }

  /// Adds a fully connected layer, with `NAME.weight` and `NAME.bias`.
  package mutating func linear(
    _ name: String, _ value: String, inputs: Int, outputs: Int, result: String? = nil
  ) -> String {
    parameters(name, [outputs, inputs], fanIn: inputs)
    return apply(
      "Gemm", name, [value, "\(name).weight", "\(name).bias"], ["transB": .int(1)], result: result)
  }

  /// Weights and biases, uniform within ±1/√fanIn.
  private mutating func parameters(_ name: String, _ shape: Shape, fanIn: Int) {
    let bound = 1 / Double(fanIn).squareRoot()
    for (part, shape) in [("weight", shape), ("bias", [shape[0]])] {
      _ = constant(
        "\(name).\(part)",
        .float32(Tensor(shape, uniformIn: -bound...bound, using: &generator)))
    }
  }

  /// The graph, with an fp32 output.
  package consuming func finish(output: String, _ dimensions: [Dimension]) -> Graph {
    graph.outputs = [ValueInfo(output, .float32, dimensions)]
    return graph
  }
}
