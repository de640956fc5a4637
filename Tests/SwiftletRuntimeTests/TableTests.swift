// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletRuntime
import Testing

/// Functions of one 8-bit value, written as several quantized nodes, are tables.
struct TableTests {
  /// A convolution, and a curve of its result.
  private static func network(_ curve: String) -> Graph {
    var builder = GraphBuilder(seed: 8, input: [3, 9, 9])
    let layer = builder.add("Conv", ["x", builder.weights([8, 3, 3, 3], times: 0.4)])!
    func number(_ value: Float) -> String { builder.constant(.float32(Tensor([], [value]))) }
    let result: String
    switch curve {
    case "swish": result = builder.add("Mul", [layer, builder.add("Sigmoid", [layer])!])!
    case "hardSwish": result = builder.add("Mul", [builder.add("HardSigmoid", [layer])!, layer])!
    default:
      let scaled = builder.add("Div", [layer, number(1.41421356)])!
      let shifted = builder.add("Add", [builder.add("Erf", [scaled])!, number(1)])!
      result = builder.add("Mul", [builder.add("Mul", [layer, shifted])!, number(0.5)])!
    }
    builder.output(builder.add("Conv", [result, builder.weights([4, 8, 1, 1], times: 0.4)])!)
    return builder.graph
  }

  @Test(arguments: ["swish", "hardSwish", "gelu"], 0..<6)
  func curves(curve: String, seed: Int) throws {
    let graph = Self.network(curve)
    let input = try randomInput(graph, batch: 3)
    let quantized = try QuantizedGraph(graph, seed: UInt64(seed), sample: input)
    let inputs = ["x": input]
    let reference = try Interpreter(quantized.graph)
    let expected = try reference.run(inputs, ExecutionContext())
    // The nodes are run on all codes, so that a table changes no bit.
    let shapes = Dictionary(uniqueKeysWithValues: graph.inputs.map { ($0.name, input.shape) })
    let fused = try quantized.graph.fusingPatterns(reference.inferForRun(shapes))
    #expect(fused.nodes.contains { $0.opType == LookUpTable.opType }, "\(fused.listing)")
    #expect(!fused.nodes.contains { ["Sigmoid", "Erf", "HardSigmoid"].contains($0.opType) })
    #expect(try Interpreter(fused).run(inputs, ExecutionContext()) == expected)
    for threads in [1, 3] {
      let session = try Session(quantized.graph, threads: Threads(count: threads))
      let results = try session.run(inputs)
      for (name, tensor) in expected {
        // A convolution may round to the next code, which the curve and the last layer pass on.
        #expect(difference(results[name]!, tensor) < 0.1, "\(name), \(threads) threads")
      }
      let kinds = try session.computations(inputs).map(\.kind)
      #expect(kinds.contains(.lookUp) && !kinds.contains(.activate), "\(kinds)")
    }
  }

  @Test func refusals() {
    let node = Node(
      LookUpTable.opType, name: "t", domain: LookUpTable.domain,
      inputs: ["x", "scale", "zero", "table"], outputs: ["y"])
    func inferred(_ x: TensorInfo, _ table: TensorInfo) -> [TensorInfo]? {
      let scale = TensorInfo(.float32, [])
      return try? OperatorRegistry.make(node, opset: 18)
        .infer([x, scale, TensorInfo(.uint8, []), table])
    }
    #expect(inferred(TensorInfo(.int8, [2, 3]), TensorInfo(.uint8, [256]))?[0].shape == [2, 3])
    #expect(inferred(TensorInfo(.float32, [2, 3]), TensorInfo(.uint8, [256])) == nil)
    #expect(inferred(TensorInfo(.int8, [2, 3]), TensorInfo(.uint8, [255])) == nil)
    #expect(inferred(TensorInfo(.int8, [2, 3]), TensorInfo(.int16, [256])) == nil)
  }
}
