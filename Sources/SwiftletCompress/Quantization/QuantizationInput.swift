// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFormats
import SwiftletGraph

/// A graph prepared for quantization: simplified, in an operator set that can express the result,
/// with the types and shapes of its values for one batch.
struct QuantizationInput {
  let graph: Graph
  /// Types and shapes by name; without samples, as far as shape inference determines them.
  let infos: [String: TensorInfo]

  /// - Throws: `unsupported` if the graph is quantized already, or cannot be written in the
  ///   operator set.
  init(_ original: Graph, opset: Int, _ source: CalibrationSource?, _ threads: Threads) throws {
    try original.requireFloats()
    let simple = try original.simplifiedForFile()
    var infos: [String: TensorInfo] = [:]
    if let source {
      func observe(_ name: String, _ value: AnyTensor) {
        infos[name] = TensorInfo(value.dtype, value.shape)
      }
      let inputs = try source.sample()
      for (name, value) in inputs { observe(name, value) }
      _ = try Interpreter(simple).run(inputs, ExecutionContext(threads: threads)) {
        observe($0, $1)
      }
    } else {
      let interpreter = try Interpreter(simple)
      infos = (try? interpreter.infer(interpreter.inputShapes(batch: 1))) ?? [:]
    }
    self.infos = infos
    // Per-channel scales need operator set 13; 4 bits and groups need 21.
    graph = try simple.upgraded(
      toOpset: opset, ranks: infos.mapValues { $0.shape.rank })
  }
}

extension Graph {
  /// Operators that occur only in quantized models.
  private static let integerOperators: Set<String> = [
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger",
    "QLinearConv", "QLinearMatMul", "QGemm", "QAttention", "MatMulNBits", "MatMulIntegerToFloat",
    "DynamicQuantizeMatMul", "DynamicQuantizeLSTM",
  ]

  /// - Throws: `unsupported` if the graph is quantized already.
  func requireFloats() throws {
    guard let node = firstQuantized else { return }
    throw SwiftletError(
      .unsupported, "the model is already quantized: it has \(node.label)",
      mend: "start from the fp32 model, and quantize last")
  }

  /// The first node that shows that the graph is quantized, including a `Cast` and a `Mul` that
  /// restore weights.
  private var firstQuantized: Node? {
    if let codes = scaledCodes.first { return codes.nodes.first }
    for node in nodes {
      if Self.integerOperators.contains(node.opType) || node.opType.hasPrefix("QLinear") {
        return node
      }
      for case .graph(let inner) in node.attributes.values {
        if let found = inner.firstQuantized { return found }
      }
    }
    return nil
  }
}

extension Graph {
  /// The simplified graph, unless folding constants makes the file more than 5 % larger; then only
  /// with identities removed and batch normalization folded.
  fileprivate func simplifiedForFile() throws -> Graph {
    let (plain, simple) = (removingIdentities(), simplified())
    let (before, after) = (
      try ONNXFile.encode(plain).count, try ONNXFile.encode(simple).count
    )
    return after <= before + before / 20 ? simple : plain.foldingBatchNormalization()
  }
}
