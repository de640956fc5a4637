// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletData
import SwiftletGraph
import SwiftletRuntime
import SwiftletTraining
import Testing
import _SwiftletTestSupport

/// Which of several outputs holds the scores, and whether they are better than guesses.
struct ScoreTests {
  /// A classifier of four classes with other outputs before its scores.
  private func network(_ heads: [String]) -> Graph {
    var graph = smallNetwork()
    let scores = graph.outputs[0]
    var generator = RandomGenerator(seed: 8)
    func add(_ op: String, _ output: String, _ inputs: [String], _ width: Int) -> ValueInfo {
      graph.nodes.append(Node(op, name: output, inputs: inputs, outputs: [output]))
      return ValueInfo(output, .float32, [.symbolic("N"), .fixed(width)])
    }
    graph.outputs = heads.map { head in
      switch head {
      case "label":
        graph.nodes.append(
          Node(
            "ArgMax", name: "label", inputs: [scores.name], outputs: ["label"],
            attributes: ["axis": .int(1)]))
        return ValueInfo("label", .int64, [.symbolic("N"), .fixed(1)])
      case "share": return add("Softmax", "share", [scores.name], 4)
      case "worst": return add("Neg", "worst", [scores.name], 4)
      case "scores": return scores
      default:
        // `wide16` or `wide2`: a product of the scores, as wide.
        let width = Int(head.dropFirst(4))!
        graph.initializers["\(head).w"] = .float32(
          Tensor([4, width], normalUsing: &generator))
        return add("MatMul", head, [scores.name, "\(head).w"], width)
      }
    }
    return graph
  }

  @Test(arguments: [
    ["label", "scores"], ["wide2", "scores"], ["wide16", "scores"], ["scores", "wide16", "wide2"],
    ["share", "scores"], ["wide2", "label", "share"],
  ])
  func scoresAreFound(heads: [String]) throws {
    let (graph, data) = (network(heads), try pictures(40))
    let alone = try Evaluation.judge(smallNetwork(), on: data)
    let found = try Evaluation.judge(graph, on: data)
    #expect(found.choices == alone.choices && found.evaluation.top1 == alone.evaluation.top1)
    // What the model does not declare is found by its shapes.
    var open = graph
    for index in open.outputs.indices where open.outputs[index].dimensions.count == 2 {
      open.outputs[index].dimensions[1] = .symbolic("K\(index)")
    }
    #expect(try Evaluation.judge(open, on: data).choices == alone.choices)
  }

  /// Four classes are fewer than five, yet an answer of NaN is none of the first five.
  @Test func answersOfNaNAreNeverRight() throws {
    var graph = smallNetwork()
    for (name, tensor) in graph.initializers {
      if case .float32(let numbers) = tensor {
        graph.initializers[name] = .float32(numbers.map { _ in .nan })
      }
    }
    let found = try Evaluation.judge(graph, on: pictures(40)).evaluation
    #expect(found.top1 == 0 && found.top5 == 0)
  }

  @Test func namedOutputsCount() throws {
    let (graph, data) = (network(["scores", "worst", "wide16"]), try pictures(40))
    let error = #expect(throws: SwiftletError.self) {
      _ = try Evaluation.judge(graph, on: data)
    }
    #expect(error?.description.contains("--judged-output") == true)
    #expect(error?.description.contains("'worst'") == true)
    #expect(error?.description.contains("wide16") == false)
    let scores = graph.outputs[0].name
    let alone = try Evaluation.judge(smallNetwork(), on: data)
    #expect(try Evaluation.judge(graph, on: data, output: scores).choices == alone.choices)
    #expect(try Evaluation.judge(graph, on: data, output: "worst").choices != alone.choices)
    let unknown = #expect(throws: SwiftletError.self) {
      _ = try Evaluation.run(graph, on: data, output: "best")
    }
    #expect(unknown?.description.contains("no output 'best'") == true)
    let none = #expect(throws: SwiftletError.self) {
      _ = try Evaluation.judge(network(["wide2", "label"]), on: data)
    }
    #expect(none?.description.contains("none of the outputs") == true)
  }

  /// Training reaches the scores wherever they are, and leaves the other outputs in the model.
  @Test func scoresAreTrained() throws {
    let data = try pictures(64)
    var settings = TrainingSettings()
    (settings.epochs, settings.batch) = (3, 16)
    settings.schedule = LearningRateSchedule(.constant, rate: 1e-2)
    func trained(_ graph: Graph) throws -> (graph: Graph, history: TrainingHistory) {
      var trainer = try Trainer(graph, training: data, validation: data, settings: settings)
      return try trainer.run()
    }
    let (alone, other) = (try trained(smallNetwork()), try trained(network(["label", "scores"])))
    #expect(other.graph.outputs.map(\.name).first == "label" && other.graph.outputs.count == 2)
    #expect(
      other.history.epochs.map(\.trainingLoss) == alone.history.epochs.map(\.trainingLoss))
  }

  @Test func guessesAreToldFromAnswers() {
    func warning(_ hits: Int, of images: Int, classes: Int = 10) -> String? {
      let labels = (0..<images).map { $0 % classes }
      let choices = (0..<images).map { $0 < hits ? labels[$0] : (labels[$0] + 1) % classes }
      return GuessTest(hits: hits, choices: choices, labels: labels, classes: classes).warning
    }
    #expect(warning(100, of: 1000)?.contains("no better than guessing") == true)
    #expect(warning(0, of: 1000) != nil && warning(110, of: 1000) != nil)
    #expect(warning(140, of: 1000) == nil && warning(1000, of: 1000) == nil)
    #expect(warning(12, of: 1000, classes: 100) != nil)
    // One image says nothing of ten classes; three right ones of three do.
    #expect(warning(1, of: 1) == nil && warning(0, of: 1) == nil)
    #expect(warning(3, of: 3) == nil && warning(0, of: 3) != nil)
    // More often right than one in two, by a constant.
    let labels = (0..<100).map { $0 < 90 ? 0 : 1 }
    let constant = GuessTest(
      hits: 90, choices: Array(repeating: 0, count: 100), labels: labels, classes: 2)
    #expect(constant.warning?.contains("the same class") == true)
    // Exact: of two images of two classes both are guessed in a quarter of all cases.
    #expect(
      abs(GuessTest(hits: 2, choices: [0, 1], labels: [0, 1], classes: 2).pValue - 0.25) < 1e-12)
    #expect(GuessTest(top1: 0.1, images: 60_000, classes: 10).warning != nil)
    #expect(GuessTest(top1: 0.11, images: 60_000, classes: 10).warning == nil)
  }

  @Test func pixelsAreScaledByName() throws {
    let data = try pictures(4)
    let graph = SeedCNN.make(classes: 4, seed: 0)
    let expected: [Preprocessing.Scaling: (range: ClosedRange<Float>, text: String)] = [
      .half: (-1...1, "-1…1"), .unit: (0...1, "0…1"), .raw: (0...255, "0…255"),
    ]
    for (scaling, (range, text)) in expected {
      let input = try Preprocessing(for: graph, images: data, scaling: scaling)
      #expect(input.summary.hasSuffix("pixels scaled to \(text)"))
      let low = (0 - input.mean[0]) / input.deviation[0]
      let high = (1 - input.mean[0]) / input.deviation[0]
      #expect(abs(low - range.lowerBound) < 1e-4 && abs(high - range.upperBound) < 1e-3)
    }
    let usual = try Preprocessing(for: graph, images: data)
    #expect(try usual == Preprocessing(for: graph, images: data, scaling: .imagenet))
    #expect(usual.summary.contains("0.485") && usual.summary.contains("0.229"))
    #expect(!Preprocessing.isStored(in: graph))
  }

  /// Before the first image is read.
  @Test func labelsBeyondTheScoresAreNamed() throws {
    let pictures = try pictures(8)
    let data = try ImageDataset(
      name: "beyond", images: Tensor([8, 1, 12, 12], repeating: 0),
      labels: Array(pictures.labels.dropLast()) + [6], classCount: 7)
    expectError(.badInput, "label 6", "4 classes, 0 to 3", "7 scores", "beyond") {
      try Trainer(
        smallNetwork(), training: data, validation: pictures, settings: TrainingSettings())
    }
    try Evaluation.checkLabels(of: pictures, for: smallNetwork(), output: nil)
  }

  @Test func scoresAreRowsOfNumbers() throws {
    #expect(Evaluation.canScore(smallNetwork()))
    for dimensions: [Dimension] in [
      [.symbolic("N"), .fixed(1)], [.symbolic("N"), .fixed(4), .fixed(2)],
    ] {
      var graph = Graph(name: "other")
      graph.inputs = [ValueInfo("x", .float32, dimensions)]
      graph.outputs = [ValueInfo("y", .float32, dimensions)]
      graph.nodes = [Node("Relu", name: "relu", inputs: ["x"], outputs: ["y"])]
      #expect(!Evaluation.canScore(graph))
    }
  }
}
