// SPDX-License-Identifier: Apache-2.0

import RealModule
public import SwiftletCore
public import SwiftletGraph

/// Cross-entropy between softmax(logits) and integer classes, averaged over the batch.
///
/// With label smoothing ε the target puts 1 − ε + ε/classes on the true class and ε/classes on
/// every other (Szegedy et al. 2016).
public struct CrossEntropy: Sendable {
  /// ε, from 0 to below 1.
  public let labelSmoothing: Double

  /// A loss with smoothed labels; by default with the labels themselves.
  public init(labelSmoothing: Double = 0) { self.labelSmoothing = labelSmoothing }

  /// The loss and its gradient with respect to the logits (N×classes).
  ///
  /// `weights` are factors of the rows' contributions; `nil` for 1. The sum is always divided by
  /// the number of rows.
  ///
  /// - Precondition: One label per row, each below the number of classes.
  public func callAsFunction<T: LayerElement>(
    _ logits: Tensor<T>, _ labels: [Int], weights: [Double]? = nil
  ) -> (value: Double, gradient: Tensor<T>) {
    let classes = logits.shape[1]
    let spread = labelSmoothing / Double(classes)
    var gradient = logits.logSoftmax()
    var total = 0.0
    var values = gradient.mutableSpan
    for (row, label) in labels.enumerated() {
      let share = (weights?[row] ?? 1) / Double(labels.count)
      var line = values.part(row * classes..<(row + 1) * classes)
      for i in line.indices {
        let target = (i == label ? 1 - labelSmoothing : 0) + spread
        let logProbability = Double(line[i])
        total -= share * target * logProbability
        line[i] = T((Double.exp(logProbability) - target) * share)
      }
    }
    return (total, gradient)
  }
}

extension Tensor where Element: LayerElement {
  /// log softmax of each row of a matrix.
  func logSoftmax() -> Tensor {
    var result = contiguous()
    let classes = shape[1]
    var values = result.mutableSpan
    for row in 0..<shape[0] {
      var line = values.part(row * classes..<(row + 1) * classes)
      var largest = -Element.infinity
      for i in line.indices { largest = max(largest, line[i]) }
      var sum: Element = 0
      for i in line.indices { sum += Element.exp(line[i] - largest) }
      let shift = largest + Element.log(sum)
      for i in line.indices { line[i] -= shift }
    }
    return result
  }
}
