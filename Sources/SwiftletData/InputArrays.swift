// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletFormats

/// Arrays by the names of a model's inputs, which are fed to it as they are. Those in files are
/// read sample by sample, so that memory does not grow with their size.
///
/// Most arrays have one row per sample; others, such as a size, are the same for all samples. Which
/// ones depends on the model.
public struct InputArrays: Sendable {
  /// By input name.
  public let arrays: [String: StoredArray]
  /// The name of the array for a model's only input, whatever that is called; by default `""`.
  public let main: String
  /// The samples that are used, in order; `nil`: all.
  let chosen: [Int]?

  /// All samples of arrays in memory.
  public init(_ arrays: [String: AnyTensor]) { self.init(arrays.mapValues { StoredArray($0) }) }

  /// All samples of arrays.
  ///
  /// - Parameters:
  ///   - arrays: By input name.
  ///   - main: The name of the one for a model's only input, whatever that is called.
  public init(_ arrays: [String: StoredArray], main: String = "") {
    self.init(arrays, main, chosen: nil)
  }

  private init(_ arrays: [String: StoredArray], _ main: String, chosen: [Int]?) {
    (self.arrays, self.main, self.chosen) = (arrays, main, chosen)
  }

  /// The arrays of a file, or of a folder of files that each hold some of the samples: see
  /// `ArrayFile.open`.
  ///
  /// - Throws: `io`, `badInput` or `unsupported` naming the file.
  public init(reading path: String) throws {
    self.init(
      Dictionary(uniqueKeysWithValues: try ArrayFile.open(path).map { ($0.key, $0.value) }))
  }

  /// The number of samples.
  var count: Int { chosen?.count ?? total }

  /// The number of samples in the arrays: the most frequent extent of the first axis, the largest
  /// one on ties.
  private var total: Int {
    let counts = arrays.values.compactMap(\.shape.dimensions.first)
    return Dictionary(grouping: counts) { $0 }
      .max { ($0.value.count, $0.key) < ($1.value.count, $1.key) }?.key ?? 0
  }

  /// Only the samples at `indices`, in that order.
  func choosing(_ indices: [Int]) -> InputArrays {
    InputArrays(arrays, main, chosen: chosen.map { own in indices.map { own[$0] } } ?? indices)
  }

  /// Arrays with a row for each sample, sorted by name.
  var samples: [(name: String, array: StoredArray)] {
    let total = total
    return arrays.sorted { $0.key < $1.key }
      .filter { $0.value.shape.rank > 0 && $0.value.count == total }
      .map { ($0.key, chosen.map($0.value.subset) ?? $0.value) }
  }
}
