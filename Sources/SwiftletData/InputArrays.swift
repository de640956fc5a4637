// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
public import SwiftletCore
import SwiftletFormats

/// Arrays for a model's inputs, as named on the command line: `inputs:FILE.npz[SLICE…]`.
///
/// Slices are those of ``DataSpec``, and apply to the first axis of all arrays with the most
/// frequent number of samples: others, such as a size or a mask shared by all samples, are not
/// sliced.
public enum InputArrays {
  private static let prefix = "inputs:"

  /// Whether the text names arrays rather than labelled images.
  public static func areNamed(by text: String) -> Bool { text.hasPrefix(prefix) }

  /// The file that a text names, if it names arrays.
  static func path(in text: String) -> String? {
    guard areNamed(by: text), let (path, _) = try? parts(of: text) else { return nil }
    return String(path)
  }

  private static func parts(
    of text: String
  ) throws -> (rest: Substring, slices: [DataSpec.Slice]) {
    try DataSpec.Slice.trailing(String(text.dropFirst(prefix.count))) {
      SwiftletError(
        $1, $0, at: "data '\(text)'", fix: "write slices like [0..<1000], [80%] or [20%..<80%]")
    }
  }

  /// - Throws: `io` or `badInput` naming the file, or the slice that does not fit.
  public static func read(_ text: String) throws -> [String: AnyTensor] {
    let (path, slices) = try parts(of: text)
    let arrays = try NPZ.read(String(path))
    let result = Dictionary(uniqueKeysWithValues: arrays.map { ($0.key, $0.value) })
    let counts = arrays.values.compactMap(\.shape.dimensions.first)
    guard !slices.isEmpty, let count = mostFrequent(counts) else { return result }
    var range = 0..<count
    for slice in slices {
      let part = try locating("data '\(text)'") { try slice.range(of: range.count) }
      range = range.lowerBound + part.lowerBound..<range.lowerBound + part.upperBound
    }
    return result.mapValues { $0.shape.dimensions.first == count ? $0.rows(range) : $0 }
  }

  /// The most frequent number, the largest one on ties.
  private static func mostFrequent(_ counts: [Int]) -> Int? {
    Dictionary(grouping: counts) { $0 }.max { ($0.value.count, $0.key) < ($1.value.count, $1.key) }?
      .key
  }
}

extension AnyTensor {
  fileprivate func rows(_ range: Range<Int>) -> AnyTensor {
    func opened<Element: TensorElement>(_: Element.Type) -> AnyTensor {
      AnyTensor(typed(as: Element.self)!.slice(axis: 0, range: range).contiguous())
    }
    return opened(dtype.elementType)
  }
}
