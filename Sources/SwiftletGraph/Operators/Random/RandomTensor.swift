// SPDX-License-Identifier: Apache-2.0

import RealModule
import SwiftletCore

/// Random numbers, the same in each run: seeded by the attribute `seed`, or else by the node's
/// identity.
///
/// | operator                            | result                                              |
/// |-------------------------------------|-----------------------------------------------------|
/// | `RandomNormal`, `RandomNormalLike`   | mean + scale · standard normal                      |
/// | `RandomUniform`, `RandomUniformLike` | uniform in low ..< high                             |
/// | `Bernoulli`                         | 1 with the probability that the input gives, else 0 |
/// | `Multinomial`                       | N×samples classes from logarithms of weights N×C     |
///
/// The numbers come from ``RandomGenerator`` and differ from those of other runtimes.
///
/// - Source: ONNX.
struct RandomTensor: Operator {
  static let opType = "Random"
  static let opTypes = [
    "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli",
    "Multinomial",
  ]
  private enum Kind: Sendable {
    case normal(mean: Double, scale: Double)
    case uniform(low: Double, high: Double)
    case bernoulli
    case multinomial(samples: Int)
  }
  private let kind: Kind
  private let shape: Shape?
  private let target: DType?
  private let seed: UInt64

  init(_ node: Node, opset: Int) throws {
    func number(_ name: String, _ fallback: Float) throws -> Double {
      Double(try node.float(name, default: fallback))
    }
    var needsShape = false
    switch node.opType {
    case "RandomNormal", "RandomNormalLike":
      kind = .normal(mean: try number("mean", 0), scale: try number("scale", 1))
      needsShape = node.opType == "RandomNormal"
    case "RandomUniform", "RandomUniformLike":
      kind = .uniform(low: try number("low", 0), high: try number("high", 1))
      needsShape = node.opType == "RandomUniform"
    case "Bernoulli": kind = .bernoulli
    default:
      let samples = try node.int("sample_size", default: 1)
      guard 1...1 << 24 ~= samples else {
        throw SwiftletError(
          .badInput, "Multinomial has sample_size \(samples), which must be 1 to \(1 << 24)")
      }
      kind = .multinomial(samples: samples)
    }
    if needsShape {
      guard let extents = try node.ints("shape") else {
        throw SwiftletError(.badInput, "\(node.opType) lacks the attribute shape")
      }
      shape = try Shape(checking: extents)
    } else {
      shape = nil
    }
    var fallback = needsShape ? 1 : 0
    if case .multinomial = kind { fallback = 6 }
    let type = try node.int("dtype", default: fallback)
    guard type == 0 || DType(onnx: type)?.isNumber ?? false || type == 9 else {
      throw SwiftletError(.unsupported, "\(node.opType) of ONNX type \(type) is not supported")
    }
    target = type == 0 ? nil : DType(onnx: type)
    // Nodes without a seed are distinguished by their outputs.
    if node.attributes["seed"] != nil {
      seed = UInt64(try node.float("seed", default: 0).bitPattern)
    } else {
      seed = (node.outputs.first ?? "").utf8.reduce(0xcbf2_9ce4_8422_2325) {
        ($0 ^ UInt64($1)) &* 0x100_0000_01b3
      }
    }
  }

  func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    if let shape { return [TensorInfo(target!, shape)] }
    let x = try required(inputs, 0, "input")
    switch kind {
    case .multinomial(let samples):
      _ = try floating(inputs, 0, "logarithms", rank: 2)
      guard x.shape[1] > 0 else { throw mismatch("there are no classes") }
      return [TensorInfo(target!, try Shape(checking: [x.shape[0], samples]))]
    case .bernoulli: _ = try floating(inputs, 0, "probabilities")
    default: break
    }
    let type = target ?? x.dtype
    guard type.isNumber || type == .bool else {
      throw mismatch("numbers of type \(type) are not supported")
    }
    return [TensorInfo(type, x.shape)]
  }

  func forward(_ inputs: inout [AnyTensor?], _ context: ExecutionContext) throws -> [AnyTensor] {
    var generator = RandomGenerator(seed: seed)
    let result = shape ?? inputs[0]!.shape
    let type = target ?? inputs[0]!.dtype
    func filled(_ next: (inout RandomGenerator) -> Double) -> [AnyTensor] {
      let values = (0..<result.count).map { _ in next(&generator) }
      return [AnyTensor(Tensor(result, values)).converted(to: type)]
    }
    switch kind {
    case .normal(let mean, let scale): return filled { mean + scale * $0.normal() }
    case .uniform(let low, let high): return filled { low + (high - low) * $0.uniform() }
    case .bernoulli:
      let chances = try inputs[0]!.converted(to: .float64).require(Double.self).elements
      let values = chances.map { generator.uniform() < $0 ? 1.0 : 0 }
      return [AnyTensor(Tensor(result, values)).converted(to: type)]
    case .multinomial(let samples):
      let logarithms = try inputs[0]!.converted(to: .float64).require(Double.self).elements
      let classes = result[1]
      var chosen: [Double] = []
      for row in 0..<result[0] {
        let own = logarithms[row * classes..<(row + 1) * classes]
        let greatest = own.max() ?? 0
        let weights = own.map { Double.exp($0 - greatest) }
        for _ in 0..<samples { chosen.append(Double(Self.pick(weights, &generator))) }
      }
      return [AnyTensor(Tensor([result[0], samples], chosen)).converted(to: type)]
    }
  }

  /// An index, with probability proportional to the weights.
  private static func pick(_ weights: [Double], _ generator: inout RandomGenerator) -> Int {
    var rest = generator.uniform() * weights.reduce(0, +)
    for (place, weight) in weights.enumerated() {
      rest -= weight
      if rest < 0 { return place }
    }
    return weights.count - 1
  }
}
