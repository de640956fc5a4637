// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletGraph

/// The distance between a student's and a teacher's features: half the squared distance relative to
/// the teacher's squared norm, averaged over the images.
///
/// loss = mean over images of ½ ‖student − teacher‖² / ‖teacher‖².
///
/// FitNets' regression loss, but relative, so that one weight suits layers of any size and scale.
///
/// - Source: Romero et al. 2015, arXiv:1412.6550.
public struct HintLoss: Sendable {
  /// A loss without settings.
  public init() {}

  /// The loss and its gradient with respect to the student's features.
  ///
  /// - Precondition: Both have the same shape; the first axis counts images.
  public func callAsFunction<T: LayerElement>(
    _ student: Tensor<T>, teacher: Tensor<T>
  ) -> (value: Double, gradient: Tensor<T>) {
    precondition(student.shape == teacher.shape, "hints of \(teacher.shape) for \(student.shape)")
    let images = student.shape[0]
    let size = student.shape.count / max(1, images)
    let (s, t) = (student.contiguous(), teacher.contiguous())
    var gradient = s
    var values = gradient.mutableSpan
    var total = 0.0
    for image in 0..<images {
      let target = t.span.extracting(image * size..<(image + 1) * size)
      var line = values.part(image * size..<(image + 1) * size)
      var (square, distance): (T, T) = (0, 0)
      for i in line.indices {
        let difference = line[i] - target[i]
        square += target[i] * target[i]
        distance += difference * difference
      }
      // Features that are all zero have no scale: the absolute distance is used.
      let share = 1 / ((square > 0 ? Double(square) : 1) * Double(images))
      total += 0.5 * Double(distance) * share
      let factor = T(share)
      for i in line.indices { line[i] = (line[i] - target[i]) * factor }
    }
    return (total, gradient)
  }
}
