// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletTraining

/// Finds values of a student and its teacher that can be compared, and their shapes.
struct FeatureMatching {
  /// A pair of values with their shapes.
  struct Match {
    let pair: FeaturePair
    let student, teacher: Shape

    /// Channels of both values, and their rank. Channels are the last axis of sequences (rank 3),
    /// the second axis of everything else.
    var channels: (student: Int, teacher: Int, rank: Int) {
      let axis = student.rank == 3 ? 2 : 1
      return (student[axis], teacher[axis], student.rank)
    }
  }

  private let student: Graph
  private let teacher: Graph
  private let studentInfos: [String: TensorInfo]
  private let teacherInfos: [String: TensorInfo]
  /// Maximum number of suggested pairs, the last ones: more would cost time and add little.
  private static let limit = 3

  init(student: Graph, teacher: Graph) throws {
    self.student = student.withLogitsOutput()
    self.teacher = teacher.withLogitsOutput()
    func infos(_ graph: Graph) throws -> [String: TensorInfo] {
      let interpreter = try Interpreter(graph.withOpenBatch() ?? graph)
      return try interpreter.infer(interpreter.inputShapes(batch: 2))
    }
    (studentInfos, teacherInfos) = (try infos(self.student), try infos(self.teacher))
  }

  /// The requested pairs, or suggested ones if none are requested.
  ///
  /// - Parameter layers: Names as `STUDENT:TEACHER`, or one name for both.
  /// - Throws: `badInput` for unknown names, `unsupported` if nothing can be compared.
  func matches(_ layers: [String]) throws -> [Match] {
    let pairs = try layers.isEmpty ? suggested() : layers.map(pair)
    return try pairs.map { pair in
      guard let own = studentInfos[pair.student]?.shape,
        let other = teacherInfos[pair.teacher]?.shape,
        own.rank == other.rank, 2...4 ~= own.rank, Self.positions(own) == Self.positions(other)
      else {
        throw SwiftletError(
          .unsupported, "cannot compare features of different sizes",
          at: "\(pair.student):\(pair.teacher)",
          mend: "use layers to name two of equal height and width, as STUDENT:TEACHER")
      }
      return Match(pair: pair, student: own, teacher: other)
    }
  }

  private func pair(_ text: String) throws -> FeaturePair {
    // Names may contain colons: split at the first one with known names on both sides.
    for colon in text.indices where text[colon] == ":" {
      if let own = Self.value(String(text[..<colon]), student),
        let other = Self.value(String(text[text.index(after: colon)...]), teacher)
      {
        return FeaturePair(student: own, teacher: other)
      }
    }
    guard let own = Self.value(text, student), let other = Self.value(text, teacher) else {
      throw SwiftletError(
        .badInput, "student and teacher do not both have a layer '\(text)'", at: "layers",
        mend: "use names that 'swiftlet inspect' lists, as STUDENT:TEACHER if they differ")
    }
    return FeaturePair(student: own, teacher: other)
  }

  /// The computed value of that name, or the first output of the node of that name.
  private static func value(_ name: String, _ graph: Graph) -> String? {
    if graph.nodes.contains(where: { $0.outputs.first == name }) { return name }
    return graph.nodes.first { $0.name == name && !name.isEmpty }?.outputs.first
  }

  private static func positions(_ shape: Shape) -> [Int] {
    shape.rank == 3 ? [shape[1]] : Array(shape.dimensions.dropFirst(2))
  }

  /// The last value of each size that both networks have, except the largest size if there are
  /// others: close to the input there is little to learn. Without common sizes, the inputs of the
  /// last layers.
  private func suggested() throws -> [FeaturePair] {
    let own = Self.lastValues(student, studentInfos)
    let other = Self.lastValues(teacher, teacherInfos)
    var pairs: [FeaturePair] = []
    for (size, value) in own {
      if let match = other.last(where: { $0.size == size }) {
        pairs.append(FeaturePair(student: value, teacher: match.value))
      }
    }
    if pairs.count > 1 { pairs.removeFirst() }
    if pairs.isEmpty, let own = Self.beforeLastLayer(student, studentInfos),
      let other = Self.beforeLastLayer(teacher, teacherInfos)
    {
      pairs = [FeaturePair(student: own, teacher: other)]
    }
    guard !pairs.isEmpty else {
      throw SwiftletError(
        .unsupported, "student and teacher have no features of equal size",
        mend: "name some with layers, or leave hints and attention out")
    }
    return pairs.suffix(Self.limit)
  }

  /// The last value of each size, in order. A single position is not a feature map.
  private static func lastValues(
    _ graph: Graph, _ infos: [String: TensorInfo]
  ) -> [(size: [Int], value: String)] {
    var found: [(size: [Int], value: String)] = []
    for node in graph.nodes {
      guard let name = node.outputs.first, let info = infos[name], info.dtype == .float32,
        3...4 ~= info.shape.rank, info.shape[0] == 2
      else { continue }
      let size = positions(info.shape)
      guard size.reduce(1, *) > 1 else { continue }
      found.removeAll { $0.size == size }
      found.append((size, name))
    }
    return found
  }

  private static func beforeLastLayer(
    _ graph: Graph, _ infos: [String: TensorInfo]
  ) -> String? {
    guard
      let last = graph.nodes.last(where: { WeightedLayer.operators.contains($0.opType) }),
      let input = last.inputs.first, graph.producer(of: input) != nil,
      infos[input]?.shape.rank == 2
    else { return nil }
    return input
  }
}

extension FeatureMatching {
  /// The number of classes of a classifier.
  ///
  /// - Throws: `unsupported` if its output is not images × classes.
  static func classes(of graph: Graph) throws -> Int {
    let graph = graph.withLogitsOutput()
    let interpreter = try Interpreter(graph)
    let shape = try graph.outputs.first.flatMap {
      try interpreter.infer(interpreter.inputShapes(batch: 2))[$0.name]?.shape
    }
    guard let shape, shape.rank == 2 else {
      throw SwiftletError(.unsupported, "the model's output is not one row of scores per image")
    }
    return shape[1]
  }
}
