// SPDX-License-Identifier: Apache-2.0

public import OrderedCollections
public import SwiftletCore
import SwiftletGraph

/// The quantity that training minimizes.
///
/// Besides the logits, an objective may read any value of the graph, and have its own parameters
/// that are trained with the graph's and saved in its checkpoints.
public protocol TrainingObjective: Sendable {
  /// Identifies the objective in checkpoints.
  var name: String { get }
  /// Names of the values that it reads besides the logits.
  var watched: [String] { get }
  /// Initial values of the objective's parameters. Their names must not occur in a graph.
  var parameters: OrderedDictionary<String, Tensor<Float>> { get }

  /// The loss as a mean over the images, and its gradients.
  ///
  /// Called for parts of a batch, by several threads at once.
  func evaluate(_ part: ObjectiveInput) throws -> ObjectiveResult
}

extension TrainingObjective {
  public var watched: [String] { [] }
  public var parameters: OrderedDictionary<String, Tensor<Float>> { [:] }
}

/// The input of an objective: a part of a batch.
public struct ObjectiveInput: Sendable {
  /// N×classes.
  public let logits: Tensor<Float>
  /// The watched values, by name.
  public let values: [String: Tensor<Float>]
  /// The class of each image.
  public let labels: [Int]
  /// The indices of these training images.
  public let indices: [Int]
  /// The model's input: the images, augmented.
  public let input: Tensor<Float>
  /// The fraction of the run that is done, from 0 to below 1.
  public let progress: Double
  /// The current values of everything that is trained, including the objective's parameters.
  public let parameters: [String: Tensor<Float>]

  /// A part of a batch; without watched values and parameters unless they are given.
  public init(
    logits: Tensor<Float>, values: [String: Tensor<Float>] = [:], labels: [Int], indices: [Int],
    input: Tensor<Float>, progress: Double = 0, parameters: [String: Tensor<Float>] = [:]
  ) {
    self.logits = logits
    self.values = values
    self.labels = labels
    self.indices = indices
    self.input = input
    self.progress = progress
    self.parameters = parameters
  }
}

/// A loss and its gradients.
public struct ObjectiveResult: Sendable {
  /// The mean loss of the images.
  public var value: Double
  /// With respect to the logits; `nil` stands for zeros.
  public var logits: Tensor<Float>?
  /// With respect to watched values, by name.
  public var values: [String: Tensor<Float>] = [:]
  /// Descent directions of the objective's parameters: gradients of this loss, or, for a parameter
  /// that works against it, of another.
  public var parameters: [String: Tensor<Float>] = [:]

  /// A loss with a gradient for the logits alone.
  public init(value: Double = 0, logits: Tensor<Float>? = nil) {
    self.value = value
    self.logits = logits
  }

  /// Adds another loss, times `weight`. Directions of parameters are added without it.
  public mutating func add(_ other: ObjectiveResult, weight: Double = 1) {
    value += weight * other.value
    let factor = Float(weight)
    if let gradient = other.logits {
      let scaled = factor == 1 ? gradient : gradient.map { $0 * factor }
      if logits == nil { logits = scaled } else { logits?.add(scaled) }
    }
    for (name, gradient) in other.values {
      values.accumulate(factor == 1 ? gradient : gradient.map { $0 * factor }, for: name)
    }
    for (name, gradient) in other.parameters { parameters.accumulate(gradient, for: name) }
  }

  /// Multiplies everything, including directions, by a factor.
  mutating func scale(by factor: Double) {
    guard factor != 1 else { return }
    let single = Float(factor)
    value *= factor
    logits = logits?.map { $0 * single }
    values = values.mapValues { $0.map { $0 * single } }
    parameters = parameters.mapValues { $0.map { $0 * single } }
  }
}

/// The labels alone.
public struct LabelObjective: TrainingObjective {
  private let crossEntropy: CrossEntropy

  /// Cross-entropy with smoothed labels; by default with the labels themselves.
  public init(labelSmoothing: Double = 0) {
    crossEntropy = CrossEntropy(labelSmoothing: labelSmoothing)
  }

  public var name: String { "labels" }

  public func evaluate(_ part: ObjectiveInput) -> ObjectiveResult {
    let (value, gradient) = crossEntropy(part.logits, part.labels)
    return ObjectiveResult(value: value, logits: gradient)
  }
}
