// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import RealModule
import SwiftletCore
import SwiftletGraph
import Testing

/// Operators of onnxruntime's tools in those of ONNX.
struct StandardOperatorTests {
  private func graph(
    _ nodes: [Node], _ constants: [String: AnyTensor], inputs: [String: AnyTensor], opset: Int = 17
  ) -> Graph {
    var graph = Graph(name: "fused", nodes: nodes, opset: opset)
    graph.inputs = inputs.sorted { $0.key < $1.key }.map { name, value in
      ValueInfo(name, value.dtype, value.shape.dimensions.map(Dimension.fixed))
    }
    graph.outputs = [ValueInfo("y", .float32, [])]
    for (name, value) in constants.sorted(by: { $0.key < $1.key }) {
      graph.initializers[name] = value
    }
    return graph
  }

  private func run(_ graph: Graph, _ inputs: [String: AnyTensor]) throws -> [Float] {
    try Interpreter(graph).run(inputs, ExecutionContext())["y"]!.require(Float.self).elements
  }

  /// Runs what nodes become, of which none may be left.
  private func result(
    _ nodes: [Node], _ inputs: [String: AnyTensor], _ constants: [String: AnyTensor] = [:],
    opset: Int = 17
  ) throws -> [Float] {
    let standard = graph(nodes, constants, inputs: inputs, opset: opset).inStandardOperators()
    #expect(standard.nodes.allSatisfy { $0.domain.isEmpty })
    #expect(Set(standard.nodes.map(\.name)).count == standard.nodes.count)
    return try run(standard, inputs)
  }

  private func isClose(_ a: [Float], _ b: [Float], _ tolerance: Float = 1e-5) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { abs($0 - $1) <= tolerance * max(1, abs($1)) }
  }

  private func normal(_ shape: Shape, seed: UInt64) -> AnyTensor {
    var generator = RandomGenerator(seed: seed)
    return .float32(Tensor(shape, normalUsing: &generator))
  }

  @Test(arguments: [13, 20])
  func curves(opset: Int) throws {
    let x = floats([1, 4], [-2, -0.5, 0.25, 3])
    let bias = floats([4], [0, 0.5, 0, 0])
    func gelu(_ x: Float) -> Float { x * (1 + Float.erf(x / Float(2).squareRoot())) / 2 }
    func fast(_ x: Float) -> Float {
      x * (1 + Float.tanh((2 / Float.pi).squareRoot() * (x + 0.044715 * x * x * x))) / 2
    }
    let values: [Float] = [-2, -0.5, 0.25, 3]
    let shifted: [Float] = [-2, 0, 0.25, 3]
    for (opType, inputs, expected) in [
      ("Gelu", ["x"], values.map(gelu)), ("BiasGelu", ["x", "b"], shifted.map(gelu)),
      ("FastGelu", ["x"], values.map(fast)), ("FastGelu", ["x", "b"], shifted.map(fast)),
      ("QuickGelu", ["x"], values.map { $0 / (1 + Float.exp(-1.702 * $0)) }),
    ] {
      let found = try result([contribNode(opType, inputs)], ["x": x], ["b": bias], opset: opset)
      #expect(isClose(found, expected), "\(opType)")
    }
  }

  @Test func layersWithWhatFollowsThem() throws {
    let x = floats([1, 1, 2, 2], [1, -2, 3, -4])
    let weights = floats([1, 1, 1, 1], [2])
    #expect(
      try result(
        [contribNode("FusedConv", ["x", "w", "b", "z"], ["activation": .string("Relu")])],
        ["x": x, "z": floats([1, 1, 2, 2], [0, 10, 0, 0])], ["w": weights, "b": floats([1], [1])])
        == [3, 7, 7, 0])
    #expect(
      try result(
        [
          contribNode(
            "FusedConv", ["x", "w"],
            ["activation": .string("Clip"), "activation_params": .floats([-1, 3])])
        ], ["x": x], ["w": weights]) == [2, -1, 3, -1])
    #expect(
      try result(
        [
          contribNode(
            "FusedGemm", ["x", "w"],
            ["activation": .string("LeakyRelu"), "activation_alpha": .float(0.5)])
        ], ["x": floats([1, 2], [1, -2])], ["w": floats([2, 2], [1, 0, 0, 1])]) == [1, -1])
    #expect(
      try result(
        [
          contribNode(
            "FusedMatMul", ["x", "z"],
            ["transA": .int(1), "transB": .int(1), "alpha": .float(0.5)])
        ], ["x": floats([2, 2], [1, 2, 3, 4]), "z": floats([2, 2], [1, 0, 0, 2])])
        == [0.5, 3, 1, 4])
  }

  @Test(arguments: [13, 17])
  func sumsAreNormalized(opset: Int) throws {
    let (x, skip) = (normal([2, 3, 4], seed: 1), normal([2, 3, 4], seed: 2))
    let (scale, shift) = (normal([4], seed: 3), normal([4], seed: 4))
    let found = try result(
      [
        contribNode(
          "SkipLayerNormalization", ["x", "z", "g", "b"], ["epsilon": .float(1e-5)],
          outputs: ["n", "", "", "s"]),
        contribNode("Add", ["n", "s"], domain: ""),
      ], ["x": x, "z": skip], ["g": scale, "b": shift], opset: opset)
    let sum = try compute("Add", [x, skip])[0]
    let normalized = try compute(
      "LayerNormalization", [sum, scale, shift], ["epsilon": .float(1e-5)])[0]
    #expect(
      try isClose(found, compute("Add", [normalized, sum])[0].require(Float.self).elements, 1e-4))
  }

  /// As `Attention` of ONNX, which has another file of its own.
  @Test(arguments: [13, 17], [false, true])
  func attentionOfHeads(opset: Int, isCausal: Bool) throws {
    let (q, k, v) = (
      normal([2, 5, 8], seed: 1), normal([2, 5, 8], seed: 2), normal([2, 5, 8], seed: 3)
    )
    let mask: [Int32] = [1, 1, 1, 1, 1, 1, 1, 1, 0, 0]
    let found = try result(
      [
        contribNode(
          "MultiHeadAttention", ["x", "z", "v", "", "m"],
          ["num_heads": .int(2), "unidirectional": .int(isCausal ? 1 : 0)])
      ], ["x": q, "z": k, "v": v, "m": .int32(Tensor([2, 5], mask))], opset: opset)
    let allowed = bools([2, 1, 1, 5], mask.map { $0 != 0 })
    let wanted = try compute(
      "Attention", [q, k, v, allowed],
      ["q_num_heads": .int(2), "kv_num_heads": .int(2), "is_causal": .int(isCausal ? 1 : 0)],
      opset: 23)[0]
    #expect(try isClose(found, wanted.require(Float.self).elements, 1e-4))
  }

  @Test func selfAttentionSplitsItsWeights() throws {
    let x = normal([1, 3, 4], seed: 1)
    let (weights, bias) = (normal([4, 12], seed: 2), normal([12], seed: 3))
    let found = try result(
      [contribNode("Attention", ["x", "w", "b"], ["num_heads": .int(2)])], ["x": x],
      ["w": weights, "b": bias])
    let rows = try compute("Add", [compute("MatMul", [x, weights])[0], bias])[0]
    let parts = try compute("Split", [rows], ["axis": .int(2)], outputs: 3)
    let wanted = try compute(
      "Attention", parts, ["q_num_heads": .int(2), "kv_num_heads": .int(2)], opset: 23)[0]
    #expect(try isClose(found, wanted.require(Float.self).elements, 1e-4))
  }

  /// Weights of 4 bits in blocks of 16, the last of which is not full.
  @Test(arguments: [17, 21], [false, true])
  func int4Weights(opset: Int, hasZeros: Bool) throws {
    let (depth, columns, block, blocks) = (24, 3, 16, 2)
    var generator = RandomGenerator(seed: 1)
    let packed = (0..<columns * blocks * block / 2).map { _ in UInt8(generator.below(256)) }
    let scales = (0..<columns * blocks).map { Float($0 + 1) / 8 }
    let zeros: [UInt8] = [0x21, 0x43, 0x65]
    var constants: [String: AnyTensor] = [
      "w": .uint8(Tensor([columns, blocks, block / 2], packed)),
      "s": floats([columns * blocks], scales),
    ]
    if hasZeros { constants["p"] = .uint8(Tensor([columns], zeros)) }
    let x = normal([2, depth], seed: 2)
    let found = try result(
      [
        contribNode(
          "MatMulNBits", ["x", "w", "s"] + (hasZeros ? ["p"] : []),
          ["K": .int(depth), "N": .int(columns), "bits": .int(4), "block_size": .int(block)])
      ], ["x": x], constants, opset: opset)
    let values = try x.require(Float.self).elements
    let wanted = (0..<2).flatMap { row in
      (0..<columns).map { column in
        (0..<depth).reduce(Float(0)) { sum, term in
          let byte = packed[(column * blocks * block + term) / 2]
          let code = term % 2 == 0 ? byte & 15 : byte >> 4
          let zero = hasZeros ? zeros[column] >> UInt8(term / block * 4) & 15 : 8
          let weight = (Float(code) - Float(zero)) * scales[column * blocks + term / block]
          return sum + values[row * depth + term] * weight
        }
      }
    }
    #expect(isClose(found, wanted, 1e-4))
  }

  /// Weights of 2, 4 and 8 bits whose blocks list their members.
  @Test(arguments: [2, 4, 8])
  func blocksOfListedMembers(bits: Int) throws {
    let (depth, columns, block, blocks) = (32, 3, 16, 2)
    var generator = RandomGenerator(seed: 4)
    let packed = (0..<columns * depth * bits / 8).map { _ in UInt8(generator.below(256)) }
    let scales = (0..<columns * blocks).map { Float($0 + 1) / 8 }
    let members = (0..<depth).map { $0 * 5 % depth / block }
    let x = normal([2, depth], seed: 2)
    let product = contribNode(
      "MatMulNBits", ["x", "w", "s", "", "g"],
      ["K": .int(depth), "N": .int(columns), "bits": .int(bits), "block_size": .int(block)])
    func constants(_ members: [Int]) -> [String: AnyTensor] {
      [
        "w": .uint8(Tensor([columns, blocks, block * bits / 8], packed)),
        "s": floats([columns * blocks], scales),
        "g": .int32(Tensor([depth], members.map(Int32.init))),
      ]
    }
    let found = try result([product], ["x": x], constants(members), opset: 21)
    let values = try x.require(Float.self).elements
    let wanted = (0..<2).flatMap { row in
      (0..<columns).map { column in
        (0..<depth).reduce(Float(0)) { sum, term in
          let bit = (column * depth + term) * bits
          let code = Int(packed[bit / 8]) >> (bit % 8) & (1 << bits - 1)
          let scale = scales[column * blocks + members[term]]
          return sum + values[row * depth + term] * Float(code - (1 << (bits - 1))) * scale
        }
      }
    }
    #expect(isClose(found, wanted, 1e-4))
    let crowded = graph([product], constants(members.map { _ in 0 }), inputs: ["x": x], opset: 21)
    #expect(crowded.inStandardOperators().nodes.map(\.opType) == ["MatMulNBits"])
  }

  @Test func sequencesOfKnownLength() throws {
    let x = floats([1, 4], [1, 2, 3, 4])
    let nodes = [
      contribNode("SplitToSequence", ["x", "l"], ["axis": .int(1)], outputs: ["s"], domain: ""),
      contribNode("SequenceErase", ["s", "i"], outputs: ["t"], domain: ""),
      contribNode("SequenceInsert", ["t", "x"], outputs: ["u"], domain: ""),
      contribNode("ConcatFromSequence", ["u"], ["axis": .int(1)], domain: ""),
    ]
    let constants = ["l": list(1, 2, 1), "i": ints([], [-2])]
    #expect(try result(nodes, ["x": x], constants) == [1, 4, 1, 2, 3, 4])
  }

  @Test(arguments: [17, 20])
  func operatorsWithOtherLayouts(opset: Int) throws {
    let image = floats([1, 2, 2, 1], [1, 2, 3, 4])
    let pooled = contribNode("NhwcMaxPool", ["x"], ["kernel_shape": .ints([2, 2])])
    #expect(try result([pooled], ["x": image], opset: opset) == [4])
    let points = ["x": floats([1, 2], [0, 0]), "z": floats([2, 2], [3, 4, 1, 0])]
    #expect(try result([contribNode("CDist", ["x", "z"])], points, opset: opset) == [25, 1])
    let euclidean = contribNode("CDist", ["x", "z"], ["metric": .string("euclidean")])
    #expect(try result([euclidean], points, opset: opset) == [5, 1])
    let x = floats([1, 1, 2, 2], [1, 2, 3, 4])
    let sampled = contribNode(
      "GridSample", ["x", "g"], ["mode": .string("bilinear"), "align_corners": .int(1)])
    let grid = floats([1, 1, 2, 2], [0, 0, 1, 1])
    #expect(try result([sampled], ["x": x, "g": grid], opset: opset) == [2.5, 4])
    let widened = contribNode("ConvTransposeWithDynamicPads", ["x", "w", "p"])
    let constants = ["w": floats([1, 1, 2, 2], [1, 1, 1, 1]), "p": ints([4], [1, 1, 1, 1])]
    #expect(try result([widened], ["x": x], constants, opset: opset) == [10])
    let upper = contribNode("Trilu", ["m"])
    #expect(
      try result([upper], ["m": floats([2, 2], [1, 2, 3, 4])], opset: opset) == [1, 2, 0, 4])
    let padded = contribNode("Pad", ["v", "p"])
    #expect(
      try result([padded], ["v": floats([1], [5])], ["p": ints([2], [1, 1])], opset: opset)
        == [0, 5, 0])
    let deeper = contribNode("ExpandDims", ["v", "a"])
    #expect(
      try result([deeper], ["v": floats([2], [5, 6])], ["a": ints([1], [0])], opset: opset)
        == [5, 6])
  }

  /// What cannot be written in ONNX's operators stays, and is refused by name when it is planned.
  @Test(
    arguments: [
      ("FusedConv", ["activation": .string("Unknown")]), ("Attention", ["num_heads": .int(0)]),
      ("Attention", ["num_heads": .int(3)]),
      ("MatMulNBits", ["K": .int(.max), "N": .int(.max), "block_size": .int(16)]),
      ("MatMulNBits", ["K": .int(4), "N": .int(4), "block_size": .int(0)]),
      ("SkipLayerNormalization", ["epsilon": .string("small")]), ("MurmurHash3", [:]),
    ] as [(String, [String: Attribute])])
  func othersStay(opType: String, attributes: [String: Attribute]) {
    let given = graph(
      [contribNode(opType, ["x", "w", "b"], attributes)],
      ["w": floats([4, 4], [Float](repeating: 1, count: 16)), "b": floats([4], [1, 1, 1, 1])],
      inputs: ["x": floats([1, 2, 4], [Float](repeating: 1, count: 8))], opset: 21)
    let standard = given.inStandardOperators()
    #expect(standard.nodes.map(\.opType) == [opType])
    #expect(standard.initializers == given.initializers)
    #expect(throws: SwiftletError.self) { try Interpreter(standard) }
  }

  @Test func placesOutsideOfSequencesStay() {
    let nodes = [
      contribNode("SequenceEmpty", [], outputs: ["s"], domain: ""),
      contribNode("SequenceAt", ["s", "i"], outputs: ["y"], domain: ""),
    ]
    let given = graph(nodes, ["i": ints([], [0])], inputs: [:])
    #expect(given.inStandardOperators().nodes.map(\.opType) == ["SequenceAt"])
  }
}
