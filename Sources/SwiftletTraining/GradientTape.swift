// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletGraph
import SwiftletKernels

/// Reverse-mode differentiation of a graph.
///
/// Runs the interpreter forward, keeping only what each operator's gradient reads, then walks back from
/// the gradients of the loss with respect to some values to those of every trainable constant.
public struct GradientTape<T: LayerElement>: Sendable {
  private let interpreter: Interpreter
  /// Slots of the constants that are trained.
  private let trainable: Set<Int>
  /// Slots whose value depends on a trained constant.
  private let differentiated: Set<Int>
  /// Slots that the loss reads: the graph's outputs.
  private let outputs: [Int]

  /// The result of one pass forward and back.
  public struct Result: Sendable {
    /// The loss of the batch.
    public var loss: Double
    /// The first output of the graph.
    public let output: Tensor<T>
    /// Gradients of the loss by name of constant, or of input if requested.
    public var gradients: [String: Tensor<T>]
    /// New values of running statistics by constant name.
    public let updates: [String: Tensor<T>]
  }

  /// A forward call needed for the backward pass.
  private struct Record {
    let step: Interpreter.Step
    let op: any FloatOperator
    let call: ForwardCall<T>
  }

  /// `inputs` are the names of the inputs whose gradients are needed too.
  ///
  /// - Throws: `unsupported` if a trained constant reaches the output only through an operator
  ///   without a gradient, or if the graph has no trainable constants.
  public init(_ interpreter: Interpreter, inputs: Set<String> = []) throws {
    self.interpreter = interpreter
    // If shapes are not known in advance, only the operators can tell.
    let infos = (try? interpreter.infer(interpreter.inputShapes(batch: 2))) ?? [:]
    trainable = Self.trainableSlots(interpreter, infos).union(
      interpreter.inputs.filter { inputs.contains($0.info.name) }.map(\.slot))
    var reached = trainable
    for step in interpreter.steps where step.inputs.contains(where: { $0.map(reached.contains) ?? false })
    {
      // Shapes, indices and booleans do not change when a weight changes slightly, so gradients do
      // not flow through them.
      guard !(step.operator is ShapeOf),
        step.outputs.contains(where: { infos[interpreter.names[$0]]?.dtype.isFloat ?? true })
      else { continue }
      guard step.operator is any FloatOperator else { throw Self.refusal(step) }
      reached.formUnion(step.outputs)
    }
    differentiated = reached
    guard let first = interpreter.outputs.first, reached.contains(first.slot) else {
      throw SwiftletError(
        .unsupported, "the model's output does not depend on fp32 weights",
        mend: "train the float model and compress it afterwards")
    }
    outputs = interpreter.outputs.map(\.slot)
  }

  private static func refusal(_ step: Interpreter.Step) -> SwiftletError {
    let name = type(of: step.operator).opType
    let isQuantized =
      name.contains("Quantize") || name.contains("QLinear") || name.contains("Integer")
    return SwiftletError(
      .unsupported, "this operator has no gradient, so the model cannot be trained",
      at: step.label,
      mend: isQuantized
        ? "train the model as it was before it was quantized"
        : "svd, lowrank, eigen, prune and quantize without --qat-epochs need no training")
  }

  private static func trainableSlots(_ interpreter: Interpreter, _ infos: [String: TensorInfo]) -> Set<Int> {
    var slots: Set<Int> = []
    // Values that lead to the outputs as floats: constants of shape arithmetic are not weights.
    var live = Set(interpreter.outputs.map(\.slot))
    func isFloat(_ slot: Int) -> Bool {
      (interpreter.constants[slot]?.dtype ?? infos[interpreter.names[slot]]?.dtype)?.isFloat ?? true
    }
    for step in interpreter.steps.reversed() where !(step.operator is ShapeOf) {
      guard step.outputs.contains(where: { live.contains($0) && isFloat($0) }) else { continue }
      live.formUnion(step.inputs.compactMap { $0 }.filter(isFloat))
    }
    for step in interpreter.steps where step.outputs.contains(where: live.contains) {
      guard let op = step.operator as? any FloatOperator else { continue }
      for (index, slot) in step.inputs.enumerated() where !op.untrainedInputs.contains(index) {
        guard let slot, let constant = interpreter.constants[slot], constant.dtype == T.dtype else {
          continue
        }
        slots.insert(slot)
      }
    }
    return slots
  }

  /// Whether the images of a batch influence each other's results, so that it must not be split.
  public var mixesBatch: Bool {
    interpreter.steps.contains { ($0.operator as? any FloatOperator)?.mixesBatch ?? false }
  }

  /// One pass forward and back.
  ///
  /// - Parameters:
  ///   - inputs: The graph's inputs, by name.
  ///   - parameters: Values that replace the constants of the same name.
  ///   - threads: Threads for the operators.
  ///   - seed: The seed of random operators.
  ///   - loss: The loss and its gradients with respect to the graph's outputs, in their order;
  ///     `nil` stands for zeros.
  public func run(
    _ inputs: [String: AnyTensor], parameters: [String: Tensor<T>], threads: Threads, seed: UInt64,
    loss: ([Tensor<T>]) throws -> (value: Double, gradients: [Tensor<T>?])
  ) throws -> Result {
    var values = try interpreter.bind(inputs)
    for slot in interpreter.constants.keys {
      if let tensor = parameters[interpreter.names[slot]] { values[slot] = AnyTensor(tensor) }
    }
    var updates: [String: Tensor<T>] = [:]
    var records: [Record] = []
    for (index, step) in interpreter.steps.enumerated() {
      let context = ExecutionContext(
        threads: threads, isTraining: true, seed: RandomGenerator(seed: seed, stream: UInt64(index)).state
      )
      if let record = try forward(step, &values, &updates, context) { records.append(record) }
    }
    let results: [Tensor<T>] = try outputs.map { try values[$0]!.require() }
    values.removeAll()
    let (value, slopes) = try loss(results)
    let gradients = try backward(
      &records, slopes, ExecutionContext(threads: threads, isTraining: true, seed: seed))
    return Result(loss: value, output: results[0], gradients: gradients, updates: updates)
  }

  private func forward(
    _ step: Interpreter.Step, _ values: inout [AnyTensor?], _ updates: inout [String: Tensor<T>],
    _ context: ExecutionContext
  ) throws -> Record? {
    var operands = step.inputs.map { $0.flatMap { values[$0] } }
    for slot in step.releases { values[slot] = nil }
    guard let op = step.operator as? any FloatOperator,
      operands.contains(where: { $0?.dtype == T.dtype })
    else {
      let results = try locating(step.label) { try step.operator.forward(&operands, context) }
      for (slot, result) in zip(step.outputs, results) { values[slot] = result }
      return nil
    }
    let shapes = operands.map { $0?.shape }
    let others = operands.map { $0?.dtype == T.dtype ? nil : $0 }
    var typed: [Tensor<T>?] = operands.map { $0?.typed() }
    let kept = typed.enumerated().map { op.gradientReads.inputs.contains($0) ? $1 : nil }
    let result: TrainingResult<T>
    if others.contains(where: { $0 != nil }) {
      typed.removeAll()
      result = try locating(step.label) {
        TrainingResult(try op.forward(&operands, context).map { try $0.require() })
      }
    } else {
      operands.removeAll()
      result = try locating(step.label) { try op.forwardForTraining(&typed, context) }
    }
    for (slot, tensor) in zip(step.outputs, result.outputs) { values[slot] = AnyTensor(tensor) }
    for (index, tensor) in result.updates {
      if let slot = step.inputs[index] { updates[interpreter.names[slot]] = tensor }
    }
    guard step.outputs.contains(where: differentiated.contains) else { return nil }
    let call = ForwardCall(
      inputShapes: shapes, inputs: kept,
      outputs: result.outputs.enumerated().map {
        op.gradientReads.outputs.contains($0) ? $1 : nil
      },
      saved: result.saved,
      wanted: step.inputs.enumerated().map { index, slot in
        slot.map(differentiated.contains) ?? false && !op.untrainedInputs.contains(index)
      }, others: others)
    return Record(step: step, op: op, call: call)
  }

  private func backward(
    _ records: inout [Record], _ slopes: [Tensor<T>?], _ context: ExecutionContext
  ) throws -> [String: Tensor<T>] {
    var gradients: [Int: Tensor<T>] = [:]
    for (slot, slope) in zip(outputs, slopes) {
      if let slope { gradients[slot] = slope }
    }
    // Each record is dropped after use, so that memory shrinks on the way back.
    while let record = records.popLast() {
      guard let outgoing = gradients.removeValue(forKey: record.step.outputs[0]) else { continue }
      let incoming = try locating(record.step.label) {
        try record.op.gradients(record.call, outgoing, context)
      }
      for (slot, gradient) in zip(record.step.inputs, incoming) {
        guard let slot, let gradient, differentiated.contains(slot) else { continue }
        gradients.accumulate(gradient, for: slot)
      }
    }
    return Dictionary(
      uniqueKeysWithValues: trainable.compactMap { slot in
        gradients[slot].map { (interpreter.names[slot], $0) }
      })
  }
}

extension Tensor where Element: LayerElement {
  /// Adds another tensor of the same shape.
  mutating func add(_ other: Tensor) {
    precondition(shape == other.shape, "cannot add \(other.shape) to \(shape)")
    let packed = other.contiguous()
    var values = mutableSpan
    Element.add(packed.span, to: &values)
  }
}

extension Dictionary {
  /// Adds a gradient to the one stored under the key, in place.
  mutating func accumulate<T: LayerElement>(_ gradient: Tensor<T>, for key: Key)
  where Value == Tensor<T> {
    guard var sum = removeValue(forKey: key) else {
      self[key] = gradient
      return
    }
    sum.add(gradient)
    self[key] = sum
  }
}
