// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The supported operators, by ONNX name.
public enum OperatorRegistry {
  private static let operators: [String: any Operator.Type] = {
    let types: [any Operator.Type] = [
      Activation.self,
      ArgMax.self,
      Arithmetic.self,
      Attention.self,
      AveragePool.self,
      BatchNormalization.self,
      Bitwise.self,
      Cast.self,
      CenterCropPad.self,
      Clip.self,
      Col2Im.self,
      Comparison.self,
      Compress.self,
      Concat.self,
      Constant.self,
      ConstantOfShape.self,
      Conv.self,
      ConvInteger.self,
      ConvTranspose.self,
      CumSum.self,
      DFT.self,
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
      GridSample.self,
      GroupNormalization.self,
      Identity.self,
      If.self,
      IsNaN.self,
      LRN.self,
      LSTM.self,
      LayerNormalization.self,
      LikelihoodLoss.self,
      Logic.self,
      Loop.self,
      LpNormalization.self,
      LpPool.self,
      MatMul.self,
      MatMulInteger.self,
      MaxPool.self,
      MaxRoiPool.self,
      MaxUnpool.self,
      MeanVarianceNormalization.self,
      Mod.self,
      NonMaxSuppression.self,
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
      RandomTensor.self,
      RangeOperator.self,
      Reduce.self,
      Relu.self,
      Reshape.self,
      Resize.self,
      ReverseSequence.self,
      RoiAlign.self,
      STFT.self,
      Scan.self,
      ScatterElements.self,
      ScatterND.self,
      ShapeOf.self,
      Shrink.self,
      Sign.self,
      SignalWindow.self,
      Slice.self,
      Softmax.self,
      Split.self,
      Squeeze.self,
      Tile.self,
      TopK.self,
      Transpose.self,
      Trilu.self,
      UnaryMath.self,
      Unique.self,
      Where.self,
    ]
    return byName(types)
  }()

  /// The classical machine learning operators, `ai.onnx.ml`.
  private static let learning: [String: any Operator.Type] = byName([
    ArrayFeatureExtractor.self,
    FeatureScaling.self,
    FeatureVectorizer.self,
    Imputer.self,
    LabelEncoder.self,
    LinearModel.self,
    OneHotEncoder.self,
    SupportVectorClassifier.self,
    SupportVectorRegressor.self,
    TreeEnsemble.self,
    TreeEnsembleClassifier.self,
    ZipMap.self,
  ])

  private static func byName(_ types: [any Operator.Type]) -> [String: any Operator.Type] {
    Dictionary(uniqueKeysWithValues: types.flatMap { type in type.opTypes.map { ($0, type) } })
  }

  /// Names of all known operators, sorted.
  public static var names: [String] { (Array(operators.keys) + learning.keys).sorted() }

  /// Whether there is an operator for the node's type and domain.
  public static func supports(_ node: Node) -> Bool {
    type(of: node) != nil
  }

  /// The nodes of a graph and its subgraphs that cannot be run, by label, with the reason.
  public static func refusals(in graph: Graph) -> [(node: String, error: SwiftletError)] {
    graph.nodes.flatMap { node -> [(node: String, error: SwiftletError)] in
      var inner: [Graph] = []
      for case .graph(let graph) in node.attributes.values { inner.append(graph) }
      let refused = inner.flatMap(refusals).map {
        ("\(node.label), \($0.node)", $0.error.located(at: node.label))
      }
      // Nodes with subgraphs are built only once these are known to be valid.
      if !inner.isEmpty && supports(node) { return refused }
      do {
        _ = try locating(node.label) { try make(node, opset: graph.opset) }
      } catch let error as SwiftletError where error.code == .unsupported {
        return [(node.label, error)] + refused
      } catch {}
      return refused
    }
  }

  /// The operator of a node, with parsed attributes.
  ///
  /// - Throws: `unsupported` for an unknown operator, `badInput` for invalid attributes.
  public static func make(_ node: Node, opset: Int) throws -> any Operator {
    guard let type = type(of: node) else {
      throw StandardExpansion.refusal(of: node)
    }
    let `operator` = try type.init(node, opset: opset)
    return try AxisAligned.wrapping(`operator`, node, opset: opset)
  }

  private static func type(of node: Node) -> (any Operator.Type)? {
    switch (node.domain, node.opType) {
    case (FakeQuantize.domain, FakeQuantize.opType): FakeQuantize.self
    case (DynamicQuantizeMatMul.domain, DynamicQuantizeMatMul.opType): DynamicQuantizeMatMul.self
    case (DynamicQuantizeLSTM.domain, DynamicQuantizeLSTM.opType): DynamicQuantizeLSTM.self
    case (Inverse.domain, Inverse.opType): Inverse.self
    case (LookUpTable.domain, LookUpTable.opType): LookUpTable.self
    case ("ai.onnx.ml", _): learning[node.opType]
    default: node.isStandard ? operators[node.opType] : nil
    }
  }
}
