// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import Testing

/// Further forms of operators of onnxruntime, of which the first forms are in other files.
struct StandardFormTests {
  private func graph(
    _ nodes: [Node], _ inputs: [String: AnyTensor], _ constants: [String: AnyTensor], opset: Int,
    open: Bool = false
  ) -> Graph {
    var graph = Graph(name: "forms", nodes: nodes, opset: opset)
    graph.inputs = inputs.sorted { $0.key < $1.key }.map { name, value in
      // The first extent may be left open.
      let first = open ? [Dimension.symbolic(name == "m" ? "masks" : "batch")] : []
      let rest = value.shape.dimensions.dropFirst(open ? 1 : 0).map(Dimension.fixed)
      return ValueInfo(name, value.dtype, first + rest)
    }
    for (name, value) in constants { graph.initializers[name] = value }
    return graph
  }

  /// What a node becomes gives.
  private func results(
    _ nodes: [Node], _ inputs: [String: AnyTensor], _ constants: [String: AnyTensor] = [:],
    outputs: [String] = ["y"], types: [String: DType] = [:], opset: Int = 17, open: Bool = false
  ) throws -> [AnyTensor] {
    var graph = graph(nodes, inputs, constants, opset: opset, open: open)
    graph.outputs = outputs.map { ValueInfo($0, types[$0] ?? .float32, []) }
    let standard = graph.inStandardOperators()
    let found = try Interpreter(standard).run(inputs, ExecutionContext())
    return outputs.map { found[$0]! }
  }

  private func values(_ tensor: AnyTensor) throws -> [Float] {
    try tensor.converted(to: .float32).require(Float.self).elements
  }

  private func expect(
    _ found: AnyTensor, _ wanted: [Float], _ note: String = "", within tolerance: Float = 1e-4
  ) throws {
    let found = try values(found)
    #expect(found.count == wanted.count, "\(note)")
    for (a, b) in zip(found, wanted) {
      #expect(abs(a - b) <= tolerance * max(1, abs(b)), "\(note)")
    }
  }

  private func normal(_ shape: Shape, _ seed: UInt64) -> AnyTensor {
    var generator = RandomGenerator(seed: seed)
    return .float32(Tensor(shape, normalUsing: &generator))
  }

  private func narrow(_ values: [Int32]) -> AnyTensor { .int32(Tensor([values.count], values)) }

  // MARK: Attention

  /// N ends; N ends and N starts; N lengths and sums of them: all name the same keys.
  @Test(
    arguments: [[4, 5, 1, 0], [3, 5], [3, 5, 0, 3, 8, 0, 3, 8]] as [[Int32]], [false, true])
  func masksOfPositions(mask: [Int32], isOpen: Bool) throws {
    let (x, w) = (normal([2, 5, 4], 1), normal([4, 12], 2))
    let attention = contribNode("Attention", ["x", "w", "", "m"], ["num_heads": .int(2)])
    // With open extents nothing tells lengths and sums from ends and starts.
    guard !isOpen || mask.count < 8 else { return }
    let found = try results(
      [attention], ["x": x, "m": narrow(mask)], ["w": w], open: isOpen)[0]
    let starts = mask.count == 4 ? [1, 0] : [0, 0]
    var seen: [Int32] = []
    for row in 0..<2 {
      for key in 0..<5 { seen.append(Int32(key) < mask[row] && key >= starts[row] ? 1 : 0) }
    }
    let wanted = try results(
      [attention], ["x": x, "m": .int32(Tensor([2, 5], seen))], ["w": w])[0]
    try expect(found, values(wanted))
    let unmasked = contribNode("Attention", ["x", "w"], ["num_heads": .int(2)])
    #expect(try values(wanted) != values(results([unmasked], ["x": x], ["w": w])[0]))
  }

  @Test func masksOfOtherLengthsAreRefused() throws {
    let attention = contribNode("Attention", ["x", "w", "", "m"], ["num_heads": .int(2)])
    let given = graph(
      [attention], ["x": normal([2, 5, 4], 1), "m": narrow([1, 2, 3])], ["w": normal([4, 12], 2)],
      opset: 17)
    let standard = given.inStandardOperators()
    let error = #expect(throws: SwiftletError.self) { try Interpreter(standard) }
    #expect(
      error?.what
        == "operator com.microsoft.Attention with inputs 1, 2, 4, num_heads 2 is not supported")
  }

  /// Weights and bias that are computed, of known widths or not.
  @Test(arguments: [13, 17, 18], [[], [4, 4, 8]])
  func computedWeights(opset: Int, sizes: [Int]) throws {
    let width = sizes.isEmpty ? 12 : 16
    let (x, w, b) = (normal([2, 3, 4], 1), normal([4, width], 2), normal([width], 3))
    var attributes: [String: Attribute] = ["num_heads": .int(2)]
    if !sizes.isEmpty { attributes["qkv_hidden_sizes"] = .ints(sizes) }
    let attention = contribNode("Attention", ["x", "w", "b"], attributes)
    let wanted = try results([attention], ["x": x], ["w": w, "b": b], opset: opset)[0]
    let computed = try results([attention], ["x": x, "w": w, "b": b], opset: opset)[0]
    try expect(computed, values(wanted))
    let constants = try results([attention], ["x": x, "b": b], ["w": w], opset: opset)[0]
    try expect(constants, values(wanted))
  }

  /// Keys and values that come as heads, with a bias for queries alone; and values of another
  /// width.
  @Test(arguments: [false, true])
  func formsOfMultiHeadAttention(isConstant: Bool) throws {
    let (q, k, v) = (normal([2, 5, 4], 1), normal([2, 3, 4], 2), normal([2, 3, 4], 3))
    let wide = normal([2, 3, 6], 4)
    func attend(
      _ inputs: [String], _ given: [String: AnyTensor], _ constants: [String: AnyTensor] = [:]
    ) throws -> AnyTensor {
      try results(
        [contribNode("MultiHeadAttention", inputs, ["num_heads": .int(2)])],
        isConstant ? given : given.merging(constants) { $1 }, isConstant ? constants : [:])[0]
    }
    func heads(_ rows: AnyTensor) throws -> AnyTensor {
      let split = try compute("Reshape", [rows, list(2, 3, 2, 2)])[0]
      return try compute("Transpose", [split], ["perm": .ints([0, 2, 1, 3])])[0]
    }
    func part(_ bias: AnyTensor, _ range: Range<Int>) throws -> AnyTensor {
      floats([range.count], Array(try values(bias)[range]))
    }
    func sum(_ a: AnyTensor, _ b: AnyTensor) throws -> AnyTensor { try compute("Add", [a, b])[0] }
    let plain = try attend(["q", "k", "v"], ["q": q, "k": k, "v": v])
    try expect(
      attend(["q", "k", "v"], ["q": q, "k": heads(k), "v": heads(v)]), values(plain))
    let bias = normal([12], 5)
    try expect(
      attend(["q", "k", "v", "b"], ["q": q, "k": heads(k), "v": heads(v)], ["b": bias]),
      values(attend(["q", "k", "v"], ["q": sum(q, part(bias, 0..<4)), "k": k, "v": v])))
    let wideBias = normal([14], 6)
    try expect(
      attend(["q", "k", "v", "b"], ["q": q, "k": k, "v": wide], ["b": wideBias]),
      values(
        attend(
          ["q", "k", "v"],
          [
            "q": sum(q, part(wideBias, 0..<4)), "k": sum(k, part(wideBias, 4..<8)),
            "v": sum(wide, part(wideBias, 8..<14)),
          ])))
  }

  // MARK: Products

  /// Rows before the batch, and matrices that lie on their side: a · b for every combination.
  @Test(arguments: 0..<4, 0..<4)
  func rowsBeforeTheBatch(left: Int, right: Int) throws {
    let (a, b) = (normal([2, 3, 4, 5], 1), normal([2, 3, 5, 6], 2))
    func stored(_ x: AnyTensor, _ form: Int) throws -> AnyTensor {
      var x = x
      if form & 1 != 0 { x = try compute("Transpose", [x], ["perm": .ints([0, 1, 3, 2])])[0] }
      return form & 2 == 0 ? x : try compute("Transpose", [x], ["perm": .ints([2, 0, 1, 3])])[0]
    }
    let product = contribNode(
      "FusedMatMul", ["a", "b"],
      [
        "transA": .int(left & 1), "transBatchA": .int(left >> 1), "transB": .int(right & 1),
        "transBatchB": .int(right >> 1), "alpha": .float(0.5),
      ])
    let found = try results([product], ["a": stored(a, left), "b": stored(b, right)])[0]
    let wanted = try values(compute("MatMul", [a, b])[0]).map { $0 / 2 }
    #expect(found.shape == [2, 3, 4, 6])
    try expect(found, wanted)
  }

  /// Weights of 4 bits whose zero points are no whole numbers, and out of the codes' range.
  @Test(arguments: [[7.5, -2.25, 20, 8], [3, 15, 0, 8]] as [[Float]])
  func zeroPointsBetweenCodes(zeros: [Float]) throws {
    let (depth, columns, block, blocks) = (24, 2, 16, 2)
    var generator = RandomGenerator(seed: 1)
    let packed = (0..<columns * blocks * 8).map { _ in UInt8(generator.below(256)) }
    let scales: [Float] = [0.5, 0.25, 1, 0.125]
    let x = normal([2, depth], 2)
    let found = try results(
      [
        contribNode(
          "MatMulNBits", ["x", "w", "s", "z", "", "b"],
          ["K": .int(depth), "N": .int(columns), "bits": .int(4), "block_size": .int(block)])
      ], ["x": x],
      [
        "w": .uint8(Tensor([columns, blocks, 8], packed)), "s": floats([4], scales),
        "z": floats([4], zeros), "b": floats([2], [1, -1]),
      ], opset: 21)[0]
    let rows = try values(x)
    let wanted = (0..<2).flatMap { row in
      (0..<columns).map { column in
        (0..<depth).reduce(Float(column == 0 ? 1 : -1)) { sum, term in
          let byte = packed[(column * blocks * block + term) / 2]
          let code = Float(term % 2 == 0 ? byte & 15 : byte >> 4)
          let place = column * blocks + term / block
          return sum + rows[row * depth + term] * (code - zeros[place]) * scales[place]
        }
      }
    }
    try expect(found, wanted)
  }

  /// Rows of tables in blocks: packed, of 8 bits, and of 4-bit types along either axis.
  @Test func gatheredBlocks() throws {
    func gather(
      _ constants: [String: AnyTensor], _ inputs: [String], _ attributes: [String: Attribute]
    ) throws -> AnyTensor {
      try results(
        [contribNode("GatherBlockQuantized", inputs, attributes)], ["i": ints([1, 2], [1, -1])],
        constants,
        opset: 21)[0]
    }
    let packed = AnyTensor.uint8(Tensor([3, 2], [0x10, 0x32, 0x54, 0x76, 0x98, 0xBA]))
    let scales = floats([3, 1], [1, 2, 3])
    let rows = try gather(
      ["d": packed, "s": scales], ["d", "i", "s"], ["block_size": .int(16)])
    #expect(rows.shape == [1, 2, 4])
    // Codes 4 5 6 7 and 8 9 10 11, less 8, by 2 and by 3.
    try expect(rows, [-8, -6, -4, -2, 0, 3, 6, 9])
    let zeros = AnyTensor.uint8(Tensor([3, 1], [1, 5, 9]))
    try expect(
      gather(
        ["d": packed, "s": scales, "z": zeros], ["d", "i", "s", "z"], ["block_size": .int(16)]),
      [-2, 0, 2, 4, -3, 0, 3, 6])
    let bytes = AnyTensor.uint8(Tensor([2, 3], [1, 2, 3, 130, 128, 126]))
    try expect(
      gather(
        ["d": bytes, "s": floats([2, 2], [1, 1, 2, 0.5])], ["d", "i", "s"],
        ["block_size": .int(2), "bits": .int(8)]),
      [4, 0, -1, 4, 0, -1])
    // Blocks of two rows, columns gathered.
    let table = ints([3, 2], [1, -2, 3, -4, 5, -6]).converted(to: .int4)
    let columns = try gather(
      ["d": table, "s": floats([2, 2], [1, 10, 2, 20])], ["d", "i", "s"],
      ["block_size": .int(2), "gather_axis": .int(1), "quantize_axis": .int(0)])
    #expect(columns.shape == [3, 1, 2])
    try expect(columns, [-20, -20, -40, -40, -120, -120])
  }

  // MARK: Normalization

  /// Means and the factors that rows are multiplied with.
  @Test(arguments: [13, 17])
  func statisticsOfRows(opset: Int) throws {
    let x = floats([2, 2], [1, 3, -2, 6])
    let constants = [
      "g": floats([2], [1, 1]), "b": floats([2], [0, 0]), "s": floats([2, 2], [0, 0, 0, 0]),
    ]
    let names = ["y", "m", "f"]
    let found = try results(
      [contribNode("SkipLayerNormalization", ["x", "s", "g", "b"], outputs: names)], ["x": x],
      constants,
      outputs: names, opset: opset)
    try expect(found[0], [-1, 1, -1, 1])
    try expect(found[1], [2, 2])
    try expect(found[2], [1, 0.25])
    #expect(found[1].shape == [2, 1])
    // Without means: √(mean of squares), over both axes.
    let root = try results(
      [
        contribNode(
          "SimplifiedLayerNormalization", ["x", "w"], ["axis": .int(0), "epsilon": .float(0)],
          outputs: ["y", "f"], domain: "")
      ], ["x": floats([2, 2], [1, 1, 5, 3])], ["w": floats([2, 2], [1, 2, 3, 4])],
      outputs: ["y", "f"], opset: opset)
    try expect(root[0], [1 / 3, 2 / 3, 5, 4])
    try expect(root[1], [1 / 3])
    #expect(root[1].shape == [1, 1])
  }

  // MARK: Quantized values

  /// A softmax of all axes from one on, in a graph of either kind of operator set, and the other
  /// way round.
  @Test(arguments: [12, 17], [12, 13])
  func softmaxOfEitherKind(opset: Int, own: Int) throws {
    let codes: [UInt8] = [0, 10, 20, 30, 40, 50, 60, 70]
    let (scale, zero) = (floats([], [0.1]), AnyTensor.uint8(Tensor([], [0])))
    let found = try results(
      [
        contribNode(
          "QLinearSoftmax", ["x", "s", "z", "t", "z"], ["axis": .int(1), "opset": .int(own)])
      ], ["x": .uint8(Tensor([2, 2, 2], codes))],
      ["s": scale, "z": zero, "t": floats([], [1 / 256])], types: ["y": .uint8],
      opset: opset)[0]
    let x = floats([2, 2, 2], codes.map { Float($0) / 10 })
    let exact = try compute("Softmax", [x], ["axis": .int(1)], opset: own == 12 ? 11 : 13)[0]
    let wanted = try values(exact).map { min(255, ($0 * 256).rounded(.toNearestOrEven)) }
    #expect(try values(found) == wanted)
  }

  @Test func poolsWithChannelsLast() throws {
    let x = AnyTensor.uint8(Tensor([1, 2, 2, 2], [0, 100, 2, 102, 4, 104, 6, 106]))
    let constants: [String: AnyTensor] = [
      "s": floats([], [1]), "z": .uint8(Tensor([], [0])), "t": floats([], [0.5]),
    ]
    let inputs = ["x", "s", "z", "t", "z"]
    let all = try results(
      [contribNode("QLinearGlobalAveragePool", inputs, ["channels_last": .int(1)])], ["x": x],
      constants,
      types: ["y": .uint8])[0]
    #expect(all.shape == [1, 1, 1, 2])
    #expect(try values(all) == [6, 206])
    let pooled = try results(
      [
        contribNode(
          "QLinearAveragePool", inputs,
          ["channels_last": .int(1), "kernel_shape": .ints([1, 2])])
      ], ["x": x], constants,
      types: ["y": .uint8])[0]
    #expect(pooled.shape == [1, 2, 1, 2])
    #expect(try values(pooled) == [2, 202, 10, 210])
  }

  // MARK: Others

  @Test func inversesAndPlaces() throws {
    let x = floats([2, 2, 2], [1, 2, 3, 4, 0, 1, 1, 0])
    try expect(
      results([contribNode("Inverse", ["x"])], ["x": x])[0], [-2, 1, 1.5, -0.5, 0, 1, 1, 0])
    let singular = try values(
      results([contribNode("Inverse", ["x"])], ["x": floats([2, 2], [1, 2, 2, 4])])[0])
    #expect(singular.allSatisfy { !$0.isFinite })
    let wide = graph(
      [contribNode("Inverse", ["x"])], ["x": floats([1, 2], [1, 2])], [:], opset: 17)
    #expect(throws: SwiftletError.self) { try Interpreter(wide).infer(["x": [1, 2]]) }
    let picked = contribNode("GatherND", ["x", "i"])
    let places = AnyTensor.int32(Tensor([2, 2], [0, 1, 1, 0]))
    try expect(
      results([picked], ["x": floats([2, 2], [1, 2, 3, 4]), "i": places])[0], [2, 3])
    let unique = contribNode("Unique", ["x"], outputs: ["y", "i", "c"])
    let found = try results(
      [unique], ["x": floats([5], [3, 2, 1, 3, 2])], outputs: ["y", "i", "c"],
      types: ["i": .int64, "c": .int64])
    #expect(try found.map(values) == [[3, 2, 1], [0, 1, 2, 0, 1], [2, 2, 1]])
  }

  // MARK: Sequences

  /// Pieces of a known axis: of one element each, and of a length that the last does not reach.
  @Test func piecesOfKnownAxes() throws {
    let x = count([2, 5])
    func at(_ place: Int64, _ split: Node, _ constants: [String: AnyTensor] = [:]) throws
      -> AnyTensor
    {
      try results(
        [split, contribNode("SequenceAt", ["s", "i"], domain: "")], ["x": x],
        constants.merging(["i": ints([], [place])]) { $1 })[0]
    }
    let single = contribNode(
      "SplitToSequence", ["x"], ["axis": .int(1), "keepdims": .int(0)], outputs: ["s"], domain: "")
    #expect(try at(3, single) == floats([2], [3, 8]))
    let kept = contribNode("SplitToSequence", ["x"], ["axis": .int(-1)], outputs: ["s"], domain: "")
    #expect(try at(-1, kept) == floats([2, 1], [4, 9]))
    let pairs = contribNode(
      "SplitToSequence", ["x", "n"], ["axis": .int(1)], outputs: ["s"], domain: "")
    #expect(try at(1, pairs, ["n": ints([], [2])]) == floats([2, 2], [2, 3, 7, 8]))
    #expect(try at(2, pairs, ["n": ints([], [2])]) == floats([2, 1], [4, 9]))
    let length = try results(
      [pairs, contribNode("SequenceLength", ["s"], domain: "")], ["x": x], ["n": ints([], [2])],
      types: ["y": .int64])[0]
    #expect(length == ints([], [3]))
    // The axis of samples is open: how many there are only a run knows.
    let open = graph(
      [
        contribNode("SplitToSequence", ["x"], outputs: ["s"], domain: ""),
        contribNode("SequenceAt", ["s", "i"], domain: ""),
      ], ["x": x], ["i": ints([], [0])], opset: 17, open: true)
    let error = #expect(throws: SwiftletError.self) { try Interpreter(open.inStandardOperators()) }
    #expect(error?.code == .unsupported)
    #expect(error?.what.contains("a sequence whose length or places only a run knows") == true)
  }

  /// A body for each element, which may use what is around it.
  @Test func bodiesOverSequences() throws {
    let body = Graph(
      name: "body",
      nodes: [
        contribNode("Mul", ["e", "two"], outputs: ["f"], domain: ""),
        contribNode("Add", ["f", "o"], outputs: ["g"], domain: ""),
        contribNode("Neg", ["f"], outputs: ["h"], domain: ""),
      ], initializers: ["two": floats([], [2])],
      inputs: [ValueInfo("e", .float32, []), ValueInfo("o", .float32, [])],
      outputs: [ValueInfo("g", .float32, []), ValueInfo("h", .float32, [])])
    let nodes = [
      contribNode("SequenceConstruct", ["x", "z"], outputs: ["s"], domain: ""),
      contribNode(
        "SequenceMap", ["s", "x"], ["body": .graph(body)], outputs: ["t", "u"], domain: ""),
      contribNode("ConcatFromSequence", ["t"], ["axis": .int(0)], domain: ""),
      contribNode("ConcatFromSequence", ["u"], ["axis": .int(0)], outputs: ["w"], domain: ""),
    ]
    let found = try results(
      nodes, ["x": floats([2], [1, 2]), "z": floats([2], [5, 7])], outputs: ["y", "w"])
    #expect(found == [floats([4], [3, 6, 11, 16]), floats([4], [-2, -4, -10, -14])])
  }
}
