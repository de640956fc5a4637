public import OrderedCollections
public import SwiftletCore
import SwiftletGraph

/// What is minimised when a graph is trained.
///
/// Besides the logits an objective may look at any value inside of the graph, and have parameters of
/// its own that are trained with the graph's and kept in its checkpoints.
public protocol TrainingObjective: Sendable {
  /// What tells one objective from another, for checkpoints.
  var name: String { get }
  /// Names of the values that are shown besides the logits.
  var watched: [String] { get }
  /// First values of the objective's own parameters. Their names occur in no graph.
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

/// What an objective sees of a part of a batch.
public struct ObjectiveInput: Sendable {
  /// N×classes.
  public let logits: Tensor<Float>
  /// The watched values, by name.
  public let values: [String: Tensor<Float>]
  public let labels: [Int]
  /// Which training images these are.
  public let indices: [Int]
  /// The model's input: the images, augmented.
  public let input: Tensor<Float>
  /// How much of the run is done, 0 to below 1.
  public let progress: Double
  /// Current values of everything that is trained; the objective's own parameters among them.
  public let parameters: [String: Tensor<Float>]

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
  public var value: Double
  /// With respect to the logits; `nil` stands for zeros.
  public var logits: Tensor<Float>?
  /// With respect to watched values, by name.
  public var values: [String: Tensor<Float>] = [:]
  /// Directions that the objective's own parameters descend along: gradients of this loss, or, of a
  /// parameter that works against it, of another.
  public var parameters: [String: Tensor<Float>] = [:]

  public init(value: Double = 0, logits: Tensor<Float>? = nil) {
    self.value = value
    self.logits = logits
  }

  /// Adds another loss, times `weight`. Directions of parameters are added as they are.
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

  /// Everything, directions too, times a factor.
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

  public init(labelSmoothing: Double = 0) {
    crossEntropy = CrossEntropy(labelSmoothing: labelSmoothing)
  }

  public var name: String { "labels" }

  public func evaluate(_ part: ObjectiveInput) -> ObjectiveResult {
    let (value, gradient) = crossEntropy(part.logits, part.labels)
    return ObjectiveResult(value: value, logits: gradient)
  }
}
