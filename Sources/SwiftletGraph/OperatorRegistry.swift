import SwiftletCore

/// The operators that can be run, by ONNX name.
public enum OperatorRegistry {
  private static let operators: [String: any Operator.Type] = {
    let types: [any Operator.Type] = [
      Add.self, AveragePool.self, BatchNormalization.self, Conv.self, DequantizeLinear.self,
      Dropout.self, Flatten.self, Gemm.self, GlobalAveragePool.self, MaxPool.self,
      QuantizeLinear.self, Relu.self, Softmax.self,
    ]
    return Dictionary(uniqueKeysWithValues: types.map { ($0.opType, $0) })
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
    return try type.init(node, opset: opset)
  }

  private static func isStandard(_ domain: String) -> Bool { domain.isEmpty || domain == "ai.onnx" }
}
