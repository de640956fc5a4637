// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletRuntime
import Testing

/// Graphs that lowering could take for something else than they are.
struct PatternTests {
  /// - Parameter step: By how much single results may differ.
  private func check(
    _ graph: Graph, _ inputs: [String: AnyTensor], step: Float = 0,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let expected = try Interpreter(graph).run(inputs, ExecutionContext())
    for threads in 1...2 {
      let results = try Session(graph, threads: Threads(count: threads)).run(inputs)
      for (name, tensor) in expected {
        let result = results[name]!
        if tensor.dtype == .float32 {
          let error = difference(result, tensor)
          #expect(error <= max(1e-5, step), "\(name)", sourceLocation: sourceLocation)
        } else {
          #expect(result == tensor, "\(name)", sourceLocation: sourceLocation)
        }
      }
    }
  }

  private let image = value("x", .float32, .symbolic("N"), .fixed(3), .fixed(5), .fixed(5))

  private func output(_ name: String, _ dtype: DType = .float32, rank: Int = 4) -> ValueInfo {
    ValueInfo(name, dtype, (0..<rank).map { .symbolic("d\($0)") })
  }

  /// Quantized with one zero point and scale, and a convolution behind that restores with others.
  private func requantized(
    quantize: [String], restore: [String], _ constants: OrderedDictionary<String, AnyTensor>
  ) -> Graph {
    var all = constants
    all["w"] = bytes([4, 3, 3, 3])
    all["sw"] = scalar(0.01)
    return model(
      [image],
      [
        node("QuantizeLinear", ["x"] + quantize, "q"),
        node("DequantizeLinear", ["q"] + restore, "d"),
        node("DequantizeLinear", ["w", "sw"], "wd"),
        node("Conv", ["d", "wd"], "y", ["pads": .ints([1, 1, 1, 1])]),
      ], all, outputs: [output("y")])
  }

  @Test func zeroPointsThatAreLeftOut() throws {
    let x = ["x": floats([2, 3, 5, 5])]
    let constants: OrderedDictionary<String, AnyTensor> = [
      "s": scalar(0.01), "z8": .int8(Tensor([], [0])), "zu": .uint8(Tensor([], [0])),
    ]
    try check(requantized(quantize: ["s", "z8"], restore: ["s"], constants), x)
    try check(requantized(quantize: ["s"], restore: ["s"], constants), x)
    try check(requantized(quantize: ["s", "zu"], restore: ["s"], constants), x)
    try check(requantized(quantize: ["s"], restore: ["s", "zu"], constants), x)
  }

  @Test func otherScalesAndZeroPointsOnTheWayBack() throws {
    let x = ["x": floats([2, 3, 5, 5])]
    let constants: OrderedDictionary<String, AnyTensor> = [
      "s": scalar(0.01), "t": scalar(0.02), "z": .uint8(Tensor([], [128])),
      "k": .uint8(Tensor([], [100])),
    ]
    try check(requantized(quantize: ["s", "z"], restore: ["t", "z"], constants), x)
    // The padding is zero, which is another code than the one that zero was given.
    try check(requantized(quantize: ["s", "z"], restore: ["s", "k"], constants), x)
  }

  /// The same bytes stand for different numbers to two readers.
  @Test func twoReadersOfTheSameBytes() throws {
    var graph = requantized(
      quantize: ["s", "z"], restore: ["s", "z"],
      [
        "s": scalar(0.01), "t": scalar(0.03), "z": .uint8(Tensor([], [128])),
        "k": .uint8(Tensor([], [7])),
      ])
    graph.nodes += [
      node("DequantizeLinear", ["q", "t", "k"], "e"),
      node("Conv", ["e", "wd"], "f", ["pads": .ints([1, 1, 1, 1])]),
      node("Add", ["f", "y"], "g"),
    ]
    graph.outputs += [output("g"), output("q", .uint8)]
    try check(graph, ["x": floats([3, 3, 5, 5])])
  }

  /// Limits that leave nothing of what bytes can hold.
  @Test(
    arguments: [(Float(-5), Float(-1)), (-1, -0.5), (4, 9), (0.1, 0.1), (-9, 9)], [0, 128, 255])
  func clampsBeyondBytes(limits: (low: Float, high: Float), zero: Int) throws {
    var graph = requantized(
      quantize: ["s", "z"], restore: ["s", "z"],
      [
        "s": scalar(0.01), "t": scalar(0.0137), "z": .uint8(Tensor([], [UInt8(zero)])),
        "low": scalar(limits.low),
        "high": scalar(limits.high),
      ])
    graph.nodes += [
      node("Clip", ["y", "low", "high"], "c"), node("QuantizeLinear", ["c", "t", "z"], "cq"),
    ]
    graph.outputs = [output("cq", .uint8)]
    try check(graph, ["x": floats([2, 3, 5, 5])])
  }

  /// Bytes of rows leave the runtime in their own order.
  @Test(arguments: [false, true])
  func quantizedRowsAsOutputs(isSigned: Bool) throws {
    let zero: AnyTensor = isSigned ? .int8(Tensor([], [3])) : .uint8(Tensor([], [130]))
    let graph = model(
      [value("x", .float32, .symbolic("N"), .fixed(4), .fixed(6))],
      [
        node("MatMul", ["x", "w"], "a"), node("QuantizeLinear", ["a", "s", "z"], "y"),
        node("DequantizeLinear", ["y", "s", "z"], "d"),
      ], ["w": floats([6, 5]), "s": scalar(0.02), "z": zero],
      outputs: [output("y", isSigned ? .int8 : .uint8, rank: 3), output("d", rank: 3)])
    try check(graph, ["x": floats([3, 4, 6])])
  }

  /// Images with as many pixels but another height and width: weights are packed for each.
  @Test func flattenedImagesOfOtherShapes() throws {
    let graph = quantizedModel()
    let session = try Session(graph, threads: .serial)
    for shape: Shape in [
      [2, 3, 2, 6], [2, 3, 6, 2], [2, 3, 12, 1], [2, 3, 1, 12], [2, 3, 3, 4], [2, 3, 2, 6],
    ] {
      let input = ["x": floats(shape)]
      let expected = try Interpreter(graph).run(input, ExecutionContext())["y"]!
      #expect(try session.run(input)["y"]! == expected, "\(shape)")
    }
  }

  /// Pixels of exactly a page have a gap behind them.
  @Test(arguments: [1, 2])
  func pixelsOfAPage(size: Int) throws {
    let graph = model(
      [value("x", .float32, .symbolic("N"), .fixed(1024), .symbolic("H"), .symbolic("W"))],
      [
        node("Conv", ["x", "w"], "a", ["pads": .ints([1, 1, 1, 1])]),
        node("Conv", ["a", "v"], "b"), node("Add", ["b", "x"], "c"), node("Relu", ["c"], "d"),
        node("Conv", ["d", "u"], "e", ["pads": .ints([1, 0, 1, 0]), "group": .int(1024)]),
        node("MaxPool", ["e"], "f", ["kernel_shape": .ints([1, 1])]),
        node("GlobalAveragePool", ["f"], "g"), node("Flatten", ["g"], "h"),
        node("Gemm", ["h", "m"], "y"),
      ],
      [
        "w": floats([6, 1024, 3, 3]), "v": floats([1024, 6, 1, 1], seed: 2),
        "u": floats([1024, 1, 3, 1], seed: 3), "m": floats([1024, 7], seed: 4),
      ], outputs: [output("y", rank: 2), output("d"), output("g")])
    for batch in 1...2 { try check(graph, ["x": floats([batch, 1024, size, 2])]) }
  }

  /// Work for kernels and for the reference in turns, with and without products among it.
  @Test(arguments: [[0], [0, 2], [1, 5], []], [6, 400])
  func kernelsAndReferenceInTurns(products: [Int], length: Int) throws {
    var nodes: [Node] = []
    for index in 0..<length {
      let input = index == 0 ? "x" : "v\(index - 1)"
      let isProduct = products.contains(index)
      nodes.append(
        isProduct
          ? node("Conv", [input, "w"], "a\(index)") : node("Relu", [input], "a\(index)"))
      nodes.append(node("Neg", ["a\(index)"], "v\(index)"))
    }
    let graph = model(
      [image], nodes, ["w": floats([3, 3, 1, 1])], outputs: [output("v\(length - 1)")])
    try check(graph, ["x": floats([2, 3, 5, 5])])
  }

  /// A node may have any name.
  @Test func namesOfSegments() throws {
    var graph = anySizeModel()
    graph.nodes[5].name = "segment 0"
    try check(graph, ["x": floats([2, 3, 6, 6])])
  }

  /// Values that are read within the segment, outside of it and as results.
  @Test func severalReaders() throws {
    let graph = model(
      [image],
      [
        node("Conv", ["x", "w"], "a"), node("Relu", ["a"], "b"), node("Sigmoid", ["a"], "c"),
        node("Add", ["b", "c"], "d"), node("Add", ["a", "a"], "e"), node("Add", ["e", "d"], "f"),
        node("Conv", ["f", "v"], "g"), node("Add", ["g", "h"], "i"),
        node("Conv", ["f", "v"], "h2"), node("Add", ["i", "h2"], "j"),
      ],
      [
        "w": floats([4, 3, 3, 3]), "v": floats([4, 4, 1, 1], seed: 2),
        "h": floats([1, 4, 1, 1], seed: 3),
      ],
      outputs: [output("j"), output("a"), output("b"), output("f")])
    for batch in [1, 3] { try check(graph, ["x": floats([batch, 3, 5, 5])]) }
  }

  /// Flattened images are in another order than their pixels.
  @Test func flattenedImagesAndOtherReaders() throws {
    let graph = model(
      [image],
      [
        node("Conv", ["x", "w"], "a"), node("Flatten", ["a"], "f"),
        node("Gemm", ["f", "m"], "g"), node("Reshape", ["a", "shape"], "r"),
        node("MatMul", ["r", "m"], "h"), node("Relu", ["r"], "s"), node("Add", ["g", "h"], "i"),
      ],
      [
        "w": floats([4, 3, 3, 3]), "m": floats([36, 5], seed: 2),
        "shape": .int64(Tensor([2], [0, -1])),
      ], outputs: [output("i", rank: 2), output("f", rank: 2), output("s", rank: 2)])
    try check(graph, ["x": floats([3, 3, 5, 5])])
  }

  /// NaN and infinities go through like on the reference.
  @Test func numbersThatAreNone() throws {
    var graph = anySizeModel()
    graph.outputs += [output("b"), output("e")]
    var values = floats([2, 3, 7, 7]).typed(as: Float.self)!.elements
    (values[5], values[60], values[200]) = (.nan, .infinity, -.infinity)
    try check(graph, ["x": .float32(Tensor([2, 3, 7, 7], values))])
  }
}
