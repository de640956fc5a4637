// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletFormats
import SwiftletGraph
import Testing
import _SwiftletTestSupport

struct ONNXTests {
  private var graph: Graph {
    var graph = Graph(
      name: "small",
      nodes: [
        Node(
          "Conv", name: "c", inputs: ["x", "w"], outputs: ["h"],
          attributes: [
            "pads": .ints([1, 1, 1, 1]), "group": .int(1), "auto_pad": .string("NOTSET"),
          ]),
        Node("Softmax", name: "s", inputs: ["h"], outputs: ["y"], attributes: ["axis": .int(-1)]),
        Node(
          "Odd", name: "o", domain: "com.example", inputs: ["", "h"], outputs: ["z"],
          attributes: [
            "f": .float(-0.0), "fs": .floats([1, .infinity]), "ss": .strings(["a", "ü"]),
            "t": .tensor(.int64(Tensor([2], [1, -1]))),
            "g": .graph(
              Graph(
                name: "inner", nodes: [Node("Neg", name: "n", inputs: ["h"], outputs: ["m"])],
                initializers: ["k": .bool(Tensor([], [true]))],
                outputs: [ValueInfo("m", .float32, [])], opset: 13)),
          ]),
      ],
      inputs: [ValueInfo("x", .float32, [.symbolic("N"), .fixed(1), .symbolic(""), .fixed(4)])],
      outputs: [ValueInfo("y", .float64, [.fixed(0)])], opset: 13,
      metadata: ["b": "2", "a": "ä\n1"])
    graph.initializers = [
      "w": .float32(Tensor([1, 1, 1, 1], [.nan])), "d": .float64(Tensor([2], [1, 2])),
      "i": .int8(Tensor([1], [-3])), "u": .uint8(Tensor([0], [])), "l": .int32(Tensor([], [7])),
      "s": .int16(Tensor([1], [-3])), "us": .uint16(Tensor([1], [.max])),
      "ul": .uint32(Tensor([1], [.max])), "ull": .uint64(Tensor([1], [.max])),
      "b": .bool(Tensor([2], [true, false])),
    ]
    return graph
  }

  @Test func graphsSurviveTheRoundTrip() throws {
    let bytes = try ONNXFile.encode(graph)
    let copy = try ONNXFile.decode(bytes)
    #expect(copy.name == graph.name)
    #expect(copy.nodes == graph.nodes)
    #expect(copy.inputs == graph.inputs)
    #expect(copy.outputs == graph.outputs)
    #expect(copy.opset == graph.opset)
    #expect(copy.metadata == graph.metadata)
    #expect(copy.initializers.keys == graph.initializers.keys)
    for name in graph.initializers.keys where name != "w" {
      #expect(copy.initializers[name] == graph.initializers[name])
    }
    let weight: Tensor<Float> = try #require(copy.initializers["w"]).require()
    #expect(weight.elements[0].isNaN)
    #expect(try ONNXFile.encode(copy) == bytes)
  }

  /// 1.5 and −2 in the 16-bit formats: IEEE's, number 10, and the upper half of fp32, number 16.
  private static let halves: [(type: UInt8, bits: [UInt16])] = [
    (10, [0x3e00, 0xc000]), (16, [0x3fc0, 0xc000]),
  ]

  @Test(arguments: halves)
  func halfFloatsBecomeSingle(type: UInt8, bits: [UInt16]) throws {
    var graph = Graph(name: "half", opset: 13)
    graph.initializers = ["w": .uint16(Tensor([2], bits))]
    var bytes = try ONNXFile.encode(graph)
    // One extent of 2, then the element type: uint16 is number 4.
    let field = try #require(
      bytes.indices.first { bytes[$0...].starts(with: [0x08, 0x02, 0x10, 0x04]) })
    bytes[field + 3] = type
    #expect(try ONNXFile.decode(bytes).initializers["w"] == .float32(Tensor([2], [1.5, -2])))
  }

  @Test func filesAreReplacedWhole() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/model.onnx"
      try ONNXFile.write(graph, to: path)
      #expect(try ONNXFile.read(path).nodes == graph.nodes)
      #expect(try names(in: folder) == ["model.onnx"])
    }
  }

  @Test func otherFilesAreRefused() throws {
    try withTemporaryFolder { folder in
      try put([], folder, "empty.onnx")
      try put(Array("hello, I am no model".utf8), folder, "text.onnx")
      expectError(.badInput, "empty.onnx", "no graph") { try ONNXFile.read("\(folder)/empty.onnx") }
      expectError(.badInput, "text.onnx") { try ONNXFile.read("\(folder)/text.onnx") }
      expectError(.io, "gone.onnx") { try ONNXFile.read("\(folder)/gone.onnx") }
      expectError(.io, "folder") { try ONNXFile.read(folder) }
    }
  }

  /// Whatever is cut off or flipped, the reader answers; it never traps.
  @Test func damagedFilesNeverTrap() throws {
    let bytes = try ONNXFile.encode(graph)
    for length in 0..<bytes.count { _ = try? ONNXFile.decode(Array(bytes[..<length])) }
    var generator = RandomGenerator(seed: 1)
    for _ in 0..<3000 {
      var damaged = bytes
      for _ in 0...generator.below(4) {
        damaged[generator.below(bytes.count)] = UInt8(generator.below(256))
      }
      guard let graph = try? ONNXFile.decode(damaged), let interpreter = try? Interpreter(graph)
      else { continue }
      _ = try? interpreter.infer(interpreter.inputShapes(batch: 2))
    }
  }

  @Test(arguments: [0, 29, Int(Int32.max)])
  func otherOperatorSetsAreRefused(opset: Int) throws {
    var other = graph
    other.opset = opset
    expectError(.unsupported, "operator set \(opset)") {
      try ONNXFile.decode(ONNXFile.encode(other))
    }
  }

  /// Two elements of four bits share a byte.
  @Test func compactElementsArePackedAndComeBack() throws {
    var compact = graph
    for dtype in DType.allCases where dtype.compactType != nil {
      let numbers = AnyTensor(Tensor<Float>([3], [1, 0, -1]))
      compact.initializers["n_\(dtype)"] = numbers.converted(to: dtype)
    }
    let read = try ONNXFile.decode(ONNXFile.encode(compact))
    for (name, tensor) in compact.initializers where name.hasPrefix("n_") {
      #expect(read.initializers[name] == tensor, "\(name)")
    }
    #expect(read.initializers["n_int4"]?.byteCount == 2)
    #expect(read.initializers["n_int2"]?.byteCount == 1)
  }

  /// All values of 16-bit floats are fp32 in a graph, so a cast to one is written as one to fp32.
  @Test func castsToHalfFloatsAreWrittenAsCastsToSingle() throws {
    var half = Graph(
      name: "g",
      nodes: [
        Node("Cast", name: "c", inputs: ["x"], outputs: ["y"], attributes: ["to": .int(10)])
      ], inputs: [ValueInfo("x", .float32, [.fixed(1)])],
      outputs: [ValueInfo("y", .float32, [.fixed(1)])])
    half = try ONNXFile.decode(ONNXFile.encode(half))
    #expect(half.nodes[0].attributes["to"] == .int(1))
  }
}
