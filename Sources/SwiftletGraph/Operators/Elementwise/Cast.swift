// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The elements converted to another type: named by an attribute in `Cast`, given by the second
/// input in `CastLike`.
///
/// Floats are truncated towards zero and saturate at the range of the integer type; integers wrap.
/// ONNX's 16-bit floats are rounded to 16 bits and stored as fp32. Floats of fewer bits are rounded
/// to the nearest number; beyond the largest one they saturate, or with `saturate = 0` become
/// infinity or NaN.
///
/// - Source: ONNX `Cast`, `CastLike`. The type is a name up to operator set 5, a number from 6 on.
public struct Cast: Operator {
  public static let opType = "Cast"
  public static let opTypes = ["Cast", "CastLike"]
  /// `nil`: the type of the second input.
  private let target: DType?
  /// The rounding of a number that is stored in 16 bits.
  private let rounding: (@Sendable (Float) -> Float)?
  private let saturates: Bool

  public init(_ node: Node, opset: Int) throws {
    saturates = try node.int("saturate", default: 1) != 0
    guard node.opType == "Cast" else {
      (target, rounding) = (nil, nil)
      return
    }
    let number = try Self.typeNumber(node)
    guard let target = DType(onnx: number) else {
      throw SwiftletError(.unsupported, "Cast to ONNX type \(number) is not supported")
    }
    self.target = target
    rounding =
      switch number {
      case 10: { @Sendable in Float(Float16($0)) }
      case 16: { @Sendable in $0.roundedToBFloat }
      default: nil
      }
  }

  /// The number of the type that `Cast` names.
  static func typeNumber(_ node: Node) throws -> Int {
    guard case .string(let name) = node.attributes["to"] else {
      return try node.int("to", default: 0)
    }
    guard let number = DType.onnxNumbers[name.uppercased()] else {
      throw SwiftletError(.unsupported, "Cast to the type '\(name)' is not supported")
    }
    return number
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    return [TensorInfo(try target ?? required(inputs, 1, "example").dtype, x.shape)]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let x = inputs[0].take()!
    let target = target ?? inputs[1]!.dtype
    if target.compactType is any CompactInteger.Type, !x.dtype.isInteger {
      // Integers of a few bits keep the lowest bits, whatever the source type.
      return [x.converted(to: .int64).converted(to: target)]
    }
    if let compact = target.compactType as? any CompactFloat.Type, !saturates {
      func opened<N: CompactFloat>(_: N.Type) throws -> AnyTensor {
        let wide = try x.converted(to: .float64).require(Double.self)
        return AnyTensor(wide.map { N(rounding: $0, saturates: false) })
      }
      return [try opened(compact)]
    }
    let converted = x.converted(to: target)
    guard let rounding else { return [converted] }
    return [.float32(try converted.require(Float.self).map(rounding))]
  }
}
