// SPDX-License-Identifier: Apache-2.0

import RealModule
import SwiftletCore

/// The final transformation of a row's scores in a classical machine learning operator.
///
/// - Source: ONNX `ai.onnx.ml`, attribute `post_transform`; Winitzki 2008 for the inverse error
///   function of the probit.
enum PostTransform: String, Sendable {
  case none = "NONE"
  case softmax = "SOFTMAX"
  case logistic = "LOGISTIC"
  case softmaxZero = "SOFTMAX_ZERO"
  case probit = "PROBIT"

  init(_ node: Node) throws {
    let name = try node.string("post_transform", default: "NONE")
    guard let known = PostTransform(rawValue: name) else {
      throw SwiftletError(
        .badInput,
        "\(node.opType) has post_transform '\(name)', which must be NONE, SOFTMAX, LOGISTIC, "
          + "SOFTMAX_ZERO or PROBIT")
    }
    self = known
  }

  /// From the numbers used by newer operators.
  init(number: Int, _ node: Node) throws {
    let all: [PostTransform] = [.none, .softmax, .logistic, .softmaxZero, .probit]
    guard all.indices.contains(number) else {
      throw SwiftletError(
        .badInput, "\(node.opType) has post_transform \(number), which must be 0 to 4")
    }
    self = all[number]
  }

  @inline(__always)
  func apply<T: LayerElement>(_ scores: inout [T]) {
    switch self {
    case .none: break
    case .logistic: for i in scores.indices { scores[i] = Self.logistic(scores[i]) }
    case .probit: for i in scores.indices { scores[i] = Self.probit(scores[i]) }
    case .softmax, .softmaxZero:
      let greatest = scores.max() ?? 0
      var sum: T = 0
      for i in scores.indices {
        if self == .softmaxZero, abs(scores[i]) <= 1e-7 {
          scores[i] *= T.exp(-greatest)
          continue
        }
        scores[i] = T.exp(scores[i] - greatest)
        sum += scores[i]
      }
      if sum != 0 { for i in scores.indices { scores[i] /= sum } }
    }
  }

  @inline(__always)
  static func logistic<T: LayerElement>(_ x: T) -> T {
    let high = 1 / (1 + T.exp(-abs(x)))
    return x < 0 ? 1 - high : high
  }

  @inline(__always)
  private static func probit<T: LayerElement>(_ x: T) -> T {
    let y = 2 * x - 1
    let logarithm = T.log((1 - y) * (1 + y))
    let a: T = 0.147
    let middle = 2 / (3.14159 * a) + logarithm / 2
    let value = (-middle + (middle * middle - logarithm / a).squareRoot()).squareRoot()
    return T(2).squareRoot() * (y < 0 ? -value : value)
  }
}

/// Shared by the operators of `ai.onnx.ml`.
extension Operator {
  /// A batch of rows of numbers of any type: N×F, or F as one row.
  ///
  /// - Throws: `badInput` for other ranks and for rows without elements.
  func rows(_ inputs: [TensorInfo?]) throws -> (count: Int, width: Int) {
    let x = try required(inputs, 0, "input", where: \.isNumber)
    guard 1...2 ~= x.shape.rank else { throw mismatch("\(x.shape) is not a batch of rows") }
    return x.shape.rank == 1 ? (1, x.shape[0]) : (x.shape[0], x.shape[1])
  }

  /// The elements as fp32, or as fp64 if they have that type.
  func reals(_ x: AnyTensor) -> AnyTensor {
    x.dtype == .float64 ? x : x.converted(to: .float32)
  }
}

/// The labels of a classifier: strings are already numbers here.
struct ClassLabels: Sendable {
  let values: [Int64]

  /// - Parameter name: The attribute that lists them.
  init(_ node: Node, _ name: String) throws {
    values = try (node.ints(name) ?? []).map(Int64.init)
  }

  subscript(index: Int) -> Int64 { values.indices.contains(index) ? values[index] : Int64(index) }
}
