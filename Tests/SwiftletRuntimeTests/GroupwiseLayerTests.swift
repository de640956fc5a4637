// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletKernels
import SwiftletRuntime
import Testing

/// Matrices of 4 bits after `DequantizeLinear`.
struct GroupwiseLayerTests {
  private struct Weights: Sendable, CustomTestStringConvertible {
    var opType = "MatMul"
    var type = DType.int4
    var depth = 40
    var columns = 19
    /// K×N, or N×K with `transB`.
    var transB = false
    /// 0 for one scale a column or a tensor.
    var block = 16
    var byTensor = false
    var hasZeroPoints = true
    /// Whether blocks lie along the depth.
    var alongDepth = true
    /// Whether the inputs are quantized.
    var takesBytes = false
    /// Whether a kernel of its own takes it.
    var isPacked = true

    var testDescription: String {
      "\(opType) of \(type) \(depth)×\(columns)\(transB ? "ᵀ" : ""), blocks of \(block)"
        + (byTensor ? " by tensor" : "") + (alongDepth ? "" : " along columns")
        + (hasZeroPoints ? ", zero points" : "") + (takesBytes ? ", of bytes" : "")
    }

    private func codes(_ shape: Shape, _ generator: inout RandomGenerator) -> AnyTensor {
      let values = (0..<shape.count).map { _ in UInt8(generator.below(256)) }
      switch type {
      case .int4: return .int4(Tensor(shape, values.map { Int4(bits: $0) }))
      case .uint4: return .uint4(Tensor(shape, values.map { UInt4(bits: $0) }))
      case .uint8: return .uint8(Tensor(shape, values))
      default: return .int8(Tensor(shape, values.map { Int8(bitPattern: $0) }))
      }
    }

    func graph(_ rows: [Dimension]) -> Graph {
      var generator = RandomGenerator(seed: 7)
      let shape: Shape = transB ? [columns, depth] : [depth, columns]
      let depthAxis = transB ? 1 : 0
      let axis = block > 0 && alongDepth ? depthAxis : 1 - depthAxis
      var scaleShape: Shape = byTensor ? [] : [shape[axis]]
      if block > 0 {
        scaleShape = shape.replacing(axis: axis, with: (shape[axis] + block - 1) / block)
      }
      var constants: OrderedDictionary<String, AnyTensor> = [
        "w": codes(shape, &generator),
        "s": .float32(Tensor(scaleShape, uniformIn: 0.01...0.2, using: &generator)),
        "b": .float32(Tensor([columns], normalUsing: &generator)),
      ]
      var restore = ["w", "s"]
      if hasZeroPoints {
        constants["z"] = codes(scaleShape, &generator)
        restore.append("z")
      }
      let isGemm = opType == "Gemm"
      var attributes: [String: Attribute] = ["axis": .int(axis)]
      if block > 0 { attributes["block_size"] = .int(block) }
      var graph = model(
        [ValueInfo("x", .float32, rows + [.fixed(depth)])],
        [
          node("DequantizeLinear", restore, "d", attributes),
          node(
            opType, ["x", "d"] + (isGemm ? ["b"] : []), "m",
            isGemm ? ["transB": .int(transB ? 1 : 0)] : [:]),
          node("Relu", ["m"], "y"),
        ], constants, outputs: [ValueInfo("y", .float32, rows + [.fixed(columns)])])
      graph.opset = 21
      if takesBytes {
        graph.initializers["xs"] = scalar(0.03)
        graph.initializers["xz"] = .uint8(Tensor([], [121]))
        graph.nodes[1].inputs[0] = "xd"
        graph.nodes.insert(node("DequantizeLinear", ["xq", "xs", "xz"], "xd"), at: 0)
        graph.nodes.insert(node("QuantizeLinear", ["x", "xs", "xz"], "xq"), at: 0)
      }
      return graph
    }
  }

  private static let weights: [Weights] = [
    Weights(), Weights(type: .uint4), Weights(hasZeroPoints: false),
    Weights(type: .uint4, hasZeroPoints: false), Weights(opType: "Gemm", transB: true),
    Weights(opType: "Gemm", type: .uint4, depth: 45, columns: 33, block: 8),
    Weights(opType: "Gemm", depth: 45, transB: true, block: 32, hasZeroPoints: false),
    Weights(depth: 13, block: 24), Weights(block: 0), Weights(depth: 9, block: 0, byTensor: true),
    Weights(type: .uint4, depth: 200, columns: 130, block: 64),
    Weights(takesBytes: true), Weights(type: .uint4, depth: 45, block: 24, takesBytes: true),
    Weights(opType: "Gemm", depth: 200, columns: 130, transB: true, block: 32, takesBytes: true),
    Weights(depth: 13, columns: 3, block: 24, hasZeroPoints: false, takesBytes: true),
    Weights(block: 3, isPacked: false), Weights(block: 4, alongDepth: false, isPacked: false),
    Weights(type: .int8, block: 16, isPacked: false),
    Weights(opType: "Gemm", type: .uint8, transB: true, block: 0, isPacked: false),
  ]

  @Test(arguments: weights)
  private func equalsTheReference(weights: Weights) throws {
    for images in [[Dimension.symbolic("N")], [.symbolic("N"), .fixed(5)]] {
      if images.count > 1 && weights.opType == "Gemm" { continue }
      let graph = weights.graph(images)
      let reference = try Interpreter(graph)
      let sessions = try [1, 2].map { try Session(graph, threads: Threads(count: $0)) }
      var first: AnyTensor?
      for batch in [1, 2, 7, 16] {
        var generator = RandomGenerator(seed: 3)
        let extents = [batch] + (images.count > 1 ? [5] : []) + [weights.depth]
        let x = ["x": AnyTensor.float32(Tensor(Shape(extents), normalUsing: &generator))]
        let expected = try reference.run(x, ExecutionContext())["y"]!
        let results = try sessions.map { try $0.run(x)["y"]! }
        #expect(difference(results[0], expected) <= 1e-5)
        #expect(results[0] == results[1])
        let image = self.first(of: results[0])
        #expect(first.map { $0 == image } ?? true, "the first image depends on the batch")
        first = image
        let kinds = try sessions[0].computations(x).map(\.kind)
        let own = Algorithm.groupwise(weights.takesBytes ? .bytes : .float)
        #expect(kinds.contains(.weighted(own)) == weights.isPacked, "\(kinds)")
      }
    }
  }

  private func first(of batch: AnyTensor) -> AnyTensor { images(0..<1, of: batch) }

  /// Elements of a flattened image lie in another order than its groups.
  @Test func behindAFlattenedImage() throws {
    var graph = Weights(opType: "Gemm", depth: 48, transB: true).graph([.symbolic("N")])
    graph.inputs = [value("i", .float32, .symbolic("N"), .fixed(3), .fixed(6), .fixed(6))]
    graph.initializers["k"] = floats([3, 3, 3, 3])
    graph.nodes.insert(node("Flatten", ["c"], "x"), at: 0)
    graph.nodes.insert(node("Conv", ["i", "k"], "c"), at: 0)
    let x = floats([2, 3, 6, 6])
    let expected = try Interpreter(graph).run(["i": x], ExecutionContext())["y"]!
    #expect(try difference(Session(graph).run(["i": x])["y"]!, expected) <= 1e-5)
  }

  /// With one scale the axis means nothing.
  @Test(arguments: [Int.max, Int.min, 7]) func anyAxis(axis: Int) throws {
    var graph = Weights(block: 0, byTensor: true).graph([.symbolic("N")])
    graph.nodes[0].attributes["axis"] = .int(axis)
    let x = floats([2, 40])
    let expected = try Interpreter(graph).run(["x": x], ExecutionContext())["y"]!
    #expect(try difference(Session(graph).run(["x": x])["y"]!, expected) <= 1e-5)
  }

  /// Zero points that the graph computes leave the node to the reference.
  @Test func computedZeroPoints() throws {
    var graph = Weights().graph([.symbolic("N")])
    graph.initializers["z"] = nil
    graph.inputs.append(ValueInfo("z", .int4, [.fixed(3), .fixed(19)]))
    let x: [String: AnyTensor] = [
      "x": floats([2, 40]),
      "z": .int4(Tensor([3, 19], (0..<57).map { Int4(bits: UInt8($0 % 16)) })),
    ]
    let expected = try Interpreter(graph).run(x, ExecutionContext())["y"]!
    #expect(try difference(Session(graph).run(x)["y"]!, expected) <= 1e-5)
  }
}
