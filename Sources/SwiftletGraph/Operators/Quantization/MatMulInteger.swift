// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The product of 8-bit integer matrices with exact sums: (a − zeroPoint) · (b − zeroPoint) →
/// int32, batched as in `MatMul`.
///
/// - Source: ONNX `MatMulInteger`. Zero points are scalar, per row of a or column of b, or per row
///   or column of each matrix of a batch.
public struct MatMulInteger: Operator {
  public static let opType = "MatMulInteger"

  public init(_ node: Node, opset: Int) throws {}

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let a = try required(inputs, 0, "left side", where: \.isByte)
    let b = try required(inputs, 1, "right side", where: \.isByte)
    let product = IntegerProduct(Self.opType)
    try product.check(a, zeroPoint: inputs.count > 2 ? inputs[2] : nil, .left)
    try product.check(b, zeroPoint: inputs.count > 3 ? inputs[3] : nil, .right)
    return [TensorInfo(.int32, try product.shape(a.shape, b.shape))]
  }

  public func macs(inputs: [Shape?], outputs: [Shape]) -> Int {
    outputs[0].count * (inputs[0]?.dimensions.last ?? 0)
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let sums = try IntegerProduct(Self.opType).sums(
      inputs[0]!, inputs.count > 2 ? inputs[2] : nil, inputs[1]!,
      inputs.count > 3 ? inputs[3] : nil, context.threads)
    return [.int32(sums.map { Int32(truncatingIfNeeded: Int64($0)) })]
  }
}

/// The part shared by products of 8-bit integer matrices.
struct IntegerProduct {
  enum Side { case left, right }
  private let opType: String

  init(_ opType: String) { self.opType = opType }

  func shape(_ a: Shape, _ b: Shape) throws -> Shape {
    guard let shape = MatMul.shape(a, b) else { throw mismatch("\(a) times \(b) do not match") }
    return shape
  }

  /// The shape in which a parameter of the rows of the left or the columns of the right side
  /// broadcasts to all elements; `nil` if it does not match.
  func repeated(_ parameter: Shape, _ matrix: Shape, _ side: Side) -> Shape? {
    if parameter.count == 1 { return .scalar }
    // A vector is a single row or column.
    guard matrix.rank > 1 else { return nil }
    let shape = side == .left && parameter.rank == 1 ? [parameter[0], 1] : parameter
    let line = side == .left ? 1 : 2
    let fits =
      shape.broadcast(with: matrix) == matrix
      && (shape.rank < line || shape[shape.rank - line] == 1)
    return fits ? shape : nil
  }

  /// - Throws: `badInput` if the zero point does not match.
  func check(_ matrix: TensorInfo, zeroPoint: TensorInfo?, _ side: Side) throws {
    guard let zeroPoint else { return }
    guard zeroPoint.dtype == matrix.dtype,
      repeated(zeroPoint.shape, matrix.shape, side) != nil
    else {
      throw mismatch(
        "zero point \(zeroPoint.dtype) \(zeroPoint.shape) does not match "
          + "\(matrix.dtype) \(matrix.shape)")
    }
  }

  /// The sums of products, exact: double precision holds integers up to 2⁵³.
  func sums(
    _ a: AnyTensor, _ zeroA: AnyTensor?, _ b: AnyTensor, _ zeroB: AnyTensor?, _ threads: Threads
  ) throws -> Tensor<Double> {
    let left = try differences(a, zeroA, .left)
    let right = try differences(b, zeroB, .right)
    return try MatMul.product(AnyTensor(left), AnyTensor(right), threads).require()
  }

  private func differences(
    _ q: AnyTensor, _ zeroPoint: AnyTensor?, _ side: Side
  ) throws -> Tensor<Double> {
    var values: Tensor<Double> = try q.converted(to: .float64).require()
    guard let zeroPoint, values.count > 0 else { return values }
    let zeros: Tensor<Double> = try zeroPoint.converted(to: .float64).require()
    let shape = repeated(zeros.shape, values.shape, side)!
    update(&values, with: zeros.reshaped(to: shape), .serial) { row, zero in
      combine(&row, zero) { $0 - $1 }
    }
    return values
  }

  private func mismatch(_ what: String) -> SwiftletError {
    SwiftletError(.badInput, "\(opType): \(what)")
  }
}
