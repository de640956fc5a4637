// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletRuntime
import Testing

/// Models whose operators are on 8-bit tensors, as onnxruntime's quantizer writes them too, run on
/// the integer kernels.
struct QuantizedOperatorTests {
  private var generator = RandomGenerator(seed: 8)
  private var graph = Graph(name: "operators")

  private mutating func constant(_ name: String, _ tensor: AnyTensor) -> String {
    graph.initializers[name] = tensor
    return name
  }

  /// Names of a scale and a uint8 zero point.
  private mutating func parameters(_ name: String, _ scale: Float, _ zero: UInt8) -> [String] {
    [
      constant("\(name).s", .float32(Tensor([], [scale]))),
      constant("\(name).z", .uint8(Tensor([], [zero]))),
    ]
  }

  /// Names of int8 weights, a scale for each of `outputs`, and zero points.
  private mutating func weights(_ name: String, _ shape: Shape, _ outputs: Int) -> [String] {
    let codes = (0..<shape.count).map { _ in Int8(generator.below(255) - 127) }
    let scales = (0..<outputs).map { _ in Float(0.002 + 0.008 * generator.uniform()) }
    return [
      constant(name, .int8(Tensor(shape, codes))),
      constant("\(name).s", .float32(Tensor([outputs], scales))),
      constant("\(name).z", .int8(Tensor(zeros: [outputs]))),
    ]
  }

  private mutating func node(
    _ opType: String, _ inputs: [String], _ output: String, _ attributes: [String: Attribute] = [:],
    domain: String = ""
  ) {
    graph.nodes.append(
      Node(
        opType, name: output, domain: domain, inputs: inputs, outputs: [output],
        attributes: attributes))
  }

  private mutating func start() {
    graph.inputs = [
      ValueInfo("x", .float32, [.symbolic("N"), .fixed(5), .fixed(6), .fixed(8)])
    ]
    node("QuantizeLinear", ["x"] + parameters("x", 0.03, 120), "x.q")
  }

  private func run(_ graph: Graph) throws -> (reference: AnyTensor?, session: AnyTensor) {
    var generator = RandomGenerator(seed: 2)
    let x = AnyTensor.float32(Tensor([3, 5, 6, 8], normalUsing: &generator))
    let session = try Session(graph)
    let kinds = try session.computations(["x": x]).map(\.kind)
    #expect(!kinds.contains(.reference), "\(kinds)")
    let name = graph.outputs[0].name
    return (
      try? Interpreter(graph).run(["x": x], ExecutionContext())[name],
      try session.run(["x": x])[name]!
    )
  }

  /// The reference computes these operators in exact integers: both agree bit for bit.
  @Test mutating func standardOperatorsAreIntegerLayers() throws {
    start()
    let image = parameters("x", 0.03, 120)
    let (a, b) = (parameters("a", 0.05, 90), parameters("b", 0.04, 131))
    let bias = constant("bias", .int32(Tensor([7], (0..<7).map { Int32($0 * 700 - 2000) })))
    node(
      "QLinearConv", ["x.q"] + image + weights("w", [7, 5, 3, 3], 7) + a + [bias], "a.q",
      ["pads": .ints([1, 1, 1, 1])])
    node("MaxPool", ["a.q"], "p.q", ["kernel_shape": .ints([2, 2]), "strides": .ints([2, 2])])
    node("Flatten", ["p.q"], "f.q")
    node("QLinearMatMul", ["f.q"] + a + weights("v", [84, 9], 9) + b, "y")
    graph.outputs = [ValueInfo("y", .uint8, [.symbolic("N"), .fixed(9)])]
    let (reference, session) = try run(graph)
    #expect(reference == session)
    guard case .uint8(let codes) = session else { return }
    #expect(Set(codes.elements).count > 7)
  }

  @Test mutating func onnxruntimesOperatorsAreKnown() throws {
    start()
    let image = parameters("x", 0.03, 120)
    let (a, b, c) = (
      parameters("a", 0.05, 90), parameters("b", 0.06, 100), parameters("c", 0.02, 110)
    )
    let own = "com.microsoft"
    node(
      "QLinearConv", ["x.q"] + image + weights("w", [5, 5, 3, 3], 5) + a, "a.q",
      ["pads": .ints([1, 1, 1, 1])])
    node("QLinearAdd", ["a.q"] + a + ["x.q"] + image + b, "b.q", domain: own)
    node("QLinearConcat", b + ["b.q"] + b + ["b.q"] + b, "d.q", ["axis": .int(1)], domain: own)
    node(
      "QLinearGlobalAveragePool", ["d.q"] + b + c, "g.q", ["channels_last": .int(0)], domain: own)
    node("Flatten", ["g.q"], "h.q")
    let bias = constant("bias", .int32(Tensor([4], [100, -200, 300, 0])))
    let matrix = weights("v", [4, 10], 4)
    node(
      "QGemm", ["h.q"] + c + matrix + [bias, "", ""], "y", ["transB": .int(1)], domain: own)
    graph.outputs = [ValueInfo("y", .float32, [.symbolic("N"), .fixed(4)])]
    let expanded = graph.expandingQuantizedOperators()
    #expect(expanded.nodes.allSatisfy { $0.domain.isEmpty })
    let (reference, session) = try run(expanded)
    // fp32 between quantizations may round to the other side of a tie: a step of the pool's result.
    let x = try #require(reference).require(Float.self).elements
    let y = try session.require(Float.self).elements
    for (a, b) in zip(x, y) { #expect(abs(a - b) < 0.02) }
    #expect(try run(graph).session == session)
  }

  /// A product of bytes whose result is of floats, with a factor that is the bias' too, which may
  /// spread over rows: α·sa·sb·((a − za)(b − zb) + c).
  @Test(arguments: [1, 3], [nil, [3], [1, 3], [2, 1], []] as [Shape?])
  func productsOfBytesGiveFloats(scales: Int, bias: Shape?) throws {
    let a: [UInt8] = [1, 2, 3, 4, 5, 250]
    let b: [Int8] = [1, -2, 3, 4, 5, -6, 7, -8, 9]
    let c = (0..<(bias?.count ?? 0)).map { Int32($0 * 100 - 50) }
    var graph = Graph(name: "product")
    graph.inputs = [ValueInfo("a", .uint8, [.fixed(2), .fixed(3)])]
    graph.outputs = [ValueInfo("y", .float32, [.fixed(2), .fixed(3)])]
    let units: [Float] = Array([0.25, 0.5, 2].prefix(scales))
    graph.initializers = [
      "s": .float32(Tensor([], [0.5])), "z": .uint8(Tensor([], [2])),
      "b": .int8(Tensor([3, 3], b)),
      "t": .float32(Tensor(scales == 1 ? [] : [scales], units)),
      "u": .int8(Tensor(zeros: scales == 1 ? [] : [scales])),
    ]
    if let bias { graph.initializers["c"] = .int32(Tensor(bias, c)) }
    graph.nodes = [
      Node(
        "QGemm", name: "q", domain: "com.microsoft",
        inputs: ["a", "s", "z", "b", "t", "u"] + (bias == nil ? [] : ["c"]), outputs: ["y"],
        attributes: ["alpha": .float(0.5)])
    ]
    let found = try Session(graph).run(["a": .uint8(Tensor([2, 3], a))])["y"]!
      .require(Float.self).elements
    let addend = bias.map { Tensor($0, c.map(Float.init)).broadcast(to: [2, 3]).elements }
    for place in 0..<6 {
      let (row, column) = (place / 3, place % 3)
      let sum = (0..<3).reduce(Float(0)) {
        $0 + (Float(a[row * 3 + $1]) - 2) * Float(b[$1 * 3 + column])
      }
      let unit = 0.25 * units[scales == 1 ? 0 : column]
      #expect(abs(found[place] - unit * (sum + (addend?[place] ?? 0))) < 1e-3)
    }
  }

  @Test func otherModelsAreLeftAlone() {
    var graph = Graph(name: "plain")
    graph.nodes = [Node("Relu", name: "r", inputs: ["x"], outputs: ["y"])]
    #expect(graph.expandingQuantizedOperators() == graph)
    // Weights that are computed have no scales that are known.
    graph.nodes = [
      Node(
        "QLinearConv", name: "c", inputs: ["x", "s", "z", "w", "s", "z", "s", "z"], outputs: ["y"])
    ]
    #expect(graph.expandingQuantizedOperators() == graph)
  }
}
