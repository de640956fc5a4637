// SPDX-License-Identifier: Apache-2.0

package import SwiftletCore

/// The mean over samples of the cosine of the angle between two models' outputs.
///
/// It compares directions, as searches by embeddings do: a common factor does not matter.
package struct CosineSum {
  private var sum = 0.0
  private var samples = 0
  /// Whether all outputs so far held a vector for each sample.
  private var isDefined = true

  /// The mean of nothing.
  package init() {}

  /// The mean; `nil` without samples, or if an output did not hold a vector for each of them.
  package var mean: Double? { isDefined && samples > 0 ? sum / Double(samples) : nil }

  /// Adds the outputs of one run. A sample with elements that are not finite in the first outputs
  /// is left out; one with such elements only in the other outputs adds 0. Two zero vectors are the
  /// same (1); a zero vector and another have no angle (0).
  ///
  /// - Precondition: Both tensors have the same shape.
  package mutating func add<T: FloatElement>(
    _ answers: Tensor<T>, _ others: Tensor<T>, samples count: Int
  ) {
    guard isDefined, count > 0, answers.shape.rank > 1, answers.shape[0] == count,
      case let width = answers.count / count, width > 1
    else {
      isDefined = false
      return
    }
    let (x, y) = (answers.contiguous(), others.contiguous())
    for sample in 0..<count {
      let range = sample * width..<(sample + 1) * width
      guard let cosine = Self.cosine(x.span.extracting(range), y.span.extracting(range)) else {
        continue
      }
      sum += cosine
      samples += 1
    }
  }

  /// The cosine of the angle between two vectors, of the first model and the other one; `nil` if
  /// the first one is not finite.
  ///
  /// - Precondition: Both have the same count.
  static func cosine<T: FloatElement>(_ a: Span<T>, _ b: Span<T>) -> Double? {
    var (dot, first, second) = (0.0, 0.0, 0.0)
    for i in a.indices {
      let (x, y) = (Double(a[i]), Double(b[i]))
      dot += x * y
      first += x * x
      second += y * y
    }
    // Squares of fp64 numbers may overflow: then it is not known which elements are finite.
    guard first.isFinite else { return nil }
    guard second.isFinite else { return 0 }
    guard first > 0, second > 0 else { return first == second ? 1 : 0 }
    // Exact for equal vectors.
    let norms = first == second ? first : first.squareRoot() * second.squareRoot()
    return max(-1, min(1, dot / norms))
  }
}
