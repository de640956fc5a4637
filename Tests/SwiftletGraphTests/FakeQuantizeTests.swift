// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import Testing

struct FakeQuantizeTests {
  private func node(_ low: Int, _ high: Int, axis: Int = 0) throws -> FakeQuantize {
    try FakeQuantize(
      Node(
        "FakeQuantize", name: "", domain: FakeQuantize.domain, inputs: [], outputs: [],
        attributes: ["low": .int(low), "high": .int(high), "axis": .int(axis)]), opset: 17)
  }

  /// What training sees is what QuantizeLinear and DequantizeLinear make of a value, bit for bit.
  @Test(arguments: [0, 100, 255])
  func forwardIsQuantizationBackAndForth(zeroPoint: Int) throws {
    var generator = RandomGenerator(seed: 3)
    var x = Tensor<Float>([7, 31], uniformIn: -4...4, using: &generator)
    // Ties, and what is clamped.
    for i in 0..<31 { x[0, i] = (Float(i) - 15.5) * 0.03 }
    x[1, 0] = 1e20
    let scale = AnyTensor.float32(Tensor([], [0.03]))
    let point = AnyTensor.uint8(Tensor([], [UInt8(zeroPoint)]))
    var graph = Graph(name: "g")
    graph.inputs = [ValueInfo("x", .float32, [.fixed(7), .fixed(31)])]
    graph.outputs = [ValueInfo("y", .float32, [.fixed(7), .fixed(31)])]
    graph.initializers = ["s": scale, "z": point]
    graph.nodes = [
      Node("QuantizeLinear", name: "q", inputs: ["x", "s", "z"], outputs: ["q"]),
      Node("DequantizeLinear", name: "d", inputs: ["q", "s", "z"], outputs: ["y"]),
    ]
    let expected = try Interpreter(graph).run(["x": .float32(x)], ExecutionContext())["y"]!
    var operands: [Tensor<Float>?] = [x, Tensor([], [0.03]), Tensor([], [0])]
    let result = try node(-zeroPoint, 255 - zeroPoint).forward(&operands, ExecutionContext())
    #expect(AnyTensor(result[0]) == expected)
  }

  /// Steps of 0.5 and 1 for two rows; codes from −2 to 3.
  @Test func gradientsAreThoseOfThePaper() throws {
    let x = Tensor<Double>([2, 4], [0.6, -3, 9, 0.25, 1.4, -1.2, 0.1, 2.75])
    let (step, growth) = (Tensor<Double>([2], [0.5, 1]), Tensor<Double>([2], [0, 0]))
    let op = try node(-2, 3)
    var operands: [Tensor<Double>?] = [x, step, growth]
    let y = try op.forward(&operands, ExecutionContext())[0]
    #expect(y.elements == [0.5, -1, 1.5, 0, 1, -1, 0, 3])
    let call = ForwardCall<Double>(
      inputShapes: [x.shape, step.shape, growth.shape], inputs: [x, step, growth], outputs: [nil],
      saved: [], wanted: [true, false, true])
    let slope = Tensor<Double>([2, 4], [1, 2, 3, 4, 1, 1, 1, 1])
    let gradients = try op.gradients(call, slope, ExecutionContext())
    #expect(gradients[0]!.elements == [1, 0, 0, 4, 1, 1, 1, 1])
    // Σ slope · (code − x/s inside, code outside) · s
    let first = (1 * (1 - 1.2) + 2 * -2 + 3 * 3 + 4 * (0 - 0.5)) * 0.5
    let second = (1 - 1.4) + (-1 + 1.2) + (0 - 0.1) + (3 - 2.75)
    let found = gradients[2]!.elements
    #expect(abs(found[0] - first) < 1e-12 && abs(found[1] - second) < 1e-12)
    #expect(gradients[1] == nil)
  }

  @Test func whatMakesNoSenseIsRefused() throws {
    #expect(throws: SwiftletError.self) { try node(3, 1) }
    #expect(throws: SwiftletError.self) { try node(-127, 1 << 20) }
    let info = { (shape: Shape) in TensorInfo(.float32, shape) }
    #expect(throws: SwiftletError.self) {
      try node(-1, 1, axis: 1).infer([info([2, 3]), info([2]), info([2])])
    }
    // Only our own operator set has it.
    let standard = Node("FakeQuantize", name: "", inputs: ["x", "s", "g"], outputs: ["y"])
    #expect(!OperatorRegistry.supports(standard))
  }
}
