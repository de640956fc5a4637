// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
public import SwiftletData
public import SwiftletGraph

extension Evaluation {
  /// The output that holds scores for a data set's classes: the only one of images × classes with
  /// exactly as many classes as the data, or else the only one with enough. Given scores and their
  /// softmax, the scores. For a model with one output, that one.
  ///
  /// - Throws: `badInput` naming the outputs if several or none qualify.
  public static func scores(of graph: Graph, for data: ImageDataset) throws -> String? {
    guard graph.outputs.count > 1 else { return graph.outputs.first?.name }
    let widths = graph.scoreWidths(for: data)
    let able = graph.outputs.map(\.name).filter { name in
      widths[name].map { $0.map { $0 > data.largestLabel } ?? true } ?? false
    }
    let exact = able.filter { widths[$0]! == data.classCount }
    let candidates = graph.distinct(exact.isEmpty ? able : exact)
    if candidates.count == 1 { return candidates[0] }
    let names = (candidates.isEmpty ? graph.outputs.map(\.name) : candidates)
      .map { "'\($0)'" }.joined(separator: ", ")
    throw SwiftletError(
      .badInput,
      candidates.isEmpty
        ? "none of the outputs \(names) can hold scores of \(data.classCount) classes"
        : "the outputs \(names) can all hold scores of \(data.classCount) classes",
      at: data.name, fix: "select one with --judged-output")
  }
}

extension Evaluation {
  /// Whether an output of a model can hold scores of classes, whatever the data: images × classes.
  public static func canScore(_ graph: Graph) -> Bool {
    let interpreter = try? Interpreter(graph)
    let infos = interpreter.flatMap { try? $0.infer($0.inputShapes(batch: 2)) }
    return graph.outputs.contains { output in
      guard output.dtype.isFloat else { return false }
      if let shape = infos?[output.name]?.shape { return shape.rank == 2 && shape[1] > 1 }
      return !output.isShaped || output.dimensions.count == 2 && output.dimensions[1] != .fixed(1)
    }
  }

  /// Checks that an output has a score for each label, before anything is computed.
  ///
  /// - Parameters:
  ///   - output: The output with the scores; `nil`: the one that can hold them.
  /// - Throws: `badInput` naming the label; as ``scores(of:for:)``.
  package static func checkLabels(
    of data: ImageDataset, for graph: Graph, output: String?
  ) throws {
    guard let name = try output ?? scores(of: graph, for: data),
      let width = graph.scoreWidths(for: data)[name] ?? nil, data.largestLabel >= width
    else { return }
    throw SwiftletError(
      .badInput,
      "there is a label \(data.largestLabel), but output '\(name)' has scores of \(width) classes, "
        + "0 to \(width - 1)", at: data.name,
      fix: "take a model with \(data.largestLabel + 1) scores per image, or other images")
  }
}

extension Graph {
  /// The graph with a single output, and the nodes that compute it: the named one, or the one with
  /// the scores.
  ///
  /// - Throws: As ``scored(by:on:)``.
  package func judged(by name: String?, on data: ImageDataset) throws -> Graph {
    guard outputs.count > 1 else { return try scored(by: name, on: data) }
    var graph = try scored(by: name, on: data)
    graph.removeUnusedNodes()
    graph.removeUnusedInitializers()
    return graph
  }

  /// The graph with a single output, and all of its nodes.
  ///
  /// - Throws: `badInput` if there is no output of that name; as ``Evaluation/scores(of:for:)``.
  package func scored(by name: String?, on data: ImageDataset) throws -> Graph {
    if let name, !isOutput(name) {
      throw SwiftletError(
        .badInput, "the model has no output '\(name)'",
        fix: "its outputs are " + outputs.map(\.name).joined(separator: ", "))
    }
    guard outputs.count > 1 else { return self }
    let chosen = try name ?? Evaluation.scores(of: self, for: data)
    var graph = self
    graph.outputs = outputs.filter { $0.name == chosen }
    return graph
  }

  /// The number of scores per image in each output that can be images × classes; `nil` if it is
  /// open.
  fileprivate func scoreWidths(for data: ImageDataset) -> [String: Int?] {
    // Shapes for two images, to distinguish an axis of images from one of length 1.
    let infos = try? Interpreter(self).infer(InputFeed(data, for: self).shapes(batch: 2))
    var widths: [String: Int?] = [:]
    for output in outputs where output.dtype.isFloat {
      if let info = infos?[output.name] {
        if info.shape.rank == 2, info.shape[0] == 2, info.shape[1] > 1 {
          widths[output.name] = .some(info.shape[1])
        }
      } else if !output.isShaped {
        widths[output.name] = .some(nil)
      } else if output.dimensions.count == 2, output.dimensions[1] != .fixed(1) {
        if case .fixed(let width) = output.dimensions[1] {
          widths[output.name] = .some(width)
        } else {
          widths[output.name] = .some(nil)
        }
      }
    }
    return widths
  }

  /// Removes values that order their elements as another one does: scores and their softmax. The
  /// ones that others are computed from remain.
  fileprivate func distinct(_ names: [String]) -> [String] {
    let keeping: Set<String> = ["Softmax", "LogSoftmax", "Sigmoid", "Identity", "Cast", "Dropout"]
    var steps: [String: (root: String, count: Int)] = [:]
    for name in names {
      var (value, count) = (name, 0)
      while let index = producer(of: value), keeping.contains(nodes[index].opType),
        let source = nodes[index].inputs.first
      {
        (value, count) = (source, count + 1)
      }
      steps[name] = (value, count)
    }
    return names.enumerated().filter { position, name in
      let own = steps[name]!
      return !names.enumerated().contains { other, rival in
        let theirs = steps[rival]!
        return theirs.root == own.root && (theirs.count, other) < (own.count, position)
      }
    }.map(\.element)
  }
}
