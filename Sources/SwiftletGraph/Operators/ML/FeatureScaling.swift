// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Rows with each feature shifted and scaled (`Scaler`), compared with a threshold (`Binarizer`),
/// or divided by the norm of the row (`Normalizer`).
///
/// | operator     | result                                    | type                  |
/// |--------------|-------------------------------------------|-----------------------|
/// | `Scaler`     | (x − offset) · scale, by feature          | fp32                  |
/// | `Binarizer`  | 1 where x > threshold, else 0             | as x                  |
/// | `Normalizer` | x / max(x), x / Σ|x| or x / √Σx²          | fp32                  |
///
/// A row whose norm is 0 is unchanged.
///
/// - Source: ONNX `ai.onnx.ml`; like onnxruntime, `MAX` uses the largest element, not its
///   magnitude.
struct FeatureScaling: Operator {
  static let opType = "Scaler"
  static let opTypes = ["Scaler", "Binarizer", "Normalizer"]
  private enum Kind: Sendable {
    case scale(offset: [Float], factor: [Float])
    case threshold(Float)
    case greatest, absolute, square
  }
  private let kind: Kind
  private let name: String

  init(_ node: Node, opset: Int) throws {
    name = node.opType
    switch node.opType {
    case "Scaler":
      kind = .scale(
        offset: try node.floats("offset") ?? [0], factor: try node.floats("scale") ?? [1])
    case "Binarizer": kind = .threshold(try node.float("threshold", default: 0))
    default:
      switch try node.string("norm", default: "MAX") {
      case "MAX": kind = .greatest
      case "L1": kind = .absolute
      case "L2": kind = .square
      case let other:
        throw SwiftletError(
          .badInput, "Normalizer has norm '\(other)', which must be MAX, L1 or L2")
      }
    }
  }

  func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input", where: \.isNumber)
    guard x.shape.rank > 0 else { throw mismatch("\(name) does not accept a scalar") }
    if case .scale(let offset, let factor) = kind {
      let width = x.shape[x.shape.rank - 1]
      guard [offset.count, factor.count].allSatisfy({ $0 == 1 || $0 == width }) else {
        throw mismatch(
          "\(offset.count) offsets and \(factor.count) scales do not match \(width) features")
      }
    }
    if case .threshold = kind { return [TensorInfo(x.dtype, x.shape)] }
    return [TensorInfo(.float32, x.shape)]
  }

  func forward(_ inputs: inout [AnyTensor?], _ context: ExecutionContext) throws -> [AnyTensor] {
    let x = inputs[0]!
    if case .threshold(let threshold) = kind {
      let values = try x.converted(to: .float64).require(Double.self)
      return [AnyTensor(values.map { $0 > Double(threshold) ? 1.0 : 0 }).converted(to: x.dtype)]
    }
    var y = try x.converted(to: .float32).require(Float.self).contiguous()
    let width = x.shape[x.shape.rank - 1]
    guard width > 0, y.count > 0 else { return [.float32(y)] }
    var values = y.mutableSpan
    for row in 0..<values.count / width { transform(&values, row * width..<(row + 1) * width) }
    return [.float32(y)]
  }

  private func transform(_ values: inout MutableSpan<Float>, _ row: Range<Int>) {
    var norm: Float = 0
    switch kind {
    case .threshold: return
    case .scale(let offset, let factor):
      for (feature, i) in row.enumerated() {
        let shift = offset[offset.count == 1 ? 0 : feature]
        values[i] = (values[i] - shift) * factor[factor.count == 1 ? 0 : feature]
      }
      return
    case .greatest:
      norm = -.infinity
      for i in row { norm = max(norm, values[i]) }
    case .absolute: for i in row { norm += abs(values[i]) }
    case .square:
      for i in row { norm += values[i] * values[i] }
      norm = norm.squareRoot()
    }
    guard norm != 0 else { return }
    for i in row { values[i] /= norm }
  }
}
