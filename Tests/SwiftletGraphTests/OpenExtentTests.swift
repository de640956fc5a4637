// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import Testing

/// What extents are taken for that a model leaves open.
struct OpenExtentTests {
  private func extents(
    _ dimensions: [Dimension], type: DType = .float32, given: [String: Int] = [:]
  ) throws -> (shape: Shape, values: OrderedDictionary<String, Int>) {
    let input = ValueInfo("x", type, dimensions)
    let open = OpenExtents([input], batch: 2, given: given)
    return (try open.shape(of: input), open.values)
  }

  @Test func extentsMeanWhatTheySeemTo() throws {
    let n = Dimension.symbolic("N")
    let picture = try extents([n, .fixed(3), .symbolic("H"), .symbolic("W")])
    #expect(picture.shape == [2, 3, 224, 224] && picture.values == ["H": 224, "W": 224])
    let unnamed = try extents([.symbolic(""), .fixed(3), .symbolic(""), .symbolic("?")])
    #expect(unnamed.shape == [2, 3, 224, 224])
    #expect(unnamed.values == ["x[2]": 224, "x[3]": 224])
    #expect(try extents([n, .symbolic("S")], type: .int64).shape == [2, 128])
    #expect(try extents([n, .fixed(1), .symbolic("samples")]).shape == [2, 1, 16_000])
    #expect(try extents([n, .fixed(1), .symbolic("L")]).shape == [2, 1, 128])
    #expect(try extents([n, .fixed(1), .symbolic("any")]).shape == [2, 1, 16_000])
    #expect(try extents([n, .symbolic("time"), .fixed(80)]).shape == [2, 128, 80])
    // The batch is where the model says so, and nothing else is it.
    let late = try extents([.symbolic("T"), .symbolic("batch_size"), .fixed(4)])
    #expect(late.shape == [128, 2, 4] && late.values == ["T": 128])
  }

  @Test func givenExtentsWin() throws {
    let dimensions: [Dimension] = [.symbolic("N"), .fixed(3), .symbolic("H"), .symbolic("")]
    let given = try extents(dimensions, given: ["H": 64, "x[3]": 32])
    #expect(given.shape == [2, 3, 64, 32] && given.values == ["H": 64, "x[3]": 32])
    #expect(try extents(dimensions, given: ["N": 7]).shape == [7, 3, 224, 224])
    var graph = Graph(name: "open")
    graph.inputs = [ValueInfo("x", .float32, dimensions)]
    #expect(graph.openExtentNames == ["N", "H", "x[3]"])
  }

  /// A window of 400 has no place in 128 numbers: something longer is taken.
  @Test func whatDoesNotFitIsTriedOtherwise() throws {
    var graph = Graph(name: "wave")
    graph.inputs = [ValueInfo("x", .float32, [.symbolic("N"), .fixed(1), .symbolic("len")])]
    graph.outputs = [ValueInfo("y", .float32, [.symbolic("N"), .fixed(2), .symbolic("T")])]
    graph.initializers = ["w": .float32(Tensor(zeros: [2, 1, 400]))]
    graph.nodes = [
      Node(
        "Conv", name: "conv", inputs: ["x", "w"], outputs: ["y"],
        attributes: ["strides": .ints([160])])
    ]
    let interpreter = try Interpreter(graph)
    #expect(interpreter.openExtents(batch: 3).values == ["len": 512])
    #expect(try interpreter.infer(interpreter.inputShapes(batch: 3))["y"]?.shape == [3, 2, 1])
    // What is given is not changed, and said to be wrong.
    let short = interpreter.openExtents(batch: 3, given: ["len": 50])
    #expect(short.values == ["len": 50])
    #expect(throws: SwiftletError.self) { try interpreter.infer(interpreter.inputShapes(short)) }
  }

  @Test func inputsWithoutAShapeTakeAny() throws {
    var input = ValueInfo("x", .float32, [])
    input.isShaped = false
    #expect(input.accepts([2, 3]) && input.accepts(.scalar))
    #expect(input.shapeDescription == "of any shape")
    let error = #expect(throws: SwiftletError.self) { try input.shape(batch: 1) }
    #expect(error?.code == .unsupported)
  }

  /// A cast of constant codes and a product with their scales are weights, whatever their size.
  @Test func plainlyStoredWeightsAreRestoredOnce() throws {
    var graph = Graph(name: "plain")
    graph.inputs = [ValueInfo("x", .float32, [.symbolic("N"), .fixed(1024)])]
    graph.outputs = [ValueInfo("y", .float32, [.symbolic("N"), .fixed(1024)])]
    graph.initializers = [
      "q": .int8(Tensor([1024, 1024], repeating: 3)),
      "s": .float32(Tensor([1, 1024], repeating: 0.5)),
    ]
    graph.nodes = [
      Node("Cast", name: "cast", inputs: ["q"], outputs: ["c"], attributes: ["to": .int(1)]),
      Node("Mul", name: "mul", inputs: ["c", "s"], outputs: ["w"]),
      Node("MatMul", name: "product", inputs: ["x", "w"], outputs: ["y"]),
    ]
    let simple = graph.simplified()
    #expect(simple.nodes.map(\.opType) == ["MatMul"])
    #expect(simple.initializers["w"] == .float32(Tensor([1024, 1024], repeating: 1.5)))
    // Somebody else reads the codes as floats: they stay.
    graph.nodes.append(Node("Relu", name: "relu", inputs: ["c"], outputs: ["z"]))
    graph.outputs.append(ValueInfo("z", .float32, [.fixed(1024), .fixed(1024)]))
    #expect(graph.restoringWeights().nodes.count == 4)
  }
}
