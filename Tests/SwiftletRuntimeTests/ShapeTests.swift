// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletRuntime
import Testing

/// Shapes that only a run decides, wrong inputs, and no images at all.
struct ShapeTests {
  /// More sizes than stay compiled, in an order in which they come back.
  @Test(arguments: [1, 2, 3])
  func sizesTakeTurns(threads: Int) throws {
    let graph = anySizeModel()
    let session = try Session(graph, threads: Threads(count: threads))
    let reference = try Interpreter(graph)
    var generator = RandomGenerator(seed: 1)
    for round in 0..<120 {
      let shape: Shape = [
        1 + generator.below(9), 3, 3 + generator.below(9), 3 + generator.below(5),
      ]
      let input = ["x": floats(shape, seed: UInt64(round))]
      let result = try session.run(input)["y"]!
      let expected = try reference.run(input, ExecutionContext())["y"]!
      #expect(difference(result, expected) <= 1e-5, "\(shape)")
    }
  }

  @Test func packedWeightsAreShared() throws {
    let session = try Session(anySizeModel(), threads: .serial)
    try session.prepare(["x": [1, 3, 8, 8]])
    let once = try session.memory(for: ["x": [1, 3, 8, 8]]).weights
    for size in 4..<12 { try session.prepare(["x": [size, 3, size, 9]]) }
    #expect(once > 0)
    #expect(try session.memory(for: ["x": [1, 3, 8, 8]]).weights == once)
  }

  /// The same error as from the executor that checks every run.
  @Test func wrongInputsAreRefusedAlike() throws {
    let graph = anySizeModel()
    let session = try Session(graph)
    let reference = try Interpreter(graph)
    _ = try session.run(["x": floats([2, 3, 8, 8])])
    let wrong: [[String: AnyTensor]] = [
      [:], ["z": floats([2, 3, 8, 8])],
      ["x": floats([2, 3, 8, 8]), "z": floats([1])],
      ["x": floats([2, 4, 8, 8])], ["x": floats([3, 8, 8])],
      ["x": .float64(Tensor(zeros: [2, 3, 8, 8]))],
      // The pool does not fit.
      ["x": floats([2, 3, 1, 8])], ["x": floats([2, 3, 8, 2])],
    ]
    for inputs in wrong {
      let error = #expect(throws: SwiftletError.self) { try session.run(inputs) }
      let expected = #expect(throws: SwiftletError.self) {
        try reference.run(inputs, ExecutionContext())
      }
      #expect(error?.description == expected?.description)
      #expect(error?.code == expected?.code)
    }
    #expect(throws: SwiftletError.self) { try session.prepare([:]) }
    #expect(throws: SwiftletError.self) { try session.prepare(["x": [2, 3, 1, 1]]) }
  }

  /// Nothing comes of nothing, or an error that says so; never a trap.
  @Test(arguments: [[0, 3, 8, 8], [2, 3, 0, 8], [2, 3, 8, 0], [0, 3, 0, 0]], [1, 2])
  func emptyInputs(shape: [Int], threads: Int) throws {
    let session = try Session(anySizeModel(), threads: Threads(count: threads))
    do {
      let result = try session.run(["x": floats(Shape(shape))])["y"]!
      #expect(result.shape == [shape[0], 10])
    } catch let error as SwiftletError {
      #expect(error.code == .badInput)
    }
    // It still runs for images.
    #expect(try session.run(["x": floats([1, 3, 8, 8])])["y"]!.shape == [1, 10])
  }

  @Test func anEmptyBatchOfAQuantizedLayer() throws {
    let graph = quantizedModel()
    let session = try Session(graph, threads: Threads(count: 2))
    let result = try session.run(["x": floats([0, 3, 2, 6])])["y"]!
    #expect(result == .uint8(Tensor(zeros: [0, 5])))
  }

  /// Shapes that depend on data are left to the reference.
  @Test func dataDependentShapes() throws {
    let graph = model(
      [value("x", .float32, .symbolic("N"), .fixed(3), .fixed(6), .fixed(6))],
      [
        node("Conv", ["x", "w"], "a"), node("Relu", ["a"], "b"),
        node("NonZero", ["b"], "c"), node("Cast", ["c"], "d", ["to": .int(1)]),
        node("MatMul", ["d2", "d"], "y"),
      ], ["w": floats([4, 3, 3, 3]), "d2": floats([2, 4])],
      outputs: [
        value("y", .float32, .fixed(2), .symbolic("K")),
        value("b", .float32, .symbolic("N"), .fixed(4), .fixed(4), .fixed(4)),
      ])
    let session = try Session(graph)
    for seed in 1...3 {
      let input = ["x": floats([seed, 3, 6, 6], seed: UInt64(seed))]
      let (result, expected) = (
        try session.run(input), try Interpreter(graph).run(input, ExecutionContext())
      )
      #expect(result["y"]!.shape == expected["y"]!.shape && result["y"]!.shape[1] > 0)
      #expect(difference(result["y"]!, expected["y"]!) <= 1e-5)
      #expect(difference(result["b"]!, expected["b"]!) <= 1e-5)
    }
  }

  /// Two inputs with different leading extents, of which one is no batch.
  @Test func severalInputs() throws {
    let graph = model(
      [
        value("s", .float32, .fixed(1)),
        value("x", .float32, .symbolic("N"), .fixed(3), .fixed(5), .fixed(5)),
        value("z", .float32, .symbolic("N"), .fixed(3), .fixed(5), .fixed(5)),
      ],
      [
        node("Conv", ["x", "w"], "a"), node("Conv", ["z", "w"], "b"), node("Add", ["a", "b"], "c"),
        node("Mul", ["c", "s"], "y"),
      ], ["w": floats([4, 3, 3, 3])],
      outputs: [value("y", .float32, .symbolic("N"), .fixed(4), .fixed(3), .fixed(3))])
    let session = try Session(graph)
    for batch in [1, 4] {
      let input = [
        "s": floats([1], seed: 9), "x": floats([batch, 3, 5, 5]),
        "z": floats([batch, 3, 5, 5], seed: 2),
      ]
      let expected = try Interpreter(graph).run(input, ExecutionContext())
      #expect(difference(try session.run(input)["y"]!, expected["y"]!) <= 1e-5)
    }
  }
}

/// Quantize, convolve 3×3, flatten and multiply, in bytes: takes images of 12 pixels of any shape.
func quantizedModel() -> Graph {
  let steps = ["sx", "zx"]
  return model(
    [value("x", .float32, .symbolic("N"), .fixed(3), .symbolic("H"), .symbolic("W"))],
    [
      node("QuantizeLinear", ["x"] + steps, "xq"), node("DequantizeLinear", ["xq"] + steps, "xd"),
      node("DequantizeLinear", ["w", "sw"], "wd"), node("DequantizeLinear", ["m", "sw"], "md"),
      node("Conv", ["xd", "wd"], "a", ["pads": .ints([1, 1, 1, 1])]),
      node("QuantizeLinear", ["a"] + steps, "aq"), node("DequantizeLinear", ["aq"] + steps, "ad"),
      node("Flatten", ["ad"], "f"), node("Gemm", ["f", "md"], "g", ["transB": .int(1)]),
      node("QuantizeLinear", ["g", "sy", "zx"], "y"),
    ],
    [
      "sx": scalar(1 / 100), "zx": .uint8(Tensor([], [113])), "sw": scalar(1 / 500),
      "sy": scalar(1 / 60), "w": bytes([3, 3, 3, 3]), "m": bytes([5, 36], seed: 2),
    ], outputs: [value("y", .uint8, .symbolic("N"), .fixed(5))])
}
