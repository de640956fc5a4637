// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

extension StandardExpansion {
  /// Operators of onnxruntime that are known in some forms: as others here, or in sessions.
  private static let forms: Set<String> = [
    "Attention", "BiasGelu", "CDist", "ConvTransposeWithDynamicPads", "DynamicQuantizeLSTM",
    "DynamicQuantizeMatMul", "EmbedLayerNormalization", "ExpandDims", "FastGelu", "FusedConv",
    "FusedGemm", "FusedMatMul", "GatherBlockQuantized", "GatherND", "Gelu", "GridSample",
    "GroupQueryAttention", "MatMulIntegerToFloat", "MatMulNBits", "MultiHeadAttention",
    "NhwcMaxPool", "Pad", "QAttention", "QGemm", "QLinearAdd", "QLinearAveragePool",
    "QLinearConcat", "QLinearGlobalAveragePool", "QLinearLeakyRelu", "QLinearMul",
    "QLinearSigmoid", "QLinearSoftmax", "QLinearWhere", "QuickGelu", "RotaryEmbedding",
    "SimplifiedLayerNormalization", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization",
    "TransposeMatMul", "Trilu", "Unique",
  ]

  /// Why a node cannot be run that is still there: its operator is unknown, or this form of it is.
  static func refusal(of node: Node) -> SwiftletError {
    let name = node.isStandard ? node.opType : "\(node.domain).\(node.opType)"
    if node.isStandard, sequenceOperators.contains(node.opType) {
      return SwiftletError(
        .unsupported,
        "operator \(name) on a sequence whose length or places only a run knows is not supported",
        mend: "export the model with fixed extents, or with Split and Concat instead of sequences")
    }
    let isKnown =
      forms.contains(node.opType) || node.isStandard && experimental.contains(node.opType)
    let form = isKnown ? " with \(form(of: node))" : ""
    return SwiftletError(.unsupported, "operator \(name)\(form) is not supported")
  }

  /// `inputs 1, 2, 4, num_heads 2`.
  private static func form(of node: Node) -> String {
    func places(_ names: [String]) -> String {
      names.indices.filter { !names[$0].isEmpty }.map { "\($0 + 1)" }.joined(separator: ", ")
    }
    var parts = [
      (node.inputs.count == 1 ? "input " : "inputs ") + places(node.inputs)
    ]
    if node.outputs.count > 1 { parts.append("outputs \(places(node.outputs))") }
    for (key, attribute) in node.attributes.sorted(by: { $0.key < $1.key }) {
      switch attribute {
      case .int(let value): parts.append("\(key) \(value)")
      case .float(let value): parts.append("\(key) \(value)")
      case .string(let value): parts.append("\(key) '\(value)'")
      case .ints(let values): parts.append("\(key) \(values)")
      default: break
      }
    }
    return parts.joined(separator: ", ")
  }
}
