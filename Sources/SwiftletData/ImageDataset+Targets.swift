// SPDX-License-Identifier: Apache-2.0

package import SwiftletCore
import SwiftletFormats
package import SwiftletGraph

extension ImageDataset {
  /// The name of ``targets``, and of an array of `inputs:` data that means the same.
  private static let ownTargets = "targets"

  /// Names of the arrays that say what a model's outputs should be: those named after an output,
  /// and one named `targets`.
  ///
  /// - Parameters:
  ///   - graph: The model.
  ///   - samples: The number of samples that its inputs get.
  /// - Throws: `badInput` if such an array does not have one row for each sample.
  package func targetNames(for graph: Graph, samples: Int) throws -> [String] {
    if targets != nil { return [Self.ownTargets] }
    guard case .arrays(let given) = pixels else { return [] }
    let names = given.arrays.keys.sorted().filter { name in
      !graph.inputs.contains { $0.name == name }
        && (graph.isOutput(name) || name == Self.ownTargets)
    }
    for name in names {
      let rows = given.arrays[name]!.shape.dimensions.first ?? 0
      // Positions of chosen samples are those of all arrays.
      guard given.chosen.map({ ($0.max() ?? -1) < rows }) ?? (rows == samples) else {
        throw SwiftletError(
          .badInput, "the targets '\(name)' have \(rows) rows, but there are \(samples) samples",
          at: self.name, fix: "give one row for each sample")
      }
    }
    return names
  }

  /// What some of the outputs of a model should be for a range of samples.
  ///
  /// - Precondition: The names are those of ``targetNames(for:samples:)``.
  ///
  /// - Throws: The errors of reading arrays in files.
  package func targets(_ names: [String], _ samples: Range<Int>) throws -> [String: AnyTensor] {
    if let targets { return [Self.ownTargets: try targets.rows(Array(samples))] }
    guard case .arrays(let given) = pixels else { return [:] }
    let indices = given.chosen.map { Array($0[samples]) } ?? Array(samples)
    return Dictionary(
      uniqueKeysWithValues: try names.map { ($0, try given.arrays[$0]!.rows(indices)) })
  }

  /// The names of samples: the paths of pictures in files; `nil` for others.
  package func names(_ samples: Range<Int>) -> [String]? {
    if case .files(let files) = pixels { Array(files.paths[samples]) } else { nil }
  }
}
