// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// Sums of products over labelled axes, in Einstein notation.
///
/// Contracts two operands at a time as a batched matrix product, in the given order.
///
/// - Source: ONNX `Einsum`, NumPy's `einsum`.
public struct Einsum: AnyElementOperator {
  public static let opType = "Einsum"
  public let gradientReads: GradientReads
  private let equation: EinsumEquation

  public init(_ node: Node, opset: Int) throws {
    equation = try EinsumEquation(node.string("equation", default: ""))
    gradientReads = GradientReads(inputs: Set(node.inputs.indices))
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let first = try required(inputs, 0, "first operand", where: \.isNumber)
    let operands = try inputs.indices.map { try required(inputs, $0, "operand") }
    guard operands.allSatisfy({ $0.dtype == first.dtype }) else {
      throw mismatch("the operands have different types: \(operands.map(\.dtype))")
    }
    let labels = try equation.labels(operands.map(\.shape))
    return [TensorInfo(first.dtype, try Shape(checking: labels.result.map { labels.extents[$0]! }))]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let operands = inputs.map { $0! }
    func opened<T: NumberElement>(_: T.Type) throws -> AnyTensor {
      AnyTensor(try compute(operands.map { try $0.require(T.self) }, context.threads))
    }
    return [try opened(operands[0].dtype.numberType())]
  }

  /// A tensor and the labels of its axes, which are all distinct.
  private struct Operand<T: NumberElement> {
    var tensor: Tensor<T>
    var labels: [EinsumEquation.Label]

    /// Merges equal labels, and removes axes that other operands repeat.
    init(_ tensor: Tensor<T>, _ labels: [EinsumEquation.Label], _ all: EinsumEquation.Labels) {
      let kept = labels.indices.filter { tensor.shape[$0] == all.extents[labels[$0]]! }
      self.tensor = tensor.reshaped(to: Shape(kept.map { tensor.shape[$0] }))
      self.labels = kept.map { labels[$0] }
      for label in Set(self.labels) {
        let axes = self.labels.indices.filter { self.labels[$0] == label }
        guard axes.count > 1 else { continue }
        self.tensor = self.tensor.diagonal(of: axes)
        self.labels = self.labels.filter { $0 != label } + [label]
      }
    }

    init(_ tensor: Tensor<T>, _ labels: [EinsumEquation.Label]) {
      (self.tensor, self.labels) = (tensor, labels)
    }

    func extents(_ labels: [EinsumEquation.Label]) -> [Int] {
      labels.map { tensor.shape[self.labels.firstIndex(of: $0)!] }
    }

    /// The tensor with its axes in another order.
    func ordered(_ labels: [EinsumEquation.Label]) -> Tensor<T> {
      tensor.permuted(to: labels.map { self.labels.firstIndex(of: $0)! })
    }

    /// Sums over the axes whose labels are not among `kept`.
    func summed(keeping kept: Set<EinsumEquation.Label>) throws -> Operand {
      let (rest, gone) = (labels.filter(kept.contains), labels.filter { !kept.contains($0) })
      guard !gone.isEmpty else { return self }
      let rows = ordered(rest + gone).contiguous()
      let length = extents(gone).reduce(1, *)
      let shape = try TensorInfo(T.dtype, Shape(extents(rest))).limited("a sum").shape
      let sums = (0..<shape.count).map {
        T.total(rows.span.extracting($0 * length..<($0 + 1) * length))
      }
      return Operand(Tensor(shape, sums), rest)
    }
  }

  private func compute<T: NumberElement>(
    _ tensors: [Tensor<T>], _ threads: Threads
  ) throws -> Tensor<T> {
    try compute(tensors, equation.labels(tensors.map(\.shape)), threads)
  }

  private func compute<T: NumberElement>(
    _ tensors: [Tensor<T>], _ all: EinsumEquation.Labels, _ threads: Threads
  ) throws -> Tensor<T> {
    let operands = zip(tensors, all.operands).map { Operand($0, $1, all) }
    var product = operands[0]
    for next in 1..<operands.count {
      let later = operands[(next + 1)...].flatMap(\.labels)
      product = try contract(
        product, operands[next], needed: Set(all.result + later), threads)
    }
    return try product.summed(keeping: Set(all.result)).ordered(all.result).contiguous()
  }

  /// The product of two operands, summed over the labels that are not needed any more.
  private func contract<T: NumberElement>(
    _ a: Operand<T>, _ b: Operand<T>, needed: Set<EinsumEquation.Label>, _ threads: Threads
  ) throws -> Operand<T> {
    let a = try a.summed(keeping: needed.union(b.labels))
    let b = try b.summed(keeping: needed.union(a.labels))
    let shared = a.labels.filter(b.labels.contains)
    let (batch, inner) = (
      shared.filter(needed.contains), shared.filter { !needed.contains($0) }
    )
    let rows = a.labels.filter { !shared.contains($0) }
    let columns = b.labels.filter { !shared.contains($0) }
    let extents = a.extents(batch) + a.extents(rows) + b.extents(columns)
    let shape = try TensorInfo(T.dtype, Shape(checking: extents)).limited("a product").shape
    func count(_ operand: Operand<T>, _ labels: [EinsumEquation.Label]) -> Int {
      operand.extents(labels).reduce(1, *)
    }
    let (stack, depth) = (count(a, batch), count(a, inner))
    let left = a.ordered(batch + rows + inner).reshaped(to: [stack, count(a, rows), depth])
    let right = b.ordered(batch + inner + columns).reshaped(to: [stack, depth, count(b, columns)])
    let product = try MatMul.product(AnyTensor(left), AnyTensor(right), threads)
    return Operand(try product.require(T.self).reshaped(to: shape), batch + rows + columns)
  }

  /// The gradient for an operand is the sum of products of the result's with the other operands,
  /// over all labels but its own.
  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let dy = outputGradient.contiguous()
    let all = try equation.labels(call.inputShapes.map { $0! })
    return try call.inputShapes.indices.map { index in
      guard call.wanted[index], let shape = call.inputShapes[index] else { return nil }
      return try slope(dy, index, shape, all, call, context.threads)
    }
  }

  private func slope<T: LayerElement>(
    _ dy: Tensor<T>, _ index: Int, _ shape: Shape, _ all: EinsumEquation.Labels,
    _ call: ForwardCall<T>, _ threads: Threads
  ) throws -> Tensor<T> {
    let own = all.operands[index]
    guard Set(own).count == own.count else {
      throw SwiftletError(
        .unsupported,
        "there is no gradient for a diagonal in Einsum, so the model cannot be trained here")
    }
    let others = call.inputs.indices.filter { $0 != index }
    var labels = all
    labels.operands = [all.result] + others.map { all.operands[$0] }
    var known = Set(all.result)
    for other in others {
      for (label, extent) in zip(all.operands[other], call.inputShapes[other]!.dimensions)
      where extent == all.extents[label] { known.insert(label) }
    }
    // Not those that this operand alone has, or that it is repeated along.
    labels.result = zip(own, shape.dimensions).compactMap { label, extent in
      known.contains(label) && extent == all.extents[label] ? label : nil
    }
    let operands = ([dy] + others.map { call.inputs[$0]! }).map(AnyTensor.init)
    func opened<N: NumberElement>(_: N.Type) throws -> AnyTensor {
      AnyTensor(try compute(operands.map { try $0.require(N.self) }, labels, threads))
    }
    let sums = try opened(T.dtype.numberType()).require(T.self)
    let kept = Shape(
      zip(own, shape.dimensions).map { labels.result.contains($0) ? $1 : 1 })
    return sums.reshaped(to: kept).filling(shape).contiguous()
  }
}
