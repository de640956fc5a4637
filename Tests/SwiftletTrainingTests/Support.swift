// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletData
import SwiftletFormats
import SwiftletGraph
import SwiftletTraining
import Testing
import _SwiftletTestSupport

/// Four classes of 12×12 pictures.
func pictures(_ count: Int, seed: UInt64 = 1) throws -> ImageDataset {
  let (images, labels) = Pictures.make(count: count, classes: 4, seed: seed)
  return try ImageDataset(name: "pictures", images: images, labels: labels, classCount: 4)
}

/// Conv, batch norm (if asked), ReLU, pool, dropout (if asked), Gemm.
func smallNetwork(batchNorm: Bool = false, dropout: Float = 0) -> Graph {
  var generator = RandomGenerator(seed: 3)
  var graph = Graph(name: "small")
  graph.inputs = [ValueInfo("x", .float32, [.symbolic("N"), .fixed(1), .fixed(12), .fixed(12)])]
  graph.initializers["w1"] = .float32(
    Tensor([4, 1, 3, 3], uniformIn: -0.5...0.5, using: &generator))
  graph.initializers["b1"] = .float32(Tensor(zeros: [4]))
  graph.initializers["w2"] = .float32(
    Tensor([4, 144], uniformIn: -0.1...0.1, using: &generator))
  graph.initializers["b2"] = .float32(Tensor(zeros: [4]))
  var value = "x"
  func add(_ opType: String, _ inputs: [String], _ attributes: [String: Attribute] = [:]) {
    let output = "v\(graph.nodes.count)"
    graph.nodes.append(
      Node(
        opType, name: output, inputs: [value] + inputs, outputs: [output], attributes: attributes))
    value = output
  }
  add("Conv", ["w1", "b1"], ["pads": .ints([1, 1, 1, 1])])
  if batchNorm {
    for (name, element) in [("scale", Float(1)), ("shift", 0), ("mean", 0), ("variance", 1)] {
      graph.initializers[name] = .float32(Tensor([4], repeating: element))
    }
    add("BatchNormalization", ["scale", "shift", "mean", "variance"])
  }
  add("Relu", [])
  add("MaxPool", [], ["kernel_shape": .ints([2, 2]), "strides": .ints([2, 2])])
  if dropout > 0 {
    graph.initializers["ratio"] = .float32(Tensor(.scalar, [dropout]))
    add("Dropout", ["ratio"])
  }
  add("Flatten", [])
  add("Gemm", ["w2", "b2"], ["transB": .int(1)])
  graph.outputs = [ValueInfo(value, .float32, [.symbolic("N"), .fixed(4)])]
  return graph
}

/// Expects that training stopped after a number of batches goes on from its checkpoint to the same
/// bytes as without the stop.
func expectGoesOnBitForBit(
  after stop: Int, sourceLocation: SourceLocation = #_sourceLocation,
  _ trainer: (_ checkpoint: CheckpointFile?, _ resumes: Bool) throws -> Trainer
) throws {
  var uninterrupted = try trainer(nil, false)
  let expected = try ONNXFile.encode(try uninterrupted.run().graph)
  try withTemporaryFolder { folder in
    let checkpoint = CheckpointFile(path: "\(folder)/run.checkpoint", interval: 3)
    var first = try trainer(checkpoint, false)
    let count = Counter()
    #expect(throws: CancellationError.self, sourceLocation: sourceLocation) {
      _ = try first.run { progress in
        guard progress.task.hasPrefix("epoch") else { return }
        if count.next() == stop { throw CancellationError() }
      }
    }
    var second = try trainer(checkpoint, true)
    let resumed = try ONNXFile.encode(try second.run().graph)
    #expect(resumed == expected, sourceLocation: sourceLocation)
  }
}
