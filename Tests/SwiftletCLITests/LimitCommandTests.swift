// SPDX-License-Identifier: Apache-2.0

import Foundation
import OrderedCollections
import SwiftletCore
import SwiftletFiles
import SwiftletFormats
import SwiftletGraph
import Testing
import _SwiftletTestSupport

/// What the command refuses: models and arrays that ask for too much, or say what is not so.
@Suite(.serialized) struct LimitCommandTests {
  private func withModel(
    _ graph: Graph, _ body: (_ folder: String, _ model: String) throws -> Void
  ) throws {
    try withTemporaryFolder { folder in
      try ONNXFile.write(graph, to: "\(folder)/m.onnx")
      try body(folder, "\(folder)/m.onnx")
    }
  }

  private var sum: Graph {
    Graph(
      name: "sum", nodes: [Node("Add", name: "a", inputs: ["a", "b"], outputs: ["y"])],
      inputs: [
        ValueInfo("a", .float32, [.symbolic("N"), .fixed(2)]),
        ValueInfo("b", .float32, [.symbolic("N"), .fixed(2)]),
      ],
      outputs: [ValueInfo("y", .float32, [.symbolic("N"), .fixed(2)])])
  }

  @Test func inputsMustFitTheModel() throws {
    try withModel(sum) { folder, model in
      func run(_ a: AnyTensor, _ b: AnyTensor, name: String = "b") throws -> Outcome {
        try AtomicFile.write(NPY.encode(a), to: "\(folder)/a.npy")
        try AtomicFile.write(NPY.encode(b), to: "\(folder)/b.npy")
        return try swiftlet(
          "run", model, "--input", "a=\(folder)/a.npy", "--input", "\(name)=\(folder)/b.npy",
          "--output-dir", "\(folder)/out")
      }
      let pair = AnyTensor.float32(Tensor(zeros: [2, 2]))
      #expect(try run(pair, pair).code == 0)
      expectFailure(
        try run(pair, .float32(Tensor(zeros: [3, 2]))), 2, "'N' is 3 in input 'b' and 2 in 'a'")
      expectFailure(
        try run(pair, .float32(Tensor(zeros: [2, 3]))), 2, "2×3, expected float32 N×2")
      expectFailure(
        try run(pair, .float64(Tensor(zeros: [2, 2]))), 2, "float64 2×2, expected float32 N×2")
      expectFailure(try run(pair, pair, name: "c"), 2, "'b' is missing", "given inputs are: a, c")
    }
  }

  /// The answers do not depend on the memory for pictures, or on the number of threads.
  @Test func memoryForPicturesIsLimited() throws {
    let graph = Graph(
      name: "pixels", nodes: [Node("Flatten", name: "f", inputs: ["x"], outputs: ["y"])],
      inputs: [ValueInfo("x", .float32, [.symbolic("N"), .fixed(1), .fixed(6), .fixed(6)])],
      outputs: [ValueInfo("y", .float32, [.symbolic("N"), .fixed(36)])])
    try withModel(graph) { folder, model in
      let (images, labels) = Pictures.make(count: 40, classes: 4)
      for (index, label) in labels.enumerated() {
        try put(Pictures.bmp(images, at: index), folder, "photos/class\(label)/\(index).bmp")
      }
      func evaluate(_ options: String...) throws -> [String: Double] {
        let outcome = try swiftlet(
          ["evaluate", model, "--data", "images:\(folder)/photos", "--batch", "7", "--json"]
            + options)
        #expect(outcome.code == 0, "\(outcome.errors)")
        let result = try JSONDecoder().decode(
          [String: Double].self, from: Data(outcome.output.utf8))
        return result.filter { $0.key != "imagesPerSecond" }
      }
      let result = try evaluate()
      #expect(result["images"] == 40)
      #expect(try evaluate("--loader-memory", "1", "--threads", "3") == result)
      #expect(try evaluate("--loader-memory", "1M", "--threads", "1") == result)
    }
  }

  @Test func memoryIsLimited() throws {
    var graph = Graph(
      name: "large", nodes: [Node("Expand", name: "e", inputs: ["w", "n"], outputs: ["y"])],
      outputs: [ValueInfo("y", .float32, [.symbolic("")])])
    graph.initializers = [
      "w": .float32(Tensor([1], [1])), "n": .int64(Tensor([1], [1 << 20])),
    ]
    try withModel(graph) { folder, model in
      func run(_ limit: String) throws -> Outcome {
        try swiftlet("run", model, "--output-dir", "\(folder)/out", "--max-memory", limit)
      }
      #expect(try run("8M").code == 0)
      expectFailure(try run("3M"), 2, "Expand 'e'", "limit of 3145728 bytes", "--max-memory")
      expectFailure(try run("4194304"), 2, "values of the run", "Expand 'e'")
      for text in ["0", "-1", "8X", "M", "99999999999G", "1.5G"] {
        #expect(try run(text).code == 64)
      }
      let weights = "\(folder)/w.npz"
      expectFailure(try swiftlet("convert", model, weights, "--max-memory", "8"), 2, "limit of 8")
      #expect(!FileManager.default.fileExists(atPath: weights))
    }
  }

  @Test func everyOutputHasItsFile() throws {
    let graph = Graph(
      name: "names",
      nodes: [
        Node("Neg", name: "n", inputs: ["w"], outputs: ["a/b"]),
        Node("Abs", name: "m", inputs: ["w"], outputs: ["a_b"]),
      ],
      initializers: ["w": .float32(Tensor([1], [1]))],
      outputs: [ValueInfo("a/b", .float32, [.fixed(1)]), ValueInfo("a_b", .float32, [.fixed(1)])])
    try withModel(graph) { folder, model in
      expectFailure(
        try swiftlet("run", model, "--output-dir", "\(folder)/out"), 2, "two outputs", "a_b.npy")
      #expect(!FileManager.default.fileExists(atPath: "\(folder)/out"))
      #expect(try swiftlet("run", model, "--output", "\(folder)/o.npz").code == 0)
    }
  }

  /// Names from a file reach neither the terminal nor the error line with what controls it.
  @Test func namesAreShownWithoutControlCharacters() throws {
    let name = "\u{1b}[31mred\u{7}\u{2028}\u{202e}" + String(repeating: "x", count: 2000)
    let graph = Graph(
      name: name, nodes: [Node("Nonsense", name: name, inputs: ["a"], outputs: ["b"])],
      inputs: [ValueInfo("a", .float32, [])], outputs: [ValueInfo("b", .float32, [])])
    try withModel(graph) { folder, model in
      let inspect = try swiftlet("inspect", model)
      #expect(inspect.code == 0 && !inspect.output.contains("\u{1b}"))
      let run = try swiftlet("run", model, "--output-dir", "\(folder)/out")
      expectFailure(run, 3)
      let line = run.errors.dropLast()
      #expect(line.unicodeScalars.count <= 400 && !line.contains("\u{1b}"))
    }
  }
}
