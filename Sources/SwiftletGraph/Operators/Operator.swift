// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The complete definition of one operator: attributes, shapes, result, gradient, cost.
///
/// Each ONNX operator has one conforming type, in one file. An instance belongs to one node and
/// holds its parsed attributes.
public protocol Operator: Sendable {
  /// The ONNX operator name; for a family, the name used in messages.
  static var opType: String { get }
  /// All ONNX operators that the type computes: ``opType``, unless it is a family.
  static var opTypes: [String] { get }

  /// Reads the attributes of a node.
  ///
  /// - Throws: `badInput` for invalid attributes, `unsupported` for unsupported ones.
  init(_ node: Node, opset: Int) throws

  /// Element types and shapes of the outputs.
  ///
  /// - Throws: `badInput` if the inputs do not match each other or the attributes. `forward` relies
  ///   on this check. ``DataDependentShape`` if the shapes depend on elements that are not known
  ///   yet.
  func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo]

  /// The outputs, if they follow from inference without the inputs' elements.
  func knownResults(_ inputs: [TensorInfo?]) -> [AnyTensor]?

  /// Computes the outputs.
  ///
  /// An operator may take an input out of `inputs` and reuse its memory: writing to a tensor with
  /// no other holder does not copy.
  func forward(_ inputs: inout [AnyTensor?], _ context: ExecutionContext) throws -> [AnyTensor]

  /// Multiply–accumulate operations for the given shapes.
  func macs(inputs: [Shape?], outputs: [Shape]) -> Int
}

extension Operator {
  public static var opTypes: [String] { [opType] }
  public func knownResults(_ inputs: [TensorInfo?]) -> [AnyTensor]? { nil }
  public func macs(inputs: [Shape?], outputs: [Shape]) -> Int { 0 }
}

/// Inference needs elements that only a run computes: it is postponed until they are available.
public struct DataDependentShape: Error {}

/// The resources and settings of an operator's run.
public struct ExecutionContext: Sendable {
  /// The threads to use.
  public let threads: Threads
  /// Whether BatchNormalization and Dropout behave as in training.
  public let isTraining: Bool
  /// Seeds random choices in training (Dropout); differs for each step and node.
  public let seed: UInt64

  /// What an operator may use; by default one thread, as in inference.
  public init(threads: Threads = .serial, isTraining: Bool = false, seed: UInt64 = 0) {
    self.threads = threads
    self.isTraining = isTraining
    self.seed = seed
  }
}

/// An operator on floating-point tensors that supports training.
///
/// Conforming types implement their arithmetic once, for `Float` and `Double`, and mark it
/// `@specialized` for both, because it is called through an existential.
public protocol FloatOperator: Operator {
  /// The tensors of the forward call that ``gradients(_:_:_:)`` reads; the others are freed early.
  var gradientReads: GradientReads { get }
  /// Inputs that training does not update even if they are constants: statistics, ratios.
  var untrainedInputs: Set<Int> { get }
  /// Whether, in training, the images of a batch influence each other's results.
  var mixesBatch: Bool { get }

  func forward<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> [Tensor<T>]

  /// The forward computation during training. Differs from `forward` if training computes something
  /// else, or additional values for the gradient.
  func forwardForTraining<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> TrainingResult<T>

  /// Gradients of the loss with respect to the inputs, by the chain rule.
  ///
  /// - Parameters:
  ///   - call: The forward call, with the tensors that ``gradientReads`` names.
  ///   - outputGradient: Gradient with respect to the first output; may be reused for the result.
  ///   - context: The context of the forward call.
  /// - Returns: One gradient per input, `nil` where ``ForwardCall/wanted`` is false.
  func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?]
}

/// The tensors of a forward call that its gradient reads, by position.
public struct GradientReads: Sendable {
  /// Positions of inputs.
  public let inputs: Set<Int>
  /// Positions of outputs.
  public let outputs: Set<Int>

  /// These positions are kept; by default none.
  public init(inputs: Set<Int> = [], outputs: Set<Int> = []) {
    self.inputs = inputs
    self.outputs = outputs
  }
}

/// The results of a forward call in training.
public struct TrainingResult<T: LayerElement>: Sendable {
  /// The outputs, in the operator's order.
  public var outputs: [Tensor<T>]
  /// Intermediate results for the gradient.
  public var saved: [Tensor<T>]
  /// New values for constant inputs, by position: running statistics.
  public var updates: [Int: Tensor<T>]

  /// Outputs, and what else is left; by default nothing.
  public init(_ outputs: [Tensor<T>], saved: [Tensor<T>] = [], updates: [Int: Tensor<T>] = [:]) {
    self.outputs = outputs
    self.saved = saved
    self.updates = updates
  }
}

/// A forward call as seen by its gradient.
public struct ForwardCall<T: LayerElement>: Sendable {
  /// Shapes of all inputs, by position; `nil` for those that are left out.
  public let inputShapes: [Shape?]
  /// The inputs that ``FloatOperator/gradientReads`` names.
  public let inputs: [Tensor<T>?]
  /// The outputs that ``FloatOperator/gradientReads`` names.
  public let outputs: [Tensor<T>?]
  /// What the forward call left in ``TrainingResult/saved``.
  public let saved: [Tensor<T>]
  /// The inputs for which a gradient is needed.
  public let wanted: [Bool]
  /// The inputs of other element types: shapes, axes, indices.
  public let others: [AnyTensor?]

  /// A call, as it was recorded.
  public init(
    inputShapes: [Shape?], inputs: [Tensor<T>?], outputs: [Tensor<T>?], saved: [Tensor<T>],
    wanted: [Bool], others: [AnyTensor?] = []
  ) {
    self.inputShapes = inputShapes
    self.inputs = inputs
    self.outputs = outputs
    self.saved = saved
    self.wanted = wanted
    self.others = others
  }
}

extension FloatOperator {
  public var untrainedInputs: Set<Int> { [] }
  public var mixesBatch: Bool { false }

  public func forwardForTraining<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> TrainingResult<T> {
    TrainingResult(try forward(&inputs, context))
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    if case .float64 = inputs[0] {
      return try forward(taking: &inputs, as: Double.self, context)
    }
    return try forward(taking: &inputs, as: Float.self, context)
  }

  private func forward<T: LayerElement>(
    taking inputs: inout [AnyTensor?], as _: T.Type, _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    var typed = try inputs.map { try $0?.require(T.self) }
    // The typed tensors must be the only references, otherwise nothing could be reused in place.
    inputs.removeAll()
    return try forward(&typed, context).map(AnyTensor.init)
  }
}
