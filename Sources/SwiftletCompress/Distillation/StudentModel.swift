// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletData
import SwiftletFormats
package import SwiftletGraph
import SwiftletTraining

/// The network that learns from the teacher.
struct StudentModel {
  /// The untrained student.
  let graph: Graph
  /// A description of the student for logs and reports.
  let remark: String

  /// Prepares the student: the user's network, the result of earlier steps or, without either, a
  /// smaller copy of the teacher.
  ///
  /// - Parameters:
  ///   - settings: The settings of the step.
  ///   - graph: The result of the steps before.
  ///   - context: The teacher, the training images and the seed.
  /// - Throws: `unsupported` if the teacher cannot be scaled; `badInput` if the user's student
  ///   cannot be read, or takes different inputs than the teacher.
  init(_ settings: DistillationSettings, from graph: Graph, _ context: CompressionContext) throws {
    let teacher = context.original
    if let path = settings.student {
      self.graph = try locating(path) {
        try Self.prepared(ONNXFile.read(path), like: teacher, context)
      }
      remark = "\(path), trained by distillation"
      return
    }
    guard graph.nodes == teacher.nodes && graph.initializers == teacher.initializers else {
      self.graph = graph
      remark = "fine-tuned by distillation"
      return
    }
    var student = try ShallowStudent.make(from: graph, depth: settings.depth)
    if settings.width < 1 {
      student = try PrunePass(settings.pruning).apply(to: student, context).graph
    }
    if settings.fresh { student = try student.reinitialized(seed: context.seed) }
    self.graph = student
    remark =
      "copy of the teacher, width \(settings.width)"
      + (settings.depth < 1 ? ", depth \(settings.depth)" : "")
  }

  /// The user's student, prepared to take the images as the teacher does.
  private static func prepared(
    _ student: Graph, like teacher: Graph, _ context: CompressionContext
  ) throws -> Graph {
    var student = student.foldingWeights()
    let images = try context.training
    let wanted = try InputFeed(images, for: teacher).preprocessing
    if !Preprocessing.isStored(in: student) { wanted?.store(in: &student) }
    guard let feed = try? InputFeed(images, for: student), feed.preprocessing == wanted else {
      throw SwiftletError(
        .badInput, "the student takes different images than the teacher",
        fix: "use a student with the same input size and preprocessing")
    }
    student.extents = try feed.extents(of: student)
    return student
  }
}

extension Graph {
  /// The graph with new random weights and biases, uniform within ±1/√fan-in (He et al. 2015 with a
  /// = √5). Batch normalizations are reset to the identity.
  ///
  /// - Throws: `unsupported` if the weights of a layer are not fp32 constants.
  package func reinitialized(seed: UInt64) throws -> Graph {
    var graph = self
    for (index, node) in nodes.enumerated() {
      var generator = RandomGenerator(seed: seed, stream: 13, UInt64(index))
      func fill(_ position: Int, _ make: (Shape) -> Tensor<Float>) throws {
        guard node.inputs.count > position, !node.inputs[position].isEmpty else { return }
        let tensor = try graph.weight(node.inputs[position])
        graph.initializers[node.inputs[position]] = .float32(make(tensor.shape))
      }
      if let layer = try LinearLayer(node, in: self) {
        // A product of two computed values has no weights.
        if layer.kind == .matMul, initializers[layer.weights] == nil { continue }
        let shape = try weight(layer.weights).shape
        // Of a stack of matrices the extent along which products are summed; of a vector its only
        // one.
        let fanIn =
          layer.layout(shape)?.depth
          ?? (shape.rank < 2 ? shape.count : shape[layer.inputAxis(rank: shape.rank)])
        let bound = 1 / Double(max(1, fanIn)).squareRoot()
        for position in [layer.weightInput] + (layer.bias == nil ? [] : [2]) {
          try fill(position) { Tensor($0, uniformIn: -bound...bound, using: &generator) }
        }
        continue
      }
      switch node.opType {
      case "BatchNormalization":
        for (position, value) in [Float(1), 0, 0, 1].enumerated() {
          try fill(position + 1) { Tensor($0, repeating: value) }
        }
      default: break
      }
    }
    return graph
  }
}
