// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Counts the samples that produce NaN or infinite elements.
struct OddSamples {
  private var samples: [String: (count: Int, first: Int)] = [:]

  /// Names of the values with non-finite elements.
  var names: Set<String> { Set(samples.keys) }

  /// Counts the samples of a batch for which a value has non-finite elements.
  mutating func add(_ value: Tensor<Float>, of name: String, _ range: Range<Int>) {
    let odd = value.oddSamples(of: range.count)
    guard let first = odd.min() else { return }
    let known = samples[name] ?? (0, range.lowerBound + first)
    samples[name] = (known.count + odd.count, known.first)
  }

  /// A one-line warning about all of them; `nil` if there are none.
  func warning(of total: Int) -> String? {
    guard !samples.isEmpty else { return nil }
    let shown = samples.sorted { $0.key < $1.key }.prefix(3).map { name, odd in
      "'\(name)' in \(odd.count) of \(total), first in sample \(odd.first)"
    }
    let rest = samples.count > 3 ? "; and \(samples.count - 3) more values" : ""
    return "calibration samples produce NaN or infinite elements, which ranges ignore: "
      + shown.joined(separator: "; ") + rest
  }

  /// The error for a value that has no finite element.
  func refusal(_ name: String) -> SwiftletError {
    SwiftletError(
      .numerical,
      "no calibration sample produces a finite element, starting with sample "
        + "\(samples[name]?.first ?? 0)",
      at: "value '\(name)'",
      fix:
        "check that sample; if the value is not finite by design, list the layers "
        + "that read it under keep (--keep)")
  }
}

extension Tensor<Float> {
  /// The finite elements, as a vector.
  var finiteElements: Tensor<Float> {
    let finite = elements.filter(\.isFinite)
    return Tensor([finite.count], finite)
  }

  /// The rows of a matrix that have only finite elements.
  var finiteRows: Tensor<Float> {
    guard !isFinite else { return self }
    let width = shape[1]
    let all = elements
    let rows = (0..<shape[0]).map { all[$0 * width..<($0 + 1) * width] }.filter {
      $0.allSatisfy(\.isFinite)
    }
    return Tensor([rows.count, width], Array(rows.joined()))
  }

  /// The indices of the samples with non-finite elements, out of `count`. Samples are along the
  /// first axis of that extent, or else along axis 0 with an equal number of rows each; if neither
  /// fits, samples cannot be distinguished and all are returned.
  func oddSamples(of count: Int) -> Set<Int> {
    guard count > 0 else { return [] }
    let axis = shape.dimensions.firstIndex(of: count) ?? 0
    guard shape.rank > 0, shape[axis] > 0, shape[axis] % count == 0 else { return Set(0..<count) }
    let (extent, inner) = (shape[axis], shape.count(of: axis + 1..<shape.rank))
    var found: Set<Int> = []
    for (position, element) in elements.enumerated() where !element.isFinite {
      found.insert(position / inner % extent / (extent / count))
    }
    return found
  }
}
