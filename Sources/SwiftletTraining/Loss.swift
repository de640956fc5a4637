import RealModule
public import SwiftletCore
public import SwiftletGraph

/// Cross-entropy between softmax(logits) and integer classes, averaged over the batch.
///
/// With label smoothing ε the target puts 1 − ε + ε/classes on the true class and ε/classes on
/// every other (Szegedy et al. 2016).
public struct CrossEntropy: Sendable {
  public let labelSmoothing: Double

  public init(labelSmoothing: Double = 0) { self.labelSmoothing = labelSmoothing }

  /// Loss and its gradient with respect to the logits (N×classes).
  ///
  /// - Precondition: One label per row, each below the number of classes.
  public func callAsFunction<T: LayerElement>(
    _ logits: Tensor<T>, _ labels: [Int]
  ) -> (value: Double, gradient: Tensor<T>) {
    let classes = logits.shape[1]
    let spread = labelSmoothing / Double(classes)
    var gradient = logits.logSoftmax()
    var total = 0.0
    let share = 1 / Double(labels.count)
    var values = gradient.mutableSpan
    for (row, label) in labels.enumerated() {
      var line = values.part(row * classes..<(row + 1) * classes)
      for i in line.indices {
        let target = (i == label ? 1 - labelSmoothing : 0) + spread
        let logProbability = Double(line[i])
        total -= target * logProbability
        line[i] = T((Double.exp(logProbability) - target) * share)
      }
    }
    return (total * share, gradient)
  }
}

/// Hinton's distillation loss: a student follows a teacher's softened probabilities and the labels.
///
/// loss = alpha · T² · KL(softmax(teacher/T) ‖ softmax(student/T)) + (1 − alpha) · cross-entropy.
///
/// - Source: Hinton, Vinyals & Dean 2015, arXiv:1503.02531.
public struct DistillationLoss: Sendable {
  public let temperature: Double
  /// Weight of the teacher; the labels get the rest.
  public let alpha: Double
  private let crossEntropy: CrossEntropy

  public init(temperature: Double = 4, alpha: Double = 0.7, labelSmoothing: Double = 0) {
    self.temperature = temperature
    self.alpha = alpha
    crossEntropy = CrossEntropy(labelSmoothing: labelSmoothing)
  }

  /// Loss and its gradient with respect to the student's logits (N×classes).
  public func callAsFunction<T: LayerElement>(
    _ student: Tensor<T>, teacher: Tensor<T>, _ labels: [Int]
  ) -> (value: Double, gradient: Tensor<T>) {
    let (hard, hardGradient) = crossEntropy(student, labels)
    let soften = T(1 / temperature)
    let own = student.map { $0 * soften }.logSoftmax()
    let target = teacher.map { $0 * soften }.logSoftmax()
    let share = 1 / Double(labels.count)
    var gradient = hardGradient
    var divergence = 0.0
    let (p, q) = (own.span, target.span)
    var values = gradient.mutableSpan
    for i in values.indices {
      let teacherProbability = Double.exp(Double(q[i]))
      divergence += teacherProbability * (Double(q[i]) - Double(p[i]))
      // d(T²·KL)/dlogit = T·(softmax(student/T) − softmax(teacher/T)).
      let soft = temperature * (Double.exp(Double(p[i])) - teacherProbability) * share
      values[i] = T(alpha * soft + (1 - alpha) * Double(values[i]))
    }
    let soft = temperature * temperature * divergence * share
    return (alpha * soft + (1 - alpha) * hard, gradient)
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
