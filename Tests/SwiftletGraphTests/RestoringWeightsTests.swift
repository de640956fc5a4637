// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import Testing

struct RestoringWeightsTests {
  /// x, quantized or not, times weights that are stored as the given codes.
  private func graph(
    _ codes: AnyTensor, zero: AnyTensor?, blockSize: Int? = nil, isQuantized: Bool
  ) -> Graph {
    var graph = Graph(name: "stored", opset: 21)
    graph.inputs = [ValueInfo("x", .float32, [.symbolic("N"), .fixed(4)])]
    graph.outputs = [ValueInfo("y", .float32, [.symbolic("N"), .fixed(2)])]
    graph.initializers = [
      "w": codes, "sx": .float32(Tensor([], [0.125])), "zx": .uint8(Tensor([], [128])),
      "s": .float32(
        blockSize == nil ? Tensor([2], [0.5, 0.25]) : Tensor([2, 2], [0.5, 0.25, 1, 2])),
    ]
    var inputs = ["w", "s"]
    if let zero {
      graph.initializers["z"] = zero
      inputs.append("z")
    }
    var attributes: [String: Attribute] = ["axis": .int(blockSize == nil ? 0 : 1)]
    if let blockSize { attributes["block_size"] = .int(blockSize) }
    graph.nodes = [
      Node("QuantizeLinear", name: "q", inputs: ["x", "sx", "zx"], outputs: ["xq"]),
      Node("DequantizeLinear", name: "d", inputs: ["xq", "sx", "zx"], outputs: ["xd"]),
      Node(
        "DequantizeLinear", name: "wd", inputs: inputs, outputs: ["v"], attributes: attributes),
      Node(
        "Gemm", name: "g", inputs: [isQuantized ? "xd" : "x", "v"], outputs: ["y"],
        attributes: ["transB": .int(1)]),
    ]
    return graph
  }

  private func run(_ graph: Graph) throws -> AnyTensor {
    let x = Tensor<Float>([2, 4], [1, -2, 0.5, 3, 0.25, 1, 0, -0.125])
    return try Interpreter(graph).run(["x": .float32(x)], ExecutionContext())["y"]!
  }

  private static let int4 = AnyTensor.int4(
    Tensor([2, 4], (-4..<4).map { Int4(converting: Int64($0)) }))
  private static let uint8 = AnyTensor.uint8(Tensor([2, 4], [255, 128, 1, 0, 100, 129, 127, 3]))
  private static let points = AnyTensor.uint8(Tensor([2], [128, 100]))

  @Test func layersWithIntegerInputsGetCentredBytes() throws {
    for (codes, zero) in [(Self.int4, nil), (Self.uint8, Self.points)] {
      let old = graph(codes, zero: zero, isQuantized: true)
      let new = old.restoringWeights()
      #expect(new.nodes.count { $0.opType == "DequantizeLinear" } == 2)
      #expect(new.initializers["w.centred"]?.dtype == .int8)
      #expect(try run(new) == run(old))
    }
  }

  @Test func otherLayersGetNumbers() throws {
    for old in [
      graph(Self.uint8, zero: Self.points, isQuantized: false),
      // Differences that no int8 holds are nothing that integer layers know.
      graph(Self.uint8, zero: .uint8(Tensor([2], [0, 0])), isQuantized: true),
    ] {
      let new = old.restoringWeights()
      #expect(new.initializers["v"]?.dtype == .float32)
      #expect(new.nodes.count { $0.name == "wd" } == 0)
      #expect(try run(new) == run(old))
    }
  }

  /// Kernels decode them as they go.
  @Test func matricesOfFourBitsStayPacked() {
    for old in [
      graph(Self.int4, zero: nil, isQuantized: false),
      graph(Self.int4, zero: nil, blockSize: 2, isQuantized: false),
      graph(Self.int4, zero: nil, blockSize: 2, isQuantized: true),
    ] { #expect(old.restoringWeights() == old) }
    // What another layer reads as well is needed in fp32.
    var shared = graph(Self.int4, zero: nil, isQuantized: false)
    shared.nodes.append(Node("Relu", name: "r", inputs: ["v"], outputs: ["z2"]))
    #expect(shared.restoringWeights().initializers["v"]?.dtype == .float32)
  }

  /// What stands for bytes may have come a long way, by more paths than could be followed one by
  /// one.
  @Test func bytesAreFollowedThroughManyNodes() {
    var old = graph(Self.int4, zero: nil, isQuantized: true)
    let layer = old.nodes.removeLast()
    var value = "xd"
    for index in 0..<100 {
      old.nodes.append(
        Node(
          "Concat", name: "c\(index)", inputs: [value, value], outputs: ["c\(index)"],
          attributes: ["axis": .int(0)]))
      value = "c\(index)"
    }
    for index in 0..<50_000 {
      old.nodes.append(
        Node("Identity", name: "i\(index)", inputs: [value], outputs: ["i\(index)"]))
      value = "i\(index)"
    }
    old.nodes.append(
      Node("Gemm", name: "g", inputs: [value, "v"], outputs: ["y"], attributes: layer.attributes))
    // Damaged nodes are for the interpreter to name.
    old.nodes.append(Node("Identity", name: "none", inputs: [], outputs: ["n"]))
    #expect(old.restoringWeights().initializers["w.centred"]?.dtype == .int8)
  }

  @Test func damagedScalesStayForThePlanToName() {
    var broken = graph(Self.int4, zero: nil, isQuantized: false)
    broken.initializers["s"] = .float32(Tensor([3], [1, 2, 3]))
    #expect(broken.restoringWeights() == broken)
  }
}
