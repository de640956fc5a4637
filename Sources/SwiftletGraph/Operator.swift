public import SwiftletCore

/// Everything that is true about one operator: attributes, shapes, result, gradient, cost.
///
/// One conforming type, in one file, per ONNX operator. An instance belongs to one node and holds
/// its parsed attributes.
public protocol Operator: Sendable {
  /// The ONNX operator name; of a family, the name that messages give.
  static var opType: String { get }
  /// All ONNX operators that the type computes: ``opType``, unless it is a family.
  static var opTypes: [String] { get }

  /// Reads the attributes of a node.
  ///
  /// - Throws: `badInput` for attributes that make no sense, `unsupported` for ones we cannot do.
  init(_ node: Node, opset: Int) throws

  /// Element types and shapes of the outputs.
  ///
  /// - Throws: `badInput` if the inputs do not fit each other or the attributes. `forward`
  ///   relies on this check having passed. ``DataDependentShape`` if the shapes depend on elements
  ///   that are not known yet.
  func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo]

  /// The outputs, where they follow from what inference knows without the inputs' elements.
  func knownResults(_ inputs: [TensorInfo?]) -> [AnyTensor]?

  /// Computes the outputs.
  ///
  /// An operator may take an input out of `inputs` and reuse its memory: if nobody else holds the
  /// tensor, writing to it does not copy.
  func forward(_ inputs: inout [AnyTensor?], _ context: ExecutionContext) throws -> [AnyTensor]

  /// Multiply–accumulate operations for the given shapes.
  func macs(inputs: [Shape?], outputs: [Shape]) -> Int
}

extension Operator {
  public static var opTypes: [String] { [opType] }
  public func knownResults(_ inputs: [TensorInfo?]) -> [AnyTensor]? { nil }
  public func macs(inputs: [Shape?], outputs: [Shape]) -> Int { 0 }
}

/// Inference needs elements that only a run computes: it is put off until they are there.
public struct DataDependentShape: Error {}

/// What an operator may use while it runs.
public struct ExecutionContext: Sendable {
  public let pool: ThreadPool
  /// Whether BatchNormalization and Dropout behave as in training.
  public let isTraining: Bool
  /// Seeds what is random in training (Dropout); differs from step to step and node to node.
  public let seed: UInt64

  public init(pool: ThreadPool = .serial, isTraining: Bool = false, seed: UInt64 = 0) {
    self.pool = pool
    self.isTraining = isTraining
    self.seed = seed
  }
}

/// An operator on floating-point tensors that can be trained through.
///
/// Conforming types write their arithmetic once, for `Float` and `Double`, and mark it
/// `@specialized` for both, since it is called through an existential.
public protocol FloatOperator: Operator {
  /// Which tensors of the forward call ``gradients(_:_:_:)`` reads; the others are freed early.
  var gradientReads: GradientReads { get }
  /// Inputs that gradient descent leaves alone even where they are constants: statistics, ratios.
  var untrainedInputs: Set<Int> { get }
  /// Whether, in training, the images of a batch influence each other's results.
  var mixesBatch: Bool { get }

  func forward<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> [Tensor<T>]

  /// The forward computation while training. Differs from `forward` where training computes
  /// something else, or something more that the gradient needs.
  func forwardForTraining<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> TrainingResult<T>

  /// Gradients of the loss with respect to the inputs, by the chain rule.
  ///
  /// - Parameters:
  ///   - call: The forward call, with the tensors that ``gradientReads`` names.
  ///   - outputGradient: Gradient with respect to the first output; may be reused for the result.
  ///   - context: What the forward call had.
  /// - Returns: One gradient per input, `nil` where ``ForwardCall/wanted`` is false.
  func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?]
}

/// The tensors of a forward call that its gradient reads, by position.
public struct GradientReads: Sendable {
  public let inputs: Set<Int>
  public let outputs: Set<Int>

  public init(inputs: Set<Int> = [], outputs: Set<Int> = []) {
    self.inputs = inputs
    self.outputs = outputs
  }
}

/// What a forward call in training leaves behind.
public struct TrainingResult<T: LayerElement>: Sendable {
  public var outputs: [Tensor<T>]
  /// Intermediate results for the gradient.
  public var saved: [Tensor<T>]
  /// New values for constant inputs, by position: running statistics.
  public var updates: [Int: Tensor<T>]

  public init(_ outputs: [Tensor<T>], saved: [Tensor<T>] = [], updates: [Int: Tensor<T>] = [:]) {
    self.outputs = outputs
    self.saved = saved
    self.updates = updates
  }
}

/// A forward call as its gradient sees it.
public struct ForwardCall<T: LayerElement>: Sendable {
  public let inputShapes: [Shape?]
  /// The inputs that ``FloatOperator/gradientReads`` names.
  public let inputs: [Tensor<T>?]
  /// The outputs that ``FloatOperator/gradientReads`` names.
  public let outputs: [Tensor<T>?]
  public let saved: [Tensor<T>]
  /// Which inputs a gradient is wanted for.
  public let wanted: [Bool]
  /// The inputs of other element types: shapes, axes, indices.
  public let others: [AnyTensor?]

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
    // The typed tensors must be the only references, or nothing could be reused in place.
    inputs.removeAll()
    return try forward(&typed, context).map(AnyTensor.init)
  }
}
