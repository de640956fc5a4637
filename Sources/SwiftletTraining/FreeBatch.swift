// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
package import SwiftletGraph
import SwiftletRuntime

extension Graph {
  /// The model with an open batch, if it takes a fixed number of images at once, as exporters write
  /// it by default.
  ///
  /// Constant targets of Reshape that begin with the batch are derived from the input. Other nodes
  /// may depend on the number in hidden ways, so the rewritten model is used only if it answers two
  /// batches of random images as the original answers each of them.
  ///
  /// - Returns: The model itself if its batch is already open; `nil` if something in it needs the
  ///   number.
  package func withOpenBatch() -> Graph? {
    let inputs = dataInputs
    guard inputs.count == 1, inputs[0].dtype == .float32, inputs[0].isShaped else { return nil }
    guard let batch = inputs[0].fixedBatch else { return self }
    guard batch > 0, let infos = try? Interpreter(self).inferred(batch: batch) else { return nil }
    var graph = foldingConstants()
    guard let place = graph.inputs.firstIndex(where: { $0.name == inputs[0].name }) else {
      return nil
    }
    let symbol = "batch"
    graph.inputs[place].dimensions[0] = .symbolic(symbol)
    for index in graph.outputs.indices where graph.outputs[index].fixedBatch != nil {
      graph.outputs[index].dimensions[0] = .symbolic(symbol)
    }
    for index in graph.nodes.indices { graph.loosen(index, batch, infos) }
    return graph.answers(as: self, batch) ? graph : nil
  }

  /// Derives the first extent of a Reshape's result from its input.
  private mutating func loosen(_ index: Int, _ batch: Int, _ infos: [String: TensorInfo]) {
    let node = nodes[index]
    guard node.opType == "Reshape", node.inputs.count > 1,
      let stored: Tensor<Int64> = initializers[node.inputs[1]]?.typed(),
      let shape = infos[node.inputs[0]]?.shape, shape.rank > 0, shape[0] > 0
    else { return }
    var target = stored.elements
    guard let first = target.first, first > 0 else { return }
    let readsZero = (try? node.int("allowzero", default: 0)) == 0
    if Int(first) == shape[0], readsZero {
      target[0] = 0
    } else if Int(first) % batch == 0, !target.contains(-1) {
      target[0] = -1
    } else {
      return
    }
    let name = freshName("\(node.inputs[1])_open")
    initializers[name] = .int64(Tensor(stored.shape, target))
    nodes[index].inputs[1] = name
  }

  /// Whether two batches at once give the same answers as a fixed-batch model gives for each.
  private func answers(as original: Graph, _ batch: Int) -> Bool {
    var generator = RandomGenerator(seed: 1)
    guard let own = try? BatchRunner(Session(self, threads: .serial)),
      let other = try? BatchRunner(Session(original, threads: .serial)),
      let extents = try? Interpreter(original).openExtents(batch: batch),
      let shape = try? extents.shape(of: original.dataInputs[0]), shape[0] == batch
    else { return false }
    let images = Tensor<Float>(shape.replacing(axis: 0, with: 2 * batch), normalUsing: &generator)
    guard let found = try? own.run(images), let wanted = try? other.run(images) else {
      return false
    }
    return wanted.allSatisfy { name, wanted in
      guard let found = found[name], found.shape == wanted.shape else { return false }
      let (a, b) = (found.elements, wanted.elements)
      let scale = b.reduce(Float(1e-6)) { $1.isFinite ? max($0, abs($1)) : $0 }
      return zip(a, b).allSatisfy { $0 == $1 || abs($0 - $1) <= 1e-3 * scale || $1.isNaN }
    }
  }
}

extension Interpreter {
  fileprivate func inferred(batch: Int) throws -> [String: TensorInfo] {
    try infer(inputShapes(batch: batch))
  }
}
