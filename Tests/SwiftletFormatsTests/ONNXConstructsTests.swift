// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletFormats
import SwiftletGraph
import Testing
import _SwiftletTestSupport

/// Functions of a model, sparse constants, texts, and outputs that are no tensors.
struct ONNXConstructsTests {
  private func node(
    _ opType: String, _ inputs: [String], _ outputs: [String], domain: String = "",
    _ attributes: [UInt8]...
  ) -> [UInt8] {
    inputs.flatMap { field(1, $0) } + outputs.flatMap { field(2, $0) } + field(4, opType)
      + attributes.flatMap { field(5, $0) } + (domain.isEmpty ? [] : field(7, domain))
  }

  /// A value of fp32, or of another type, with so many elements.
  private func value(_ name: String, _ count: UInt8 = 4, type: UInt8 = 1) -> [UInt8] {
    field(1, name) + field(2, field(1, [0x08, type] + field(2, field(1, [0x08, count]))))
  }

  private func model(
    _ nodes: [[UInt8]], _ rest: [UInt8] = [], output: [UInt8]? = nil, others: [UInt8] = []
  ) -> [UInt8] {
    let graph =
      nodes.flatMap { field(1, $0) } + field(2, "g") + rest + field(11, value("x"))
      + field(12, output ?? value("y"))
    let domains = ["own", "ai.onnx.ml"].flatMap { field(8, field(1, $0) + [0x10, 1]) }
    return [0x08, 8] + field(7, graph) + field(8, [0x10, 13]) + domains + others
  }

  private func tensor(_ name: String, _ values: [Int64]) -> [UInt8] {
    let bytes = values.flatMap { value in
      (0..<8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }
    return [0x08, UInt8(values.count), 0x10, 7] + field(8, name) + field(9, bytes)
  }

  private func run(_ bytes: [UInt8]) throws -> [Float] {
    let x = AnyTensor.float32(Tensor([4], [1, -2, 3, -4]))
    let graph = try ONNXFile.decode(bytes)
    return try Interpreter(graph).run(["x": x], ExecutionContext())["y"]!.require(Float.self).elements
  }

  /// Sequences pass between nodes alone, and the refusal says so.
  @Test func sequencesAreNoOutputs() {
    let element = field(1, [0x08, 1] + field(2, field(1, [0x08, 4])))
    let sequence = field(1, "s") + field(2, field(4, field(1, element)))
    let bytes = model([node("SequenceConstruct", ["x"], ["s"])], output: sequence)
    let error = #expect(throws: SwiftletError.self) { try ONNXFile.decode(bytes) }
    #expect(error?.code == .unsupported)
    #expect(error?.what.contains("'s' is a sequence") == true)
  }

  // MARK: Functions

  /// `Scaled(a) = LeakyRelu(a + a, alpha)`, and `Twice(a) = Scaled(Scaled(a))`.
  private var functions: [UInt8] {
    let reference = field(1, "alpha") + [0xa0, 1, 1] + field(21, "slope")
    let scaled =
      field(1, "Scaled") + field(4, "a") + field(5, "o") + field(6, "slope")
      + field(7, node("Add", ["a", "a"], ["t"]))
      + field(7, node("LeakyRelu", ["t"], ["o"], reference))
      + field(9, [0x10, 13]) + field(10, "own")
    let half = field(1, "slope") + [0x15, 0, 0, 0, 0x3f] + [0xa0, 1, 1]
    let twice =
      field(1, "Twice") + field(4, "a") + field(5, "o")
      + field(7, node("Scaled", ["a"], ["t"], domain: "own", half))
      + field(7, node("Scaled", ["t"], ["o"], domain: "own", half)) + field(10, "own")
    return field(25, scaled) + field(25, twice)
  }

  @Test func functionsAreWrittenOut() throws {
    let bytes = model(
      [node("Twice", ["x"], ["h"], domain: "own"), node("Twice", ["h"], ["y"], domain: "own")],
      others: functions)
    let graph = try ONNXFile.decode(bytes)
    #expect(
      graph.nodes.map(\.opType) == [
        "Add", "LeakyRelu", "Add", "LeakyRelu", "Add", "LeakyRelu", "Add", "LeakyRelu",
      ])
    // Each negative number is doubled and halved, each positive one doubled, four times.
    #expect(try run(bytes) == [16, -2, 48, -4])
    #expect(try run(ONNXFile.encode(graph)) == [16, -2, 48, -4])
  }

  @Test func functionsWithoutEndAreRefused() throws {
    let own =
      field(1, "F") + field(4, "a") + field(5, "o")
      + field(7, node("F", ["a"], ["o"], domain: "own"))
      + field(10, "own")
    let graph = try ONNXFile.decode(
      model([node("F", ["x"], ["y"], domain: "own")], others: field(25, own)))
    expectError(.unsupported, "own.F") { try Interpreter(graph) }
    // Each level calls the next one twice.
    let levels = (0..<30).flatMap { level -> [UInt8] in
      let name = "L\(level + 1)"
      return field(
        25,
        field(1, "L\(level)") + field(4, "a") + field(5, "o")
          + field(7, node(name, ["a"], ["t"], domain: "own"))
          + field(7, node(name, ["t"], ["o"], domain: "own")) + field(10, "own"))
    }
    expectError(.badInput, "functions") {
      try ONNXFile.decode(model([node("L0", ["x"], ["y"], domain: "own")], others: levels))
    }
  }

  @Test func functionsOfOtherOperatorSetsStay() throws {
    let old =
      field(1, "F") + field(4, "a") + field(5, "o") + field(7, node("Relu", ["a"], ["o"]))
      + field(9, [0x10, 9]) + field(10, "own")
    let bytes = model([node("F", ["x"], ["y"], domain: "own")], others: field(25, old))
    #expect(try ONNXFile.decode(bytes).nodes.map(\.opType) == ["F"])
  }

  // MARK: Sparse constants

  private func sparse(_ places: [UInt8], _ extents: [UInt8] = [4]) -> [UInt8] {
    let values = [0x08, 2, 0x10, 1] + field(8, "w") + field(9, [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40])
    return field(15, field(1, values) + field(2, places) + extents.flatMap { [0x18, $0] })
  }

  @Test func sparseConstantsAreFilled() throws {
    let nodes = [node("Add", ["x", "w"], ["y"])]
    #expect(try run(model(nodes, sparse(tensor("i", [3, 0])))) == [3, -2, 3, -3])
    let pairs: [UInt8] =
      [0x08, 2, 0x08, 2, 0x10, 7] + field(8, "i")
      + field(9, [0, 1, 1, 0].flatMap { [$0, 0, 0, 0, 0, 0, 0, 0] })
    let graph = try ONNXFile.decode(model(nodes, sparse(pairs, [2, 2])))
    #expect(graph.initializers["w"] == .float32(Tensor([2, 2], [0, 1, 2, 0])))
    // They come back as full ones.
    #expect(try ONNXFile.decode(ONNXFile.encode(graph)).initializers == graph.initializers)
  }

  @Test(arguments: [[4, 0], [-1, 0], [1, 1], [0]] as [[Int64]])
  func sparseConstantsWithOtherPlacesAreRefused(places: [Int64]) {
    expectError(.badInput, "sparse tensor 'w'") {
      try ONNXFile.decode(model([node("Add", ["x", "w"], ["y"])], sparse(tensor("i", places))))
    }
  }

  // MARK: Texts and maps

  private func texts(_ name: String, _ texts: String...) -> [UInt8] {
    field(1, name) + texts.flatMap { field(9, $0) } + [0xa0, 1, 8]
  }

  private func numbers(_ name: String, _ values: [UInt8]) -> [UInt8] {
    field(1, name) + values.flatMap { [0x3d, 0, 0, $0, 0x3f] } + [0xa0, 1, 6]
  }

  /// Labels that are texts become their places in a list that the metadata keeps.
  @Test func textsBecomeNumbers() throws {
    let classifier = node(
      "LinearClassifier", ["x"], ["y", "s"], domain: "ai.onnx.ml",
      texts("classlabels_strings", "cat", "dog"),
      numbers("coefficients", [0x80, 0, 0, 0, 0, 0x80, 0, 0]), numbers("intercepts", [0, 0]))
    let graph = try ONNXFile.decode(model([classifier], output: value("y", 1, type: 8)))
    #expect(graph.metadata["swiftlet.texts"] == #"["cat","dog"]"#)
    #expect(graph.outputs[0].dtype == .int64)
    let x = AnyTensor.float32(Tensor([4], [1, 2, 0, 0]))
    let result = try Interpreter(graph).run(["x": x], ExecutionContext())["y"]
    #expect(result == .int64(Tensor([1], [1])))
    // What is written has numbers from the start.
    let again = try ONNXFile.decode(ONNXFile.encode(graph))
    #expect(again.nodes == graph.nodes && again.metadata == graph.metadata)
  }

  @Test func constantsOfTextsBecomeNumbers() throws {
    let constant = [0x08, 2, 0x10, 8] + field(6, "dog") + field(6, "cat") + field(8, "names")
    let graph = try ONNXFile.decode(
      model(
        [node("Identity", ["names"], ["y"])], field(5, constant), output: value("y", 2, type: 8)))
    #expect(graph.initializers["names"] == .int64(Tensor([2], [0, 1])))
    #expect(graph.metadata["swiftlet.texts"] == #"["dog","cat"]"#)
    let wrong = [0x08, 3, 0x10, 8] + field(6, "dog") + field(8, "names")
    expectError(.badInput, "names") {
      try ONNXFile.decode(model([node("Identity", ["names"], ["y"])], field(5, wrong)))
    }
  }

  @Test func inputsOfTextsAreRefused() {
    let graph =
      field(1, node("Identity", ["x"], ["y"])) + field(11, value("x", type: 8))
      + field(12, value("y"))
    expectError(.unsupported, "'x'") {
      try ONNXFile.decode([0x08, 8] + field(7, graph) + field(8, [0x10, 13]))
    }
  }

  /// Maps from labels to scores are the matrix of scores.
  @Test func mapsBecomeMatrices() throws {
    let labels = field(1, "classlabels_int64s") + [0x40, 1, 0x40, 2, 0x40, 3, 0x40, 4, 0xa0, 1, 7]
    let float = field(1, [0x08, 1])
    let map = field(5, [0x08, 7] + field(2, float))
    let output = field(1, "y") + field(2, field(4, field(1, map)))
    let graph = try ONNXFile.decode(
      model([node("ZipMap", ["x"], ["y"], domain: "ai.onnx.ml", labels)], output: output))
    #expect(graph.outputs[0].dtype == .float32)
    #expect(graph.outputs[0].dimensions.count == 2)
    let x = AnyTensor.float32(Tensor([4], [1, -2, 3, -4]))
    let result = try Interpreter(graph).run(["x": x], ExecutionContext())["y"]
    #expect(result == .float32(Tensor([1, 4], [1, -2, 3, -4])))
  }

  // MARK: Inputs without a shape

  /// An input whose shape the file leaves out takes any, and is no scalar.
  @Test func inputsWithoutAShapeTakeAny() throws {
    let open = field(1, "x") + field(2, field(1, [0x08, 1]))
    let graph = field(1, node("Relu", ["x"], ["y"])) + field(11, open) + field(12, value("y"))
    let read = try ONNXFile.decode([0x08, 8] + field(7, graph) + field(8, [0x10, 13]))
    let interpreter = try Interpreter(read)
    for shape in [[], [2], [2, 3]] as [Shape] {
      let x = AnyTensor.float32(Tensor(shape, repeating: -1))
      let y = try interpreter.run(["x": x], ExecutionContext())["y"]
      #expect(y == .float32(Tensor(zeros: shape)))
    }
    expectError(.unsupported, "the rank of 'x'") { try interpreter.inputShapes(batch: 1) }
    #expect(read.inputs[0].shapeDescription == "of any shape")
    #expect(try ONNXFile.decode(ONNXFile.encode(read)).inputs == read.inputs)
  }
}
