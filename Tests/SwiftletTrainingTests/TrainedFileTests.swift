// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletData
import SwiftletFormats
import SwiftletGraph
import SwiftletTraining
import Testing
import _SwiftletTestSupport

/// Models as files have them are trained like any others, and again after they were written.
struct TrainedFileTests {
  private func settings(_ epochs: Int) -> TrainingSettings {
    TrainingSettings(
      epochs: epochs, batch: 16, optimizer: OptimizerSettings(.adam),
      schedule: LearningRateSchedule(.cosine, rate: 0.01), seed: 9)
  }

  /// Weights in nodes are trained as those among the constants are.
  @Test func weightsInNodesAreTrained() throws {
    let plain = smallNetwork()
    var held = plain
    held.nodes =
      plain.initializers.map { name, value in
        Node(
          "Constant", name: "", inputs: [], outputs: [name], attributes: ["value": .tensor(value)])
      } + plain.nodes
    held.initializers = [:]
    func trained(_ graph: Graph) throws -> (graph: Graph, history: TrainingHistory) {
      var trainer = try Trainer(
        graph, training: try pictures(60), validation: try pictures(20), settings: settings(1),
        threads: .serial)
      return try trainer.run()
    }
    let (a, b) = (try trained(plain), try trained(held))
    #expect(a.history.epochs.map(\.trainingLoss) == b.history.epochs.map(\.trainingLoss))
    for name in plain.initializers.keys {
      #expect(a.graph.initializers[name] == b.graph.initializers[name])
      #expect(a.graph.initializers[name] != plain.initializers[name])
    }
  }

  /// A file of 16-bit floats is trained, written, read, and trained again; its Casts are no
  /// obstacle, wherever they are.
  @Test(arguments: [10, 16], [false, true])
  func filesOfHalvesAreTrainedAgain(type: Int, betweenLayers: Bool) throws {
    var graph = smallNetwork()
    graph.halves = ["x": type, graph.outputs[0].name: type]
    for (name, value) in graph.initializers {
      graph.halves[name] = type
      guard case .float32(let tensor) = value else { continue }
      graph.initializers[name] = .float32(
        tensor.map { type == 10 ? Float(Float16($0)) : $0.roundedToBFloat })
    }
    if betweenLayers {
      let place = try #require(graph.nodes.firstIndex { $0.opType == "Relu" })
      let value = graph.nodes[place].inputs[0]
      graph.nodes[place].inputs[0] = "wide"
      graph.nodes.insert(
        contentsOf: [
          Node(
            "Cast", name: "", inputs: [value], outputs: ["half"], attributes: ["to": .int(type)]),
          Node("Cast", name: "", inputs: ["half"], outputs: ["wide"], attributes: ["to": .int(1)]),
        ], at: place)
    }
    var kinds: [[String]] = []
    for _ in 0..<3 {
      graph = try ONNXFile.decode(ONNXFile.encode(graph))
      let before = graph.initializers.filter { $0.value.shape.rank > 1 }
      var trainer = try Trainer(
        graph, training: try pictures(60), validation: try pictures(20), settings: settings(1),
        threads: .serial)
      let (trained, history) = try trainer.run()
      #expect(history.epochs[0].trainingLoss.isFinite)
      for (name, value) in before { #expect(trained.initializers[name] != value) }
      kinds.append(trained.nodes.map(\.opType))
      graph = trained
    }
    // What is read again is what was written: no Cast comes in addition.
    #expect(kinds[2] == kinds[1])
    #expect(graph.halves["x"] == type && graph.halves[graph.outputs[0].name] == type)
  }

  @Test func codesAreNotTrained() throws {
    var graph = smallNetwork()
    let codes = Tensor<Int8>([4, 144], [Int8](repeating: 3, count: 576))
    graph.initializers["w2"] = nil
    graph.initializers["q"] = .int8(codes)
    graph.initializers["s"] = .float32(Tensor([4, 1], repeating: 0.01))
    graph.nodes.insert(
      contentsOf: [
        Node("Cast", name: "c", inputs: ["q"], outputs: ["c"], attributes: ["to": .int(1)]),
        Node("Mul", name: "m", inputs: ["c", "s"], outputs: ["w2"]),
      ], at: 0)
    let error = #expect(throws: SwiftletError.self) {
      try Trainer(
        graph, training: try pictures(20), validation: try pictures(20), settings: settings(1))
    }
    #expect(error?.code == .unsupported && error?.mend?.contains("before it was quantized") == true)
  }

  /// Advice fits the images: of 12 pixels an eighth is 1.
  @Test func adviceOnCropsFitsTheImages() throws {
    var large = settings(1)
    large.augmentation = Augmentation(crop: 500)
    let error = #expect(throws: SwiftletError.self) {
      try Trainer(
        smallNetwork(), training: try pictures(20), validation: try pictures(20), settings: large)
    }
    #expect(error?.description.contains("use at most 1, or leave it out") == true)
  }
}
