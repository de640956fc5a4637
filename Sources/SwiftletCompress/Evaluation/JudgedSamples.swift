// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletData
import SwiftletGraph

/// The samples that models are judged on, with what is known of them.
struct JudgedSamples: Sendable {
  let source: CalibrationSource
  /// Positions of the samples in the source.
  let range: Range<Int>
  /// The data set, if the samples have labels.
  let images: ImageDataset?
  /// Paths of pictures, by position; empty: samples have no names.
  private let paths: [String]
  /// What outputs should be, by name; rows by position.
  private let targets: [String: AnyTensor]

  /// Labelled images.
  init(_ images: ImageDataset, _ source: CalibrationSource) {
    (self.images, self.source, range) = (images, source, 0..<source.count)
    if case .files(let files) = images.pixels { paths = files.paths } else { paths = [] }
    targets = [:]
  }

  /// Some of the samples of a source.
  ///
  /// - Parameters:
  ///   - source: The samples.
  ///   - range: Positions of those to judge on.
  ///   - arrays: The arrays that the samples come from. Those that are named after an output of the
  ///     model are its targets, and so is one named `targets`.
  ///   - graph: The model.
  /// - Throws: `badInput` if there is not one target for each sample.
  init(
    _ source: CalibrationSource, _ range: Range<Int>, arrays: [String: AnyTensor], for graph: Graph
  ) throws {
    (images, paths, self.source, self.range) = (nil, [], source, range)
    targets = arrays.filter { name, _ in
      !graph.inputs.contains { $0.name == name } && (graph.isOutput(name) || name == "targets")
    }
    let count = source.count + source.leftOut
    for (name, target) in targets where target.shape.dimensions.first != count {
      throw SwiftletError(
        .badInput, "the targets are \(target.shape), but there are \(count) samples",
        at: "array '\(name)'", fix: "give one row for each sample")
    }
  }

  /// Whether it is known what outputs should be.
  var hasTargets: Bool { !targets.isEmpty }

  /// Calls `body` with the inputs of each batch.
  func forEachBatch(
    _ body: (_ inputs: [String: AnyTensor], _ samples: Range<Int>) throws -> Void
  ) throws {
    try source.forEachBatch(from: range.lowerBound, to: range.upperBound, body)
  }

  /// What a metric is given for a batch, besides outputs.
  func known(
    _ samples: Range<Int>
  ) -> (names: [String]?, labels: [Int], targets: [String: AnyTensor]) {
    (
      paths.isEmpty ? nil : Array(paths[samples]), images.map { Array($0.labels[samples]) } ?? [],
      targets.mapValues { $0.rows(samples) }
    )
  }
}

extension AnyTensor {
  /// A range of rows, without a copy.
  fileprivate func rows(_ rows: Range<Int>) -> AnyTensor {
    func opened<Element: TensorElement>(_: Element.Type) -> AnyTensor {
      AnyTensor(typed(as: Element.self)!.slice(axis: 0, range: rows))
    }
    return opened(dtype.elementType)
  }
}
