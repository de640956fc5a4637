// SPDX-License-Identifier: Apache-2.0

import RealModule
import SwiftletCore

/// A window a₀ − a₁·cos(2πk/N) + a₂·cos(4πk/N) of the length that the input gives; N is that
/// length, or one less with `periodic = 0`.
///
/// - Source: ONNX `HannWindow`, `HammingWindow`, `BlackmanWindow`.
struct SignalWindow: Operator {
  static let opType = "Window"
  static let opTypes = ["HannWindow", "HammingWindow", "BlackmanWindow"]
  private let terms: [Double]
  private let isPeriodic: Bool
  private let target: DType

  init(_ node: Node, opset: Int) throws {
    switch node.opType {
    case "HannWindow": terms = [0.5, 0.5, 0]
    case "HammingWindow": terms = [25.0 / 46, 21.0 / 46, 0]
    default: terms = [0.42, 0.5, 0.08]
    }
    isPeriodic = try node.int("periodic", default: 1) != 0
    let number = try node.int("output_datatype", default: 1)
    guard let target = DType(onnx: number), target.isNumber else {
      throw SwiftletError(.unsupported, "\(node.opType) of ONNX type \(number) is not supported")
    }
    self.target = target
  }

  func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let size = try required(inputs, 0, "size")
    guard let count = try integers(inputs, 0, "size")?.first, size.shape.count == 1, count >= 0
    else {
      throw mismatch("the length is missing")
    }
    return [TensorInfo(target, try Shape(checking: [count]))]
  }

  func forward(_ inputs: inout [AnyTensor?], _ context: ExecutionContext) throws -> [AnyTensor] {
    let count = inputs[0]!.integers[0]
    let period = Double(max(1, isPeriodic ? count : count - 1))
    let values = (0..<count).map { k in
      let angle = 2 * Double.pi * Double(k) / period
      return terms[0] - terms[1] * Double.cos(angle) + terms[2] * Double.cos(2 * angle)
    }
    return [AnyTensor(Tensor([count], values)).converted(to: target)]
  }
}
