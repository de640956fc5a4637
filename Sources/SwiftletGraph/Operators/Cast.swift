public import SwiftletCore

/// The elements converted to another type: `Cast` names it, `CastLike` shows it by its second
/// input.
///
/// Floats are cut towards zero, and limited to the range of the integer type; integers wrap. The
/// 16-bit floats of ONNX become fp32.
///
/// - Source: ONNX `Cast`, `CastLike`.
public struct Cast: Operator {
  public static let opType = "Cast"
  public static let opTypes = ["Cast", "CastLike"]
  /// `nil`: that of the second input.
  private let target: DType?

  public init(_ node: Node, opset: Int) throws {
    guard node.opType == "Cast" else {
      target = nil
      return
    }
    let number = try node.int("to", default: 0)
    guard let target = DType(onnx: number) else {
      throw SwiftletError(.unsupported, "Cast to ONNX type \(number)")
    }
    self.target = target
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    return [TensorInfo(try target ?? required(inputs, 1, "example").dtype, x.shape)]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let target = target ?? inputs[1]!.dtype
    return [inputs[0].take()!.converted(to: target)]
  }
}
