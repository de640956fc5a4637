// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletFormats
import SwiftletGraph
import Testing
import _SwiftletTestSupport

/// What a file says and Swiftlet does not understand, and elements outside of the model's file.
struct ONNXRoundTripTests {
  private func contains(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
    bytes.indices.contains { bytes[$0...].starts(with: part) }
  }

  /// A model with notes at every level, a function, another operator set and an attribute of a
  /// kind that is not understood. Parts that must come back are listed.
  private var annotated: (bytes: [UInt8], parts: [[UInt8]]) {
    let nodeNote = field(6, "node note")
    let attributeNote = field(13, "attribute note")
    let kind = field(15, [0x0a, 0x02, 0x08, 0x01])
    let types = field(1, "types") + [0xa0, 1, 14] + kind
    let tensorNote = field(12, "tensor note")
    let valueInfo = field(13, field(1, "h") + field(3, "value note"))
    let inputNote = field(3, "input note")
    let graphNote = field(10, "graph note")
    let modelNote = field(6, "model note")
    let function = field(25, field(1, "F") + field(7, field(4, "Relu")))
    let domain = field(8, field(1, "com.example") + [0x10, 3])
    let type = field(2, field(1, [0x08, 1] + field(2, field(1, [0x08, 2]))))
    let axis = field(1, "axis") + [0x18, 0, 0xa0, 1, 2] + attributeNote
    let softmax =
      field(1, "x") + field(2, "h") + field(4, "Softmax") + field(5, axis) + nodeNote
    let odd =
      field(1, "h") + field(2, "y") + field(4, "Odd") + field(5, types) + field(7, "com.example")
    let tensor = [0x08, 1, 0x10, 1] + field(8, "w") + field(9, [0, 0, 0x80, 0x3f]) + tensorNote
    let graph =
      field(1, softmax) + field(1, odd) + field(2, "g") + field(5, tensor) + graphNote
      + field(11, field(1, "x") + type + inputNote) + field(12, field(1, "y") + type) + valueInfo
    let model =
      [0x08, 8] + modelNote + field(7, graph) + field(8, [0x10, 17]) + domain + function
    let parts = [
      nodeNote, attributeNote, types, tensorNote, valueInfo, inputNote, graphNote, modelNote,
      function, domain,
    ]
    return (model, parts)
  }

  @Test func whatIsNotUnderstoodComesBack() throws {
    let (bytes, parts) = annotated
    let graph = try ONNXFile.decode(bytes)
    #expect(graph.initializers["w"] == .float32(Tensor([1], [1])))
    let written = try ONNXFile.encode(graph)
    for part in parts {
      #expect(contains(written, part), "\(String(decoding: part, as: UTF8.self))")
    }
    #expect(try ONNXFile.decode(written).nodes == graph.nodes)
    #expect(try ONNXFile.encode(ONNXFile.decode(written)) == written)
  }

  @Test func notesOfValuesThatAreGoneAreNotWritten() throws {
    var graph = try ONNXFile.decode(annotated.bytes)
    graph.nodes[0].outputs = ["other"]
    #expect(!contains(try ONNXFile.encode(graph), Array("value note".utf8)))
  }

  @Test func shapesAreForgottenAndNothingElse() throws {
    let (bytes, parts) = annotated
    var graph = try ONNXFile.decode(bytes)
    try graph.forgetShapes()
    let written = try ONNXFile.encode(graph)
    #expect(!contains(written, Array("value note".utf8)))
    for part in parts where !contains(part, Array("value note".utf8)) {
      #expect(contains(written, part), "\(String(decoding: part, as: UTF8.self))")
    }
  }

  /// bf16 numbers that are cast to fp32 come back as they were, whatever a graph has them as.
  @Test func constantsOfBFloatsComeBack() throws {
    let tensor = [0x08, 2, 0x10, 16] + field(8, "w") + field(9, [0x80, 0x3f, 0xc0, 0x40])
    func cast(_ input: String, _ output: String, to type: UInt8) -> [UInt8] {
      let to = field(1, "to") + [0x18, type, 0xa0, 1, 2]
      return field(1, input) + field(2, output) + field(4, "Cast") + field(5, to)
    }
    let type = field(2, field(1, [0x08, 1] + field(2, field(1, [0x08, 2]))))
    let head =
      field(1, cast("w", "y", to: 1)) + field(1, cast("x", "h", to: 16))
      + field(1, cast("h", "z", to: 1))
    let tail = field(2, "g") + field(5, tensor) + field(11, field(1, "x") + type)
    let outputs = field(12, field(1, "y") + type) + field(12, field(1, "z") + type)
    let model = [0x08, 8] + field(7, head + tail + outputs) + field(8, [0x10, 17])
    let graph = try ONNXFile.decode(model)
    #expect(graph.initializers["w"] == .float32(Tensor([2], [1, 6])))
    let written = try ONNXFile.encode(graph)
    #expect(contains(written, tensor) && contains(written, cast("x", "h", to: 16)))
    // Somebody else reads them, or they are no bf16 numbers, or no `Cast` knows these.
    var other = graph
    other.nodes.append(Node("Relu", name: "relu", inputs: ["w"], outputs: ["r"]))
    other.nodes.append(Node("Relu", name: "relu", inputs: ["h"], outputs: ["s"]))
    #expect(!contains(try ONNXFile.encode(other), [0x10, 16]))
    #expect(!contains(try ONNXFile.encode(other), cast("x", "h", to: 16)))
    other = graph
    other.initializers["w"] = .float32(Tensor([2], [1, 1.001]))
    #expect(!contains(try ONNXFile.encode(other), [0x10, 16]))
    other = graph
    other.opset = 12
    #expect(!contains(try ONNXFile.encode(other), [0x10, 16]))
  }

  @Test func elementsInTwoFieldsAreRefused() throws {
    let tensor = [0x08, 1, 0x10, 1] + field(4, [0, 0, 0, 0]) + field(9, [0, 0, 0x80, 0x3f])
    func parse(_ tensor: [UInt8]) throws -> AnyTensor? {
      try ONNXFile.decode(
        [0x08, 8] + field(7, field(5, field(8, "w") + tensor)) + field(8, [0x10, 17])
      ).initializers["w"]
    }
    expectError(.badInput, "2 fields") { try parse(tensor) }
    // int64 numbers besides raw fp32 elements.
    expectError(.badInput, "several fields") {
      try parse([0x08, 1, 0x10, 1] + field(7, [1]) + field(9, [0, 0, 0x80, 0x3f]))
    }
    // Elements one by one, as old writers list them.
    let one: [UInt8] = [0x25, 0, 0, 0x80, 0x3f]
    #expect(try parse([0x08, 2, 0x10, 1] + one + one) == .float32(Tensor([2], [1, 1])))
  }

  @Test func listedElementsAreOfTheirType() throws {
    func parse(_ type: UInt8, _ data: [UInt8]) throws -> AnyTensor? {
      let tensor = [0x08, 1, 0x10, type] + field(8, "w") + data
      return try ONNXFile.decode(
        [0x08, 8] + field(7, field(5, tensor)) + field(8, [0x10, 17])
      ).initializers["w"]
    }
    #expect(try parse(1, field(4, [0, 0, 0x80, 0x3f])) == .float32(Tensor([1], [1])))
    #expect(try parse(1, [0x25, 0, 0, 0x80, 0x3f]) == .float32(Tensor([1], [1])))
    #expect(
      try parse(11, field(10, [0, 0, 0, 0, 0, 0, 0xf0, 0x3f])) == .float64(Tensor([1], [1])))
    expectError(.badInput) { try parse(11, field(4, [0, 0, 0, 0, 0, 0, 0xf0, 0x3f])) }
    expectError(.badInput) { try parse(1, field(4, [0, 0, 0])) }
    // A file that gives places itself, which only the reader may.
    expectError(.badInput) { try parse(1, [0xe8, 0xff, 0xff, 0xff, 0x0f, 9]) }
  }

  private var weights: Graph {
    var graph = Graph(name: "g", opset: 17)
    graph.initializers = [
      "large": .float32(Tensor([700], (0..<700).map(Float.init))),
      "small": .int64(Tensor([1], [5])), "half": .float64(Tensor([300], repeating: 0.5)),
    ]
    return graph
  }

  @Test func largerTensorsGoToAFileBesideTheModel() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/m.onnx"
      try ONNXFile.write(weights, to: path, externalData: true)
      #expect(try names(in: folder) == ["m.onnx", "m.onnx.data"])
      #expect(try ONNXFile.read(path).initializers == weights.initializers)
      try put([1, 2, 3], folder, "m.onnx.data")
      expectError(.badInput, "tensor 'large'", "3 bytes") { try ONNXFile.read(path) }
    }
  }

  /// A model whose one tensor of 4 bytes is in another file.
  private func external(_ location: String, offset: String = "0", length: String = "4") -> [UInt8] {
    let entries = [("location", location), ("offset", offset), ("length", length)]
      .flatMap { field(13, field(1, $0) + field(2, $1)) }
    let tensor = [0x08, 1, 0x10, 1] + field(8, "w") + entries + [0x70, 1]
    return [0x08, 8] + field(7, field(5, tensor)) + field(8, [0x10, 17])
  }

  @Test func dataOutsideOfTheModelsFolderIsRefused() throws {
    try withTemporaryFolder { outer in
      try put([0, 0, 0x80, 0x3f], outer, "secret")
      try withTemporaryFolder { folder in
        try put([0, 0, 0x80, 0x3f, 9], folder, "data")
        try link("\(outer)/secret", folder, "link")
        func read(_ model: [UInt8]) throws -> AnyTensor? {
          try put(model, folder, "m.onnx")
          return try ONNXFile.read("\(folder)/m.onnx").initializers["w"]
        }
        #expect(try read(external("data")) == .float32(Tensor([1], [1])))
        for name in ["link", "\(outer)/secret", "../secret", "a/../../secret", "", ".", "/"] {
          #expect(throws: SwiftletError.self, "\(name)") { try read(external(name)) }
        }
        expectError(.badInput) { try read(external("data", offset: "2")) }
        expectError(.badInput) { try read(external("data", offset: "6")) }
        expectError(.badInput) { try read(external("data", offset: "-1")) }
        expectError(.badInput) { try read(external("data", length: "5")) }
        expectError(.badInput) { try read(external("data", length: "9223372036854775807")) }
        expectError(.io) { try read(external("missing")) }
      }
      expectError(.unsupported) { try ONNXFile.decode(external("data")) }
    }
  }

  /// What stands for another file, even in the same folder, and numbers that are not plain digits.
  @Test(arguments: [
    ("symbolic", "0", "symbolic link"), ("hard", "0", "hard links"), ("data\u{0}", "0", "NUL"),
    ("data", "+0", "offset"), ("data", "", "offset"), ("data", "0x0", "offset"),
  ])
  func linksAndOddNumbersAreRefused(location: String, offset: String, fragment: String) throws {
    try withTemporaryFolder { folder in
      try put([0, 0, 0x80, 0x3f], folder, "data")
      try put([0, 0, 0x80, 0x3f], folder, "other")
      try link("data", folder, "symbolic")
      try hardLink("\(folder)/other", "\(folder)/hard")
      try put(external(location, offset: offset), folder, "m.onnx")
      expectError(.badInput, fragment) { try ONNXFile.read("\(folder)/m.onnx") }
    }
  }

  /// float16 models come back with float16 inputs, outputs and weights, and compute in fp32
  /// between: what other nodes read has a `Cast`.
  @Test func halvesStayHalves() throws {
    let numbers = (0..<64).map { Float($0) / 4 }
    let bits = numbers.flatMap { number -> [UInt8] in
      let bits = Float16(number).bitPattern
      return [UInt8(bits & 255), UInt8(bits >> 8)]
    }
    let tensor = [0x08, 64, 0x10, 10] + field(8, "w") + field(9, bits)
    let add = field(1, "x") + field(1, "w") + field(2, "s") + field(4, "Add")
    let relu = field(1, "s") + field(2, "y") + field(4, "Relu")
    let type = field(2, field(1, [0x08, 10] + field(2, field(1, [0x08, 64]))))
    let model =
      [0x08, 8]
      + field(
        7,
        field(1, add) + field(1, relu) + field(2, "g") + field(5, tensor)
          + field(11, field(1, "x") + type) + field(12, field(1, "y") + type)
          + field(13, field(1, "s") + type)) + field(8, [0x10, 13])
    let graph = try ONNXFile.decode(model)
    #expect(graph.initializers["w"] == .float32(Tensor([64], numbers)))
    #expect(graph.inputs[0].dtype == .float32 && graph.nodes.count == 2)
    let written = try ONNXFile.encode(graph)
    #expect(contains(written, bits) && contains(written, field(11, field(1, "x") + type)))
    #expect(contains(written, field(12, field(1, "y") + type)))
    // What is between computes in fp32: a note that it is float16 would be wrong.
    #expect(!contains(written, field(13, field(1, "s") + type)))
    let again = try ONNXFile.decode(written)
    #expect(again.nodes.map(\.opType) == ["Cast", "Cast", "Add", "Relu", "Cast"])
    // Nothing grows from one time to the next.
    #expect(try ONNXFile.encode(again) == written)
    let x = Tensor<Float>([64], numbers.map { $0 - 3 })
    let results = try Interpreter(again).run(["x": .float32(x)], ExecutionContext())
    #expect(results["y"] == .float32(Tensor([64], numbers.map { max(0, 2 * $0 - 3) })))
    // Changed weights are rounded, unless that loses them.
    var changed = graph
    changed.initializers["w"] = .float32(Tensor([64], numbers.map { $0 / 3 }))
    let rounded = try ONNXFile.decode(ONNXFile.encode(changed))
    #expect(rounded.nodes.map(\.opType) == ["Cast", "Cast", "Add", "Relu", "Cast"])
    #expect(
      rounded.initializers["w"]
        == .float32(Tensor([64], numbers.map { Float(Float16($0 / 3)) })))
    for factor in [1e-8, 1e6] as [Float] {
      changed.initializers["w"] = .float32(Tensor([64], numbers.map { $0 * factor }))
      let other = try ONNXFile.decode(ONNXFile.encode(changed))
      #expect(other.nodes.map(\.opType) == ["Cast", "Add", "Relu", "Cast"])
      #expect(other.initializers["w"] == changed.initializers["w"])
    }
  }
}
