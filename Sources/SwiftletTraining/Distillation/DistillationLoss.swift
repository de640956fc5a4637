// SPDX-License-Identifier: Apache-2.0

import RealModule
public import SwiftletCore
public import SwiftletGraph

/// Hinton's distillation loss: a student follows a teacher's softened probabilities and the labels.
///
/// loss = alpha · T² · KL(softmax(teacher/T) ‖ softmax(student/T)) + (1 − alpha) · cross-entropy.
///
/// - Source: Hinton, Vinyals & Dean 2015, arXiv:1503.02531.
public struct DistillationLoss: Sendable {
  /// What both networks' logits are divided by before the softmax; above 0.
  public let temperature: Double
  /// The weight of the teacher; the labels get the rest.
  public let alpha: Double
  private let crossEntropy: CrossEntropy

  /// `alpha` from 0 to 1 is the weight of the teacher; labels are smoothed as by ``CrossEntropy``.
  public init(temperature: Double = 4, alpha: Double = 0.7, labelSmoothing: Double = 0) {
    self.temperature = temperature
    self.alpha = alpha
    crossEntropy = CrossEntropy(labelSmoothing: labelSmoothing)
  }

  /// The loss and its gradient with respect to the student's logits (N×classes).
  ///
  /// `isLabelled` marks the rows whose labels may be used; `nil` for all. The others follow only
  /// the teacher, with weight 1.
  public func callAsFunction<T: LayerElement>(
    _ student: Tensor<T>, teacher: Tensor<T>, _ labels: [Int], isLabelled: [Bool]? = nil
  ) -> (value: Double, gradient: Tensor<T>) {
    let hardWeights = labels.indices.map { isLabelled?[$0] ?? true ? 1 - alpha : 0 }
    var (total, gradient) = crossEntropy(student, labels, weights: hardWeights)
    let soften = T(1 / temperature)
    let own = student.map { $0 * soften }.logSoftmax()
    let target = teacher.map { $0 * soften }.logSoftmax()
    let (p, q) = (own.span, target.span)
    let classes = student.shape[1]
    var values = gradient.mutableSpan
    for row in labels.indices {
      let share = (isLabelled?[row] ?? true ? alpha : 1) / Double(labels.count)
      for i in row * classes..<(row + 1) * classes {
        let teacherProbability = Double.exp(Double(q[i]))
        total +=
          share * temperature * temperature * teacherProbability * (Double(q[i]) - Double(p[i]))
        // d(T²·KL)/dlogit = T·(softmax(student/T) − softmax(teacher/T)).
        let soft = temperature * (Double.exp(Double(p[i])) - teacherProbability)
        values[i] += T(share * soft)
      }
    }
    return (total, gradient)
  }
}
