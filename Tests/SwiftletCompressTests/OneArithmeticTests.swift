// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletGraph
import SwiftletRuntime
import Testing

/// What a quantized model computes is the same in fp32 (the reference, which runs QuantizeLinear,
/// DequantizeLinear and the operators between them as ONNX defines them) and in integers
/// (sessions), on every instruction set: `make test` runs these tests on each tier.
///
/// With scales that are powers of two fp32 is exact, so both must agree bit for bit. With other
/// scales fp32 rounds, and a value may lie on the other side of a tie.
struct OneArithmeticTests {
  struct Operation: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let input: [Int]
    let output: [Int]
    let build: @Sendable (inout ModelBuilder) -> Void
  }

  /// Each reads x and writes y, between layers that make y's readers want 8 bits.
  private static let operations: [Operation] = {
    func operation(
      _ name: String, _ input: [Int], _ output: [Int],
      _ build: @escaping @Sendable (inout ModelBuilder) -> Void
    ) -> Operation {
      Operation(testDescription: name, input: input, output: output, build: build)
    }
    let window: [String: Attribute] = ["kernel_shape": .ints([2, 2]), "strides": .ints([2, 2])]
    return [
      operation("Conv", [5, 7, 9], [6, 7, 9]) { $0.conv("x", "y", (5, 6)) },
      operation("Conv 1x1", [16, 5, 5], [9, 5, 5]) { $0.conv("x", "y", (16, 9), kernel: 1) },
      operation("Conv in groups", [8, 6, 6], [6, 6, 6]) {
        $0.conv("x", "y", (8, 6), groups: 2)
      },
      operation("Conv of single channels", [9, 6, 6], [9, 6, 6]) {
        $0.conv("x", "y", (9, 9), groups: 9)
      },
      operation("Conv, Relu", [5, 7, 9], [6, 7, 9]) {
        $0.conv("x", "a", (5, 6))
        $0.node("Relu", ["a"], "y")
      },
      operation("Conv, Clip", [5, 7, 9], [6, 7, 9]) {
        $0.graph.initializers["low"] = .float32(Tensor([], [-0.25]))
        $0.graph.initializers["high"] = .float32(Tensor([], [1.5]))
        $0.conv("x", "a", (5, 6))
        $0.node("Clip", ["a", "low", "high"], "y")
      },
      operation("Add", [4, 5, 6], [4, 5, 6]) {
        $0.conv("x", "a", (4, 4))
        $0.node("Add", ["a", "x"], "y")
      },
      operation("Add, Relu", [4, 5, 6], [4, 5, 6]) {
        $0.conv("x", "a", (4, 4))
        $0.node("Add", ["x", "a"], "b")
        $0.node("Relu", ["b"], "y")
      },
      operation("MaxPool", [4, 6, 8], [4, 3, 4]) { $0.node("MaxPool", ["x"], "y", window) },
      operation("AveragePool", [4, 6, 8], [4, 3, 4]) {
        $0.node("AveragePool", ["x"], "y", window)
      },
      operation("GlobalAveragePool", [6, 4, 8], [6, 1, 1]) {
        $0.node("GlobalAveragePool", ["x"], "y")
      },
      operation("Concat", [4, 5, 6], [10, 5, 6]) {
        $0.conv("x", "a", (4, 6))
        $0.node("Concat", ["x", "a"], "y", ["axis": .int(1)])
      },
    ]
  }()

  /// The operation, and a layer after it that wants its result in 8 bits.
  private func graph(_ operation: Operation, seed: UInt64) -> Graph {
    var model = ModelBuilder(seed: seed, input: operation.input)
    operation.build(&model)
    let channels = operation.output[0]
    model.conv("y", "z", (channels, 4), kernel: 1)
    model.output("z", [4] + operation.output[1...])
    return model.graph
  }

  /// The 8-bit codes of all values, which become the outputs, by the reference and by a session.
  private func codes(
    _ graph: Graph, seed: UInt64, powerOfTwo: Bool, _ activations: ActivationType, bits: Int = 8
  ) throws -> [(name: String, simulated: [Int], deployed: [Int])] {
    var generator = RandomGenerator(seed: seed)
    func inputs(_ count: Int) throws -> [String: AnyTensor] {
      let shape = try graph.inputs[0].shape(batch: count)
      return ["x": .float32(Tensor(shape, normalUsing: &generator))]
    }
    var settings = QuantizationSettings()
    (settings.powerOfTwo, settings.activations) = (powerOfTwo, activations)
    settings.bits = bits
    var quantized = try Quantizer(settings).apply(
      to: graph, CalibrationSource(inputs(16), for: graph)
    ).graph
    for case .int8(let weights) in quantized.initializers.values where weights.count > 1 {
      let largest = weights.elements.map { abs(Int($0)) }.max()!
      #expect(largest <= (bits == 7 ? 63 : 127))
    }
    let given = try inputs(5)
    // Only the code next to the operation: as outputs, others would keep layers from being one.
    let code = try #require(
      quantized.nodes.first { $0.opType == "QuantizeLinear" && $0.inputs[0] == "y" }
    ).outputs[0]
    let dtype: DType = activations == .u8 ? .uint8 : .int8
    quantized.outputs = [
      ValueInfo(code, dtype, [.symbolic("N")] + graph.outputs[0].dimensions.dropFirst())
    ]
    quantized.outputs[0].dimensions[1] = .symbolic("C")
    let simulated = try Interpreter(quantized).run(given, ExecutionContext())
    let session = try Session(quantized)
    let deployed = try session.run(given)
    // Nothing of the operation is left to fp32.
    let kinds = try session.profile(given, runs: 1).flatMap(\.computations).map(\.kind)
    #expect(!kinds.contains(.reference), "\(kinds)")
    func numbers(_ tensor: AnyTensor?) throws -> [Int] {
      switch try #require(tensor) {
      case .uint8(let codes): codes.elements.map(Int.init)
      case .int8(let codes): codes.elements.map(Int.init)
      default: []
      }
    }
    return [(code, try numbers(simulated[code]), try numbers(deployed[code]))]
  }

  @Test(arguments: operations, ActivationType.allCases)
  func simulatedIsDeployed(operation: Operation, activations: ActivationType) throws {
    for seed in 1...4 as ClosedRange<UInt64> {
      let graph = graph(operation, seed: seed)
      for (name, simulated, deployed) in try codes(
        graph, seed: seed, powerOfTwo: true, activations)
      {
        #expect(simulated == deployed, "\(name), seed \(seed)")
        #expect(Set(simulated).count > 16, "\(name): too few values to prove anything")
      }
    }
  }

  /// Without VNNI these weights have a kernel of their own.
  @Test(arguments: operations)
  func weightsOfSevenBits(operation: Operation) throws {
    for (name, simulated, deployed) in try codes(
      graph(operation, seed: 2), seed: 2, powerOfTwo: true, .u8, bits: 7)
    {
      #expect(simulated == deployed, "\(name)")
    }
  }

  @Test(arguments: operations)
  func withOtherScalesTiesMayDiffer(operation: Operation) throws {
    var (total, different) = (0, 0)
    for seed in 1...4 as ClosedRange<UInt64> {
      for (name, simulated, deployed) in try codes(
        graph(operation, seed: seed), seed: seed, powerOfTwo: false, .u8)
      {
        total += simulated.count
        for (a, b) in zip(simulated, deployed) {
          #expect(abs(a - b) <= 1, "\(name)")
          if a != b { different += 1 }
        }
      }
    }
    #expect(different * 1000 <= total, "\(different) of \(total)")
  }

  @Test(arguments: [true, false])
  func productsOfRowsAndOfMatrices(isMatMul: Bool) throws {
    var model = ModelBuilder(seed: 3, input: isMatMul ? [6, 24] : [24])
    if isMatMul {
      model.weights("w", [24, 10])
      model.node("MatMul", ["x", "w"], "y")
      model.weights("v", [10, 4])
      model.node("MatMul", ["y", "v"], "z")
      model.output("z", [6, 4])
    } else {
      model.gemm("x", "y", (24, 10))
      model.gemm("y", "z", (10, 4))
      model.output("z", [4])
    }
    for (name, simulated, deployed) in try codes(
      model.graph, seed: 1, powerOfTwo: true, .u8)
    {
      #expect(simulated == deployed, "\(name)")
    }
  }
}
