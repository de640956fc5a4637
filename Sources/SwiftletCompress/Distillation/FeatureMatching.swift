// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletTraining

/// Finds values of a student and of its teacher that can be compared, and their shapes.
struct FeatureMatching {
  /// A pair, and what both are like.
  struct Match {
    let pair: FeaturePair
    let student, teacher: Shape

    /// Channels of both, and their rank: of sequences the last axis, of everything else the second.
    var channels: (student: Int, teacher: Int, rank: Int) {
      let axis = student.rank == 3 ? 2 : 1
      return (student[axis], teacher[axis], student.rank)
    }
  }

  private let student: Graph
  private let teacher: Graph
  private let studentInfos: [String: TensorInfo]
  private let teacherInfos: [String: TensorInfo]
  /// Pairs that are chosen by themselves, at most, the last ones: more would cost time and add
  /// little.
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

  /// The pairs that were asked for, or those that suggest themselves.
  ///
  /// - Throws: `badInput` for names that there are not, `unsupported` if nothing can be compared.
  func matches(_ layers: [String]) throws -> [Match] {
    let pairs = try layers.isEmpty ? suggested() : layers.map(pair)
    return try pairs.map { pair in
      guard let own = studentInfos[pair.student]?.shape,
        let other = teacherInfos[pair.teacher]?.shape,
        own.rank == other.rank, 2...4 ~= own.rank, Self.positions(own) == Self.positions(other)
      else {
        throw SwiftletError(
          .unsupported, "features of different sizes cannot be compared",
          at: "\(pair.student):\(pair.teacher)",
          mend: "name layers with equal height and width by layers, as STUDENT:TEACHER")
      }
      return Match(pair: pair, student: own, teacher: other)
    }
  }

  private func pair(_ text: String) throws -> FeaturePair {
    // Names may hold colons themselves: the first at which both sides are known counts.
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
        mend: "'swiftlet inspect' lists them; write STUDENT:TEACHER if the names differ")
    }
    return FeaturePair(student: own, teacher: other)
  }

  /// A computed value of the name, or the first result of the node of the name.
  private static func value(_ name: String, _ graph: Graph) -> String? {
    if graph.nodes.contains(where: { $0.outputs.first == name }) { return name }
    return graph.nodes.first { $0.name == name && !name.isEmpty }?.outputs.first
  }

  private static func positions(_ shape: Shape) -> [Int] {
    shape.rank == 3 ? [shape[1]] : Array(shape.dimensions.dropFirst(2))
  }

  /// The last values of each size that both have, but the largest where there are others: at the
  /// input there is little to learn. Without sizes, what the last layers read.
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
        mend: "name some by layers, or leave hints and attention out")
    }
    return pairs.suffix(Self.limit)
  }

  /// The last value of each size, in order. Sizes of one position are no features of images.
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
  /// How many classes a classifier tells apart.
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
