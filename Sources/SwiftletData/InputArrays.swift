// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
public import SwiftletCore
import SwiftletFormats

/// Arrays by the names of a model's inputs, which are fed to it as they are.
///
/// Most arrays have one entry per sample; others, such as a size, are the same for all samples.
/// Which ones depends on the model.
public struct InputArrays: Sendable {
  /// By input name; a single array may be named `""`, for a model's only input.
  public let arrays: [String: AnyTensor]
  /// The samples that are used, in order; `nil`: all.
  let chosen: [Int]?

  /// All samples of these arrays.
  public init(_ arrays: [String: AnyTensor]) { self.init(arrays, chosen: nil) }

  private init(_ arrays: [String: AnyTensor], chosen: [Int]?) {
    (self.arrays, self.chosen) = (arrays, chosen)
  }

  /// The arrays of an npz file.
  ///
  /// - Throws: `io` or `badInput` naming the file.
  init(reading path: String) throws {
    self.init(
      Dictionary(uniqueKeysWithValues: try NPZ.read(path).map { ($0.key, $0.value) }), chosen: nil)
  }

  /// The number of samples: the most frequent extent of the first axis, the largest one on ties.
  var count: Int {
    if let chosen { return chosen.count }
    let counts = arrays.values.compactMap(\.shape.dimensions.first)
    return Dictionary(grouping: counts) { $0 }
      .max { ($0.value.count, $0.key) < ($1.value.count, $1.key) }?.key ?? 0
  }

  /// Only the samples at `indices`, in that order.
  func choosing(_ indices: [Int]) -> InputArrays {
    InputArrays(arrays, chosen: chosen.map { own in indices.map { own[$0] } } ?? indices)
  }
}
