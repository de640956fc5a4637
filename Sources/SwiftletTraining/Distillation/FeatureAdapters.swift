// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
public import SwiftletGraph

/// Trained layers that map a student's features to the teacher's number of channels: 1×1
/// convolutions for images, matrix products for rows and sequences.
///
/// During training they are nodes of the student's graph, next to those that lead to its output, so
/// they are differentiated, updated and saved in checkpoints with the rest; afterwards they are
/// dropped.
///
/// - Source: Romero et al. 2015, arXiv:1412.6550 (the regressor).
public struct FeatureAdapters: Sendable {
  /// The student with its adapters.
  public private(set) var graph: Graph
  /// The pairs, with the adapted value in place of the student's where there is an adapter.
  public private(set) var pairs: [FeaturePair] = []
  private let studentNodes: [Node]
  private let studentTensors: Set<String>

  /// `channels` are the student's and the teacher's channels of each pair, and the rank of both.
  public init(
    _ student: Graph, _ pairs: [FeaturePair],
    channels: [(student: Int, teacher: Int, rank: Int)], seed: UInt64
  ) {
    graph = student
    studentNodes = student.nodes
    studentTensors = Set(student.initializers.keys)
    for (index, (pair, count)) in zip(pairs, channels).enumerated() {
      guard count.student != count.teacher else {
        self.pairs.append(pair)
        continue
      }
      var generator = RandomGenerator(seed: seed, stream: 11, UInt64(index))
      let output = adapt(pair.student, count, &generator)
      self.pairs.append(FeaturePair(student: output, teacher: pair.teacher))
    }
  }

  private mutating func adapt(
    _ value: String, _ channels: (student: Int, teacher: Int, rank: Int),
    _ generator: inout RandomGenerator
  ) -> String {
    let bound = 1 / Double(channels.student).squareRoot()
    let isConvolution = channels.rank == 4
    let shape: Shape =
      isConvolution
      ? [channels.teacher, channels.student, 1, 1] : [channels.student, channels.teacher]
    let weight = graph.freshName("\(value).adapter.weight")
    graph.initializers[weight] = .float32(
      Tensor(shape, uniformIn: -bound...bound, using: &generator))
    let output = graph.freshName("\(value).adapted")
    graph.nodes.append(
      Node(
        isConvolution ? "Conv" : "MatMul", name: graph.freshName("\(value).adapter"),
        inputs: [value, weight], outputs: [output],
        attributes: isConvolution ? ["kernel_shape": .ints([1, 1])] : [:]))
    return output
  }

  /// The trained student without its adapters.
  public func dropped(from trained: Graph) -> Graph {
    var result = trained
    result.nodes = studentNodes
    result.initializers = trained.initializers.filter { studentTensors.contains($0.key) }
    return result
  }
}
