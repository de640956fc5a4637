// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletTraining
import Testing

/// What exporters write around the layers of a network that is trained.
struct ExportTests {
  private struct Model {
    var graph = Graph(name: "export")

    mutating func node(
      _ opType: String, _ inputs: [String], _ outputs: String...,
      attributes: [String: Attribute] = [:]
    ) {
      graph.nodes.append(
        Node(
          opType, name: "\(opType) \(outputs[0])", inputs: inputs, outputs: outputs,
          attributes: attributes))
    }

    mutating func list(_ name: String, _ values: [Int]) {
      graph.initializers[name] = .int64(Tensor([values.count], values.map(Int64.init)))
    }

    mutating func weights(_ name: String, _ shape: Shape, seed: UInt64) {
      var generator = RandomGenerator(seed: seed)
      graph.initializers[name] = .float64(Tensor(shape, normalUsing: &generator))
    }
  }

  /// A layer whose result is split, chosen from, expanded and flattened by computed shapes.
  private func model() -> Graph {
    var model = Model()
    model.graph.inputs = [ValueInfo("x", .float64, [.symbolic("N"), .fixed(2), .fixed(3)])]
    model.weights("w", [3, 4], seed: 1)
    model.weights("token", [1, 1, 2], seed: 2)
    model.weights("f", [12, 3], seed: 3)
    model.node("MatMul", ["x", "w"], "a")
    model.list("parts", [1, 3])
    model.node("Split", ["a", "parts"], "b", "c", attributes: ["axis": .int(-1)])
    for (name, values) in [
      ("zero", [0]), ("one", [1]), ("two", [2]), ("three", [3]), ("rest", [-1]),
    ] { model.list(name, values) }
    model.node("Slice", ["c", "zero", "two", "two"], "d")
    model.node("Abs", ["d"], "e")
    model.graph.initializers["nothing"] = .float64(Tensor(.scalar, [0]))
    model.node("Greater", ["b", "nothing"], "isPositive")
    model.node("Where", ["isPositive", "d", "e"], "g")
    model.node("Shape", ["g"], "shape")
    model.node("Expand", ["token", "shape"], "h")
    model.node("Add", ["g", "h"], "i")
    model.node("Concat", ["i", "a"], "j", attributes: ["axis": .int(2)])
    // Floats in the computation of shapes are no weights, and their rounding is no obstacle.
    model.node("Gather", ["shape", "zero"], "n")
    model.node("Cast", ["n"], "number", attributes: ["to": .int(11)])
    model.graph.initializers["half"] = .float64(Tensor(.scalar, [0.5]))
    model.node("Mul", ["number", "half"], "halved")
    model.node("Add", ["halved", "halved"], "whole")
    model.node("Floor", ["whole"], "floored")
    model.node("Cast", ["floored"], "count", attributes: ["to": .int(7)])
    model.node("Concat", ["count", "rest"], "flat", attributes: ["axis": .int(0)])
    model.node("Reshape", ["j", "flat"], "k")
    model.node("MatMul", ["k", "f"], "y")
    model.graph.outputs = [ValueInfo("y", .float64, [.symbolic("N"), .fixed(3)])]
    return model.graph
  }

  @Test func gradientsFlowAroundShapeArithmetic() throws {
    let graph = model().withSlicesForSplits()
    #expect(!graph.nodes.contains { $0.opType == "Split" })
    let tape = try GradientTape<Double>(try Interpreter(graph))
    var generator = RandomGenerator(seed: 9)
    let x = AnyTensor.float64(Tensor([5, 2, 3], normalUsing: &generator))
    let slope = Tensor<Double>([5, 3], normalUsing: &generator)
    var parameters: [String: Tensor<Double>] = [:]
    for name in ["w", "token", "f"] { parameters[name] = graph.initializers[name]?.typed() }
    func loss(_ parameters: [String: Tensor<Double>]) throws -> GradientTape<Double>.Result {
      try tape.run(["x": x], parameters: parameters, threads: .serial, seed: 0) { outputs in
        let sum = zip(outputs[0].elements, slope.elements).reduce(0) { $0 + $1.0 * $1.1 }
        return (sum, [slope])
      }
    }
    let result = try loss(parameters)
    #expect(Set(result.gradients.keys).isSubset(of: ["w", "token", "f", "nothing"]))
    for (name, tensor) in parameters {
      let gradient = try #require(result.gradients[name])
      for element in 0..<tensor.count {
        func moved(_ step: Double) throws -> Double {
          var elements = tensor.elements
          elements[element] += step
          var changed = parameters
          changed[name] = Tensor(tensor.shape, elements)
          return try loss(changed).loss
        }
        let numeric = try (moved(1e-6) - moved(-1e-6)) / 2e-6
        #expect(abs(gradient.elements[element] - numeric) < 1e-5 * max(1, abs(numeric)))
      }
    }
  }

  @Test func operatorsWithoutGradientsAreNamed() throws {
    var graph = model()
    let place = try #require(graph.nodes.firstIndex { $0.opType == "Abs" })
    graph.nodes[place] = Node("CumSum", name: "sums", inputs: ["d", "axis"], outputs: ["e"])
    graph.initializers["axis"] = .int64(Tensor(.scalar, [1]))
    let error = #expect(throws: SwiftletError.self) {
      try GradientTape<Double>(try Interpreter(graph.withSlicesForSplits()))
    }
    #expect(error?.code == .unsupported && error?.location == "CumSum 'sums'")
    #expect(error?.mend?.contains("train the") == false)
  }
}
