import SwiftletCore

/// The operators that can be run, by ONNX name.
public enum OperatorRegistry {
  private static let operators: [String: any Operator.Type] = {
    let types: [any Operator.Type] = [
      Activation.self,
      ArgMax.self,
      Arithmetic.self,
      AveragePool.self,
      BatchNormalization.self,
      Bitwise.self,
      Cast.self,
      Clip.self,
      Comparison.self,
      Compress.self,
      Concat.self,
      Constant.self,
      ConstantOfShape.self,
      Conv.self,
      ConvInteger.self,
      ConvTranspose.self,
      CumSum.self,
      DepthToSpace.self,
      DequantizeLinear.self,
      Dropout.self,
      DynamicQuantizeLinear.self,
      Einsum.self,
      Expand.self,
      Extremum.self,
      EyeLike.self,
      Flatten.self,
      GRU.self,
      Gather.self,
      GatherElements.self,
      GatherND.self,
      Gemm.self,
      GlobalPool.self,
      GroupNormalization.self,
      Identity.self,
      If.self,
      IsNaN.self,
      LRN.self,
      LSTM.self,
      LayerNormalization.self,
      Logic.self,
      LpNormalization.self,
      LpPool.self,
      MatMul.self,
      MatMulInteger.self,
      MaxPool.self,
      MeanVarianceNormalization.self,
      Mod.self,
      NonZero.self,
      Not.self,
      OneHot.self,
      PRelu.self,
      Pad.self,
      Pow.self,
      QLinearConv.self,
      QLinearMatMul.self,
      QuantizeLinear.self,
      RNN.self,
      RangeOperator.self,
      Reduce.self,
      Relu.self,
      Reshape.self,
      Resize.self,
      ReverseSequence.self,
      ScatterElements.self,
      ScatterND.self,
      ShapeOf.self,
      Sign.self,
      Slice.self,
      Softmax.self,
      Split.self,
      Squeeze.self,
      Tile.self,
      TopK.self,
      Transpose.self,
      Trilu.self,
      UnaryMath.self,
      Where.self,
    ]
    return Dictionary(
      uniqueKeysWithValues: types.flatMap { type in type.opTypes.map { ($0, type) } })
  }()

  /// Names of all known operators, sorted.
  public static var names: [String] { operators.keys.sorted() }

  public static func supports(_ node: Node) -> Bool {
    isStandard(node.domain) && operators[node.opType] != nil
  }

  /// The operator of a node, with its attributes read.
  ///
  /// - Throws: `unsupported` for an unknown operator, `badInput` for attributes that make no sense.
  public static func make(_ node: Node, opset: Int) throws -> any Operator {
    guard isStandard(node.domain), let type = operators[node.opType] else {
      let domain = isStandard(node.domain) ? "" : "\(node.domain)."
      throw SwiftletError(.unsupported, "operator \(domain)\(node.opType) is not supported")
    }
    let `operator` = try type.init(node, opset: opset)
    return try AxisAligned.wrapping(`operator`, node, opset: opset)
  }

  private static func isStandard(_ domain: String) -> Bool { domain.isEmpty || domain == "ai.onnx" }
}
