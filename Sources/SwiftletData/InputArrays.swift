// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletFormats

/// Arrays by the names of a model's inputs, which are fed to it as they are. Those in files are
/// read sample by sample, so that memory does not grow with their size.
///
/// Most arrays have one row per sample; others, such as a size, are the same for all samples. Which
/// ones depends on the model.
public struct InputArrays: Sendable {
  /// By input name; one may be named `""`, for a model's only input.
  public let arrays: [String: StoredArray]
  /// The samples that are used, in order; `nil`: all.
  let chosen: [Int]?

  /// All samples of arrays in memory.
  public init(_ arrays: [String: AnyTensor]) { self.init(arrays.mapValues { StoredArray($0) }) }

  /// All samples of arrays.
  public init(_ arrays: [String: StoredArray]) { self.init(arrays, chosen: nil) }

  private init(_ arrays: [String: StoredArray], chosen: [Int]?) {
    (self.arrays, self.chosen) = (arrays, chosen)
  }

  /// The arrays of a file, or of a folder of files that each hold some of the samples: see
  /// `ArrayFile.open`.
  ///
  /// - Throws: `io`, `badInput` or `unsupported` naming the file.
  public init(reading path: String) throws {
    self.init(
      Dictionary(uniqueKeysWithValues: try ArrayFile.open(path).map { ($0.key, $0.value) }))
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
