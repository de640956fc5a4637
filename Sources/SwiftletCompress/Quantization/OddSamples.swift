// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Samples that make values NaN or infinite, somewhere.
struct OddSamples {
  private var samples: [String: (count: Int, first: Int)] = [:]

  /// The values.
  var names: Set<String> { Set(samples.keys) }

  /// Counts the samples of a range in which a value has elements that are not finite.
  mutating func add(_ value: Tensor<Float>, of name: String, _ range: Range<Int>) {
    let odd = value.oddSamples(of: range.count)
    guard let first = odd.min() else { return }
    let known = samples[name] ?? (0, range.lowerBound + first)
    samples[name] = (known.count + odd.count, known.first)
  }

  /// One line about all of them; `nil` if there are none.
  func warning(of total: Int) -> String? {
    guard !samples.isEmpty else { return nil }
    let shown = samples.sorted { $0.key < $1.key }.prefix(3).map { name, odd in
      "'\(name)' in \(odd.count) of \(total), sample \(odd.first) the first"
    }
    let rest = samples.count > 3 ? "; and \(samples.count - 3) more values" : ""
    return "samples give NaN or infinite elements, which are left out of ranges: "
      + shown.joined(separator: "; ") + rest
  }

  /// The error for a value without any finite element.
  func refusal(_ name: String) -> SwiftletError {
    SwiftletError(
      .numerical,
      "no calibration sample gives a finite number, from sample \(samples[name]?.first ?? 0) on",
      at: "value '\(name)'",
      mend:
        "look at that sample of the data; if the value is not finite by design, name the layers "
        + "that read it with --keep")
  }
}

extension Tensor<Float> {
  /// The elements that are numbers, as a vector.
  var finiteElements: Tensor<Float> {
    let finite = elements.filter(\.isFinite)
    return Tensor([finite.count], finite)
  }

  /// The rows of a matrix without those that hold NaN or infinite elements.
  var finiteRows: Tensor<Float> {
    guard !isFinite else { return self }
    let width = shape[1]
    let all = elements
    let rows = (0..<shape[0]).map { all[$0 * width..<($0 + 1) * width] }.filter {
      $0.allSatisfy(\.isFinite)
    }
    return Tensor([rows.count, width], Array(rows.joined()))
  }

  /// Which of so many samples have elements that are not finite. They are along the first axis of
  /// that extent, or of several rows each along the first one; else they cannot be told apart, and
  /// all count.
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
