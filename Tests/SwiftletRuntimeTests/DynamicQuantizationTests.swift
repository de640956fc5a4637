// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletRuntime
import Testing

/// Products whose inputs are quantized by the range that they have in each run: sessions compute
/// them on the integer kernels, and come to the bits of the reference.
struct DynamicQuantizationTests {
  private let depth = 37, columns = 21

  private func codes(_ shape: Shape, seed: UInt64) -> AnyTensor {
    var generator = RandomGenerator(seed: seed)
    return .int8(
      Tensor(
        shape, (0..<shape.count).map { _ in Int8(truncatingIfNeeded: Int(generator.next() & 255)) })
    )
  }

  /// y = Cast(MatMulInteger(q, w)) · (s · s_w) + b, as quantizers write it.
  private func product(
    _ x: String, _ y: String, hasBias: Bool, relu: Bool = false
  ) -> [Node] {
    let sum = hasBias || relu ? "\(y).product" : y
    var nodes = [
      Node(
        "DynamicQuantizeLinear", name: "\(y).range", inputs: [x],
        outputs: ["\(y).q", "\(y).s", "\(y).z"]),
      node("MatMulInteger", ["\(y).q", "w", "\(y).z"], "\(y).sums"),
      node("Cast", ["\(y).sums"], "\(y).units", ["to": .int(1)]),
      node("Mul", ["\(y).s", "scale"], "\(y).factors"),
      node("Mul", ["\(y).units", "\(y).factors"], sum),
    ]
    if hasBias { nodes.append(node("Add", [sum, "b"], relu ? "\(y).sum" : y)) }
    if relu { nodes.append(node("Relu", [hasBias ? "\(y).sum" : sum], y)) }
    return nodes
  }

  private func constants(perColumn: Bool) -> OrderedDictionary<String, AnyTensor> {
    [
      "w": codes([depth, columns], seed: 1), "b": floats([columns], seed: 2),
      "scale": .float32(
        perColumn
          ? Tensor([columns], (0..<columns).map { 0.003 + 0.001 * Float($0) })
          : Tensor([], [0.0123])),
    ]
  }

  private func rows(_ names: String...) -> [ValueInfo] {
    names.map { value($0, .float32, .symbolic("N"), .symbolic("S \($0)"), .symbolic("C \($0)")) }
  }

  private func check(
    _ graph: Graph, _ inputs: [String: AnyTensor], sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> [Computation.Kind] {
    let kinds = try computationsOfSessions(
      graph, inputs, agree: ==, sourceLocation: sourceLocation)
    for own in kinds {
      #expect(own.contains(.range), "\(own)", sourceLocation: sourceLocation)
    }
    return kinds.last!
  }

  @Test(arguments: [false, true], [false, true])
  func rowsOfSeveralImages(hasBias: Bool, relu: Bool) throws {
    let graph = model(
      rows("x"), product("x", "y", hasBias: hasBias, relu: relu), constants(perColumn: hasBias),
      outputs: rows("y"))
    for (batch, length) in [(1, 1), (1, 40), (5, 3), (64, 19)] {
      let kinds = try check(graph, ["x": floats([batch, length, depth])])
      #expect(!kinds.contains(.reference), "\(kinds)")
    }
  }

  /// The batch is one range, however many images there are.
  @Test func oneImageDecidesForAll() throws {
    let graph = model(
      rows("x"), product("x", "y", hasBias: true), constants(perColumn: true), outputs: rows("y"))
    var values = [Float](repeating: 0.01, count: 200 * 4 * depth)
    (values[150 * 4 * depth + 3], values[7]) = (90, -.nan)
    _ = try check(graph, ["x": .float32(Tensor([200, 4, depth], values))])
  }

  @Test func valuesWithoutRange() throws {
    let graph = model(
      rows("x"), product("x", "y", hasBias: true), constants(perColumn: true), outputs: rows("y"))
    for element: Float in [0, -0.0, 2, -3] {
      let input = Tensor<Float>([2, 3, depth], repeating: element)
      _ = try check(graph, ["x": .float32(input)])
    }
  }

  /// Vectors, and two products of the same values, which are quantized once.
  @Test func sharedInputsOfVectors() throws {
    let graph = model(
      [value("x", .float32, .symbolic("N"), .fixed(depth))],
      product("x", "y", hasBias: true) + product("x", "z", hasBias: false),
      constants(perColumn: true),
      outputs: ["y", "z"].map { value($0, .float32, .symbolic("N"), .fixed(columns)) })
    for batch in [1, 2, 130] {
      let kinds = try check(graph, ["x": floats([batch, depth])])
      #expect(kinds.count { $0 == .range } == 1)
    }
  }

  /// onnxruntime's own operator for the same.
  @Test(arguments: [false, true])
  func fusedByOthers(hasBias: Bool) throws {
    let graph = model(
      rows("x"),
      [
        Node(
          "DynamicQuantizeMatMul", name: "y", domain: "com.microsoft",
          inputs: ["x", "w", "scale", ""] + (hasBias ? ["b"] : []), outputs: ["y"])
      ], constants(perColumn: true), outputs: rows("y"))
    let input = floats([3, 5, depth])
    _ = try check(graph, ["x": input])
    let spelled = model(
      rows("x"), product("x", "y", hasBias: hasBias), constants(perColumn: true), outputs: rows("y")
    )
    let expected = try Interpreter(spelled).run(["x": input], ExecutionContext())
    #expect(try Session(graph).run(["x": input])["y"] == expected["y"])
  }

  /// Other zero points, unsigned weights, sums that are read: the reference computes them.
  @Test(arguments: 0..<3)
  func whatKernelsDoNotTake(variant: Int) throws {
    var nodes = product("x", "y", hasBias: true)
    var constants = constants(perColumn: true)
    var outputs = rows("y")
    switch variant {
    case 0:
      constants["zw"] = .int8(Tensor([], [3]))
      nodes[1].inputs.append("zw")
    case 1:
      constants["w"] = .uint8(Tensor([depth, columns], repeating: 200))
      constants["zw"] = .uint8(Tensor([], [190]))
      nodes[1].inputs.append("zw")
    default:
      outputs.append(value("y.sums", .int32, .symbolic("N"), .symbolic("S"), .symbolic("C")))
    }
    let graph = model(rows("x"), nodes, constants, outputs: outputs)
    let inputs = ["x": floats([2, 5, depth])]
    let expected = try Interpreter(graph).run(inputs, ExecutionContext())
    let results = try Session(graph).run(inputs)
    for (name, tensor) in expected { #expect(results[name] == tensor) }
  }
}
