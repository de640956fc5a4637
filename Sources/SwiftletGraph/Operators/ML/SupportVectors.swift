// SPDX-License-Identifier: Apache-2.0

import RealModule
import SwiftletCore

/// The kernel and the vectors of a support vector machine.
///
/// - Source: ONNX `ai.onnx.ml`, attributes `kernel_type` and `kernel_params` (gamma, coef0,
///   degree).
struct SupportVectors: Sendable {
  private enum Kind: String, Sendable {
    case linear = "LINEAR"
    case polynomial = "POLY"
    case radial = "RBF"
    case sigmoid = "SIGMOID"
  }
  private let kind: Kind
  private let gamma, offset, degree: Float
  private let vectors: [Float]
  let count, width: Int

  /// - Parameter count: The number of vectors; if there are none, `coefficients` are feature
  ///   weights, divided evenly among `scores`.
  init(_ node: Node, count: Int, coefficients: Int, scores: Int) throws {
    let name = try node.string("kernel_type", default: "LINEAR")
    guard let kind = Kind(rawValue: name) else {
      throw SwiftletError(
        .badInput,
        "\(node.opType) has kernel_type '\(name)', which must be LINEAR, POLY, RBF or SIGMOID")
    }
    let parameters = try node.floats("kernel_params") ?? []
    guard parameters.isEmpty || parameters.count == 3 else {
      throw SwiftletError(
        .badInput, "\(node.opType) has \(parameters.count) kernel_params, but must have 3 or none")
    }
    // Weights of features make a linear machine, whatever kernel is named, as in onnxruntime.
    self.kind = count == 0 ? .linear : kind
    (gamma, offset, degree) =
      parameters.isEmpty ? (0, 0, 0) : (parameters[0], parameters[1], parameters[2])
    vectors = try node.floats("support_vectors") ?? []
    self.count = count
    guard count >= 0, count == 0 || (!vectors.isEmpty && vectors.count % count == 0),
      count > 0 || (scores > 0 && coefficients > 0 && coefficients % scores == 0)
    else {
      throw SwiftletError(
        .badInput,
        "\(node.opType) has \(vectors.count) numbers of \(count) vectors and \(coefficients) "
          + "coefficients, which do not match")
    }
    width = count > 0 ? vectors.count / count : coefficients / scores
  }

  /// The kernel of a row and each vector.
  func kernels(_ row: [Float]) -> [Float] {
    (0..<count).map { kernel(row, vectors[$0 * width..<($0 + 1) * width]) }
  }

  func kernel(_ row: [Float], _ vector: ArraySlice<Float>) -> Float {
    if kind == .radial {
      let square = zip(row, vector).reduce(Double(0)) {
        let difference = Double($1.0 - $1.1)
        return $0 + difference * difference
      }
      return Float.exp(-gamma * Float(square))
    }
    let product = Float(zip(row, vector).reduce(Double(0)) { $0 + Double($1.0) * Double($1.1) })
    switch kind {
    case .polynomial: return (gamma * product + offset).power(degree)
    case .sigmoid: return Float.tanh(gamma * product + offset)
    default: return product
    }
  }
}
