// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import Testing

/// Results that can be checked by hand, and inputs that must be refused.
struct OperatorTests {
  private func run(
    _ opType: String, _ inputs: [AnyTensor?], _ attributes: [String: Attribute] = [:],
    opset: Int = 17, threads: Int = 1
  ) throws -> AnyTensor {
    let node = Node(
      opType, name: "n", inputs: inputs.indices.map { inputs[$0] == nil ? "" : "x\($0)" },
      outputs: ["y"], attributes: attributes)
    let op = try OperatorRegistry.make(node, opset: opset)
    let infos = try op.infer(inputs.map { $0.map { TensorInfo($0.dtype, $0.shape) } })
    var operands = inputs
    let context = ExecutionContext(threads: Threads(count: threads))
    let result = try op.forward(&operands, context)[0]
    #expect(TensorInfo(result.dtype, result.shape) == infos[0])
    return result
  }

  private func floats(_ shape: Shape, _ values: [Float]) -> AnyTensor {
    .float32(Tensor(shape, values))
  }

  /// A convolution straight from its definition.
  private func convolution(
    _ x: Tensor<Float>, _ w: Tensor<Float>, groups: Int, strides: [Int], pads: [Int],
    dilations: [Int]
  ) -> Tensor<Float> {
    let reach = (0..<2).map { (w.shape[2 + $0] - 1) * dilations[$0] + 1 }
    let size = (0..<2).map {
      (x.shape[2 + $0] + pads[$0] + pads[$0 + 2] - reach[$0]) / strides[$0] + 1
    }
    var y = Tensor<Float>(zeros: [x.shape[0], w.shape[0], size[0], size[1]])
    let perGroup = w.shape[0] / groups
    for n in 0..<y.shape[0] {
      for o in 0..<y.shape[1] {
        for i in 0..<size[0] {
          for j in 0..<size[1] {
            var sum = 0.0
            for c in 0..<w.shape[1] {
              for a in 0..<w.shape[2] {
                for b in 0..<w.shape[3] {
                  let row = i * strides[0] - pads[0] + a * dilations[0]
                  let column = j * strides[1] - pads[1] + b * dilations[1]
                  guard 0..<x.shape[2] ~= row, 0..<x.shape[3] ~= column else { continue }
                  sum +=
                    Double(w[o, c, a, b])
                    * Double(x[n, o / perGroup * w.shape[1] + c, row, column])
                }
              }
            }
            y[n, o, i, j] = Float(sum)
          }
        }
      }
    }
    return y
  }

  struct Convolution: Sendable {
    let x, w: Shape
    var groups = 1
    var strides = [1, 1]
    var pads = [0, 0, 0, 0]
    var dilations = [1, 1]
  }

  private static let convolutions: [Convolution] = [
    Convolution(x: [2, 4, 9, 7], w: [6, 4, 3, 3], pads: [1, 1, 1, 1]),
    Convolution(
      x: [3, 4, 9, 7], w: [6, 2, 3, 2], groups: 2, strides: [2, 1], pads: [1, 0, 0, 2],
      dilations: [1, 2]),
    Convolution(x: [2, 5, 8, 8], w: [5, 1, 3, 3], groups: 5, pads: [1, 1, 1, 1]),
    Convolution(x: [20, 3, 6, 6], w: [2, 3, 1, 1]),
    Convolution(x: [1, 40, 40, 41], w: [3, 40, 3, 3], pads: [1, 1, 1, 1]),
    Convolution(x: [2, 2, 2, 2], w: [1, 2, 5, 5], pads: [2, 2, 2, 2]),
  ]

  @Test(arguments: [1, 2], convolutions)
  func convFollowsItsDefinition(threads: Int, test: Convolution) throws {
    var generator = RandomGenerator(seed: 3)
    let x = Tensor<Float>(test.x, uniformIn: -1...1, using: &generator)
    let w = Tensor<Float>(test.w, uniformIn: -1...1, using: &generator)
    let y = try run(
      "Conv", [.float32(x), .float32(w)],
      [
        "group": .int(test.groups), "strides": .ints(test.strides), "pads": .ints(test.pads),
        "dilations": .ints(test.dilations),
      ], threads: threads)
    let expected = convolution(
      x, w, groups: test.groups, strides: test.strides, pads: test.pads, dilations: test.dilations)
    let found: Tensor<Float> = try y.require()
    #expect(found.shape == expected.shape)
    let bound = Float(test.w.count(of: 1..<4) + 2) * 0x1p-23 * Float(test.w.count(of: 1..<4))
    for (a, b) in zip(found.elements, expected.elements) { #expect(abs(a - b) <= bound) }
  }

  @Test func anEmptyBatchGivesAnEmptyResult() throws {
    let y = try run(
      "Conv", [floats([0, 1, 3, 3], []), floats([2, 1, 3, 3], [Float](repeating: 1, count: 18))])
    #expect(y.shape == [0, 2, 1, 1])
  }

  @Test func poolsSeeTheirWindows() throws {
    let x = floats([1, 1, 3, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9])
    let window: [String: Attribute] = ["kernel_shape": .ints([2, 2])]
    #expect(try run("MaxPool", [x], window) == floats([1, 1, 2, 2], [5, 6, 8, 9]))
    #expect(try run("AveragePool", [x], window) == floats([1, 1, 2, 2], [3, 4, 6, 7]))
    #expect(try run("GlobalAveragePool", [x]) == floats([1, 1, 1, 1], [5]))
    let padded = window.merging(["pads": .ints([1, 1, 0, 0]), "strides": .ints([2, 2])]) { $1 }
    #expect(try run("MaxPool", [x], padded) == floats([1, 1, 2, 2], [1, 3, 7, 9]))
    #expect(try run("AveragePool", [x], padded) == floats([1, 1, 2, 2], [1, 2.5, 5.5, 7]))
    let counted = padded.merging(["count_include_pad": .int(1)]) { $1 }
    #expect(try run("AveragePool", [x], counted) == floats([1, 1, 2, 2], [0.25, 1.25, 2.75, 7]))
  }

  @Test func batchNormalizationUsesTheStoredStatistics() throws {
    let y = try run(
      "BatchNormalization",
      [
        floats([1, 2, 2], [1, 2, 3, 4]), floats([2], [1, 2]), floats([2], [0, 1]),
        floats([2], [1, 3]), floats([2], [4, 1]),
      ], ["epsilon": .float(0)])
    #expect(y == floats([1, 2, 2], [0, 0.5, 1, 3]))
  }

  @Test func trainingMovesTheRunningStatistics() throws {
    let node = Node(
      "BatchNormalization", name: "", inputs: ["x", "s", "b", "m", "v"], outputs: ["y"])
    let op = try BatchNormalization(node, opset: 17)
    var inputs: [Tensor<Double>?] = [
      Tensor([4, 1], [1, 2, 3, 6]), Tensor([1], [1]), Tensor([1], [0]), Tensor([1], [0]),
      Tensor([1], [1]),
    ]
    let result = try op.forwardForTraining(&inputs, ExecutionContext(isTraining: true))
    #expect(abs(result.updates[3]!.elements[0] - 0.3) < 1e-7)
    #expect(abs(result.updates[4]!.elements[0] - (0.9 + 0.1 * 3.5)) < 1e-7)
  }

  @Test func softmaxNeverOverflows() throws {
    let y: Tensor<Float> = try run("Softmax", [floats([1, 3], [1000, 1000, -1000])]).require()
    #expect(y.elements == [0.5, 0.5, 0])
  }

  @Test func quantizationIsPerTensorOrPerAxis() throws {
    let x = floats([2, 2], [1, -1, 1, 300])
    #expect(
      try run("QuantizeLinear", [x, floats([], [0.5]), .uint8(Tensor([], [10]))])
        == .uint8(Tensor([2, 2], [12, 8, 12, 255])))
    let scales = floats([2], [0.5, 2])
    let codes = try run(
      "QuantizeLinear", [x, scales, .int8(Tensor([2], [0, 1]))], ["axis": .int(0)])
    #expect(codes == .int8(Tensor([2, 2], [2, -2, 1, 127])))
    #expect(
      try run("DequantizeLinear", [codes, scales, .int8(Tensor([2], [0, 1]))], ["axis": .int(0)])
        == floats([2, 2], [1, -1, 0, 252]))
    #expect(
      try run("DequantizeLinear", [.int32(Tensor([2], [7, -7])), floats([], [0.5])])
        == floats([2], [3.5, -3.5]))
  }

  /// Longer than the pieces that threads get, and not a multiple of them.
  @Test(arguments: [1, 2], [16384, 16385, 100_000])
  func longTensorsAreQuantizedWhole(threads: Int, count: Int) throws {
    let x = Tensor<Float>([count], (0..<count).map { Float($0 % 200) })
    let q = try run(
      "QuantizeLinear", [.float32(x), floats([], [1]), .uint8(Tensor([], [0]))], threads: threads)
    #expect(q == .uint8(Tensor([count], (0..<count).map { UInt8($0 % 200) })))
  }

  @Test(arguments: [
    Node("Conv", name: "n", inputs: ["a", "b"], outputs: ["y"], attributes: ["group": .int(0)]),
    Node("Conv", name: "n", inputs: ["a", "b"], outputs: ["y"], attributes: ["group": .int(.max)]),
    Node(
      "Conv", name: "n", inputs: ["a", "b"], outputs: ["y"], attributes: ["group": .string("x")]),
    Node("MaxPool", name: "n", inputs: ["a"], outputs: ["y"]),
    Node(
      "MaxPool", name: "n", inputs: ["a"], outputs: ["y"],
      attributes: ["kernel_shape": .ints([0, 2])]),
    Node(
      "MaxPool", name: "n", inputs: ["a"], outputs: ["y"],
      attributes: ["kernel_shape": .ints([2, 2, 2, 2])]),
    Node(
      "MaxPool", name: "n", inputs: ["a"], outputs: ["y"],
      attributes: ["kernel_shape": .ints([Int.max, Int.max])]),
    Node("Dropout", name: "n", inputs: ["a"], outputs: ["y"], attributes: ["ratio": .float(.nan)]),
    Node("BatchNormalization", name: "n", inputs: [], outputs: ["y", "mean"]),
    Node("Resize", name: "n", inputs: ["x"], outputs: ["y"], attributes: ["mode": .string("no")]),
    Node(
      "LSTM", name: "n", inputs: ["x"], outputs: ["y"], attributes: ["direction": .string("up")]),
    Node("GRU", name: "n", inputs: ["x"], outputs: ["y"], attributes: ["layout": .int(2)]),
    Node(
      "RNN", name: "n", inputs: ["x"], outputs: ["y"],
      attributes: ["activations": .strings(["Tanh", "Tanh"])]),
    Node("LRN", name: "n", inputs: ["x"], outputs: ["y"], attributes: ["size": .int(0)]),
    Node(
      "DequantizeLinear", name: "n", inputs: ["x"], outputs: ["y"],
      attributes: ["block_size": .int(-1)]),
    Node("Cast", name: "n", inputs: ["x"], outputs: ["y"], attributes: ["to": .int(8)]),
    Node("NoSuchThing", name: "n", inputs: [], outputs: []),
    Node("Relu", name: "n", domain: "com.example", inputs: ["a"], outputs: ["y"]),
  ])
  func attributesThatMakeNoSenseAreRefused(node: Node) {
    #expect(throws: SwiftletError.self) { try OperatorRegistry.make(node, opset: 17) }
  }

  /// An operator on inputs that it must refuse.
  struct Misfit: Sendable {
    let opType: String
    let shapes: [Shape]
    var attributes: [String: Attribute] = [:]
  }

  private static let misfits: [Misfit] = [
    Misfit(opType: "Conv", shapes: [[1, 3, 5, 5], [2, 4, 3, 3]]),
    Misfit(opType: "Conv", shapes: [[1, 3, 2, 2], [2, 3, 3, 3]]),
    Misfit(opType: "Conv", shapes: [[1, 3, 5, 5], [2, 3, 3, 3], [3]]),
    Misfit(
      opType: "Conv", shapes: [[1, 3, 5, 5], [2, 3, 3, 3]],
      attributes: ["kernel_shape": .ints([5, 5])]),
    Misfit(opType: "Conv", shapes: [[3, 5, 5], [2, 3, 3]]),
    Misfit(opType: "Conv", shapes: [[1, 3, 5, 5]]),
    Misfit(
      opType: "Conv", shapes: [[1, 3, 5, 5], [5, 1, 3, 3]], attributes: ["group": .int(3)]),
    Misfit(opType: "Gemm", shapes: [[2, 3], [4, 5]]),
    Misfit(opType: "Gemm", shapes: [[2, 3], [3, 4], [3]]),
    Misfit(opType: "Gemm", shapes: [[2, 3, 4], [4, 5]]),
    Misfit(opType: "Add", shapes: [[2, 3], [2]]),
    Misfit(opType: "Softmax", shapes: [[2]], attributes: ["axis": .int(1)]),
    Misfit(opType: "Flatten", shapes: [[2]], attributes: ["axis": .int(2)]),
    Misfit(opType: "BatchNormalization", shapes: [[2, 3], [2], [3], [3], [3]]),
    Misfit(opType: "GlobalAveragePool", shapes: [[2, 3]]),
    Misfit(
      opType: "MaxPool", shapes: [[1, 1, 1, 1]], attributes: ["kernel_shape": .ints([2, 2])]),
    // Windows that lie wholly in the padding, beside the image and across it.
    Misfit(
      opType: "MaxPool", shapes: [[1, 1, 8, 8]],
      attributes: ["kernel_shape": .ints([1, 1]), "pads": .ints([1, 1, 1, 1])]),
    Misfit(
      opType: "MaxPool", shapes: [[1, 1, 1, 1]],
      attributes: [
        "kernel_shape": .ints([2, 2]), "pads": .ints([2, 2, 2, 2]), "dilations": .ints([3, 3]),
      ]),
    Misfit(
      opType: "MaxPool", shapes: [[1, 1, 0, 4]],
      attributes: ["kernel_shape": .ints([2, 2]), "pads": .ints([1, 0, 1, 0])]),
    Misfit(opType: "Dropout", shapes: [[2, 2], [0]]),
  ]

  @Test(arguments: misfits)
  func shapesThatDoNotFitAreRefused(test: Misfit) throws {
    let node = Node(
      test.opType, name: "n", inputs: test.shapes.indices.map { "x\($0)" }, outputs: ["y"],
      attributes: test.attributes)
    let op = try OperatorRegistry.make(node, opset: 17)
    let infos = test.shapes.map { TensorInfo(.float32, $0) }
    #expect(throws: SwiftletError.self) { try op.infer(infos) }
  }

  @Test func costsAreCounted() throws {
    let conv = try Conv(
      Node("Conv", name: "", inputs: ["x", "w"], outputs: ["y"], attributes: ["group": .int(2)]),
      opset: 17)
    #expect(conv.macs(inputs: [[1, 4, 5, 5], [6, 2, 3, 3]], outputs: [[1, 6, 3, 3]]) == 54 * 18)
    let gemm = try Gemm(Node("Gemm", name: "", inputs: ["a", "b"], outputs: ["y"]), opset: 17)
    #expect(gemm.macs(inputs: [[2, 3], [3, 4]], outputs: [[2, 4]]) == 24)
  }
}
