// SPDX-License-Identifier: Apache-2.0

import RealModule
public import SwiftletCore

/// The available update rules.
public enum OptimizerKind: String, Sendable, Codable, CaseIterable {
  /// Gradient descent with momentum.
  case sgd
  /// Kingma & Ba 2015; weight decay is added to the gradient.
  case adam
  /// Loshchilov & Hutter 2019: weight decay is decoupled from the gradient.
  case adamw
  /// Dozat 2016: Adam with Nesterov momentum and its momentum schedule.
  case nadam
}

/// Settings of an update rule. The defaults are those of the papers.
public struct OptimizerSettings: Sendable, Codable, Equatable {
  /// The update rule.
  public var kind: OptimizerKind
  /// Of `sgd`: the part of the last step that the next one keeps.
  public var momentum: Double
  /// Of Adam's kind: the decay of the mean of gradients.
  public var beta1: Double
  /// Of Adam's kind: the decay of the mean of their squares.
  public var beta2: Double
  /// Of Adam's kind: what is added to the root of that mean.
  public var epsilon: Double
  /// How strongly parameters are drawn to 0, relative to the learning rate.
  public var weightDecay: Double

  /// Settings of a rule. Without `weightDecay` it is 0.01 for `adamw` and 0 for the others.
  public init(
    _ kind: OptimizerKind, momentum: Double = 0.9, beta1: Double = 0.9, beta2: Double = 0.999,
    epsilon: Double = 1e-8, weightDecay: Double? = nil
  ) {
    self.kind = kind
    self.momentum = momentum
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.weightDecay = weightDecay ?? (kind == .adamw ? 0.01 : 0)
  }
}

/// An update rule and its running averages.
public struct Optimizer: Sendable {
  /// The rule and its settings.
  public let settings: OptimizerSettings
  /// Number of updates made.
  public package(set) var step = 0
  /// First and, except for SGD, second moments by parameter name.
  package var moments: [String: [Tensor<Float>]] = [:]
  /// Product of Nadam's momentum factors so far.
  package var momentumProduct = 1.0

  /// An optimizer that has made no update yet.
  public init(_ settings: OptimizerSettings) { self.settings = settings }

  /// Moves the parameters against their gradients.
  public mutating func update(
    _ parameters: inout [String: Tensor<Float>], gradients: [String: Tensor<Float>],
    learningRate: Double
  ) {
    step += 1
    let factors = adamFactors(learningRate)
    for name in gradients.keys.sorted() {
      guard var values = parameters.removeValue(forKey: name), let gradient = gradients[name] else {
        continue
      }
      let momentCount = settings.kind == .sgd ? 1 : 2
      var state =
        moments.removeValue(forKey: name)
        ?? (0..<momentCount).map { _ in Tensor(zeros: values.shape) }
      if settings.kind == .sgd {
        descend(&values, gradient.contiguous(), &state[0], Float(learningRate))
      } else {
        adapt(&values, gradient.contiguous(), &state, factors, Float(learningRate))
      }
      moments[name] = state
      parameters[name] = values
    }
  }

  private func descend(
    _ values: inout Tensor<Float>, _ gradient: Tensor<Float>, _ velocity: inout Tensor<Float>,
    _ rate: Float
  ) {
    let (momentum, decay) = (Float(settings.momentum), Float(settings.weightDecay))
    let g = gradient.span
    var w = values.mutableSpan
    var v = velocity.mutableSpan
    for i in w.indices {
      v[i] = momentum * v[i] + g[i] + decay * w[i]
      w[i] -= rate * v[i]
    }
  }

  /// The factors of the moments in the current step of the Adam family.
  private struct AdamFactors {
    /// Weight of the first moment, and of the gradient itself (Nadam only), learning rate included.
    let moment, gradient: Float
    /// 1 / √(1 − β₂ᵗ).
    let secondCorrection: Float
  }

  private mutating func adamFactors(_ rate: Double) -> AdamFactors {
    let t = Double(step)
    let second = Float(1 / (1 - Double.pow(settings.beta2, t)).squareRoot())
    guard settings.kind == .nadam else {
      let first = rate / (1 - Double.pow(settings.beta1, t))
      return AdamFactors(moment: Float(first), gradient: 0, secondCorrection: second)
    }
    let now = settings.beta1 * (1 - 0.5 * Double.pow(0.96, t * 0.004))
    let next = settings.beta1 * (1 - 0.5 * Double.pow(0.96, (t + 1) * 0.004))
    momentumProduct *= now
    return AdamFactors(
      moment: Float(rate * next / (1 - momentumProduct * next)),
      gradient: Float(rate * (1 - now) / (1 - momentumProduct)), secondCorrection: second)
  }

  private func adapt(
    _ values: inout Tensor<Float>, _ gradient: Tensor<Float>, _ state: inout [Tensor<Float>],
    _ factors: AdamFactors, _ rate: Float
  ) {
    let (beta1, beta2) = (Float(settings.beta1), Float(settings.beta2))
    let epsilon = Float(settings.epsilon)
    let decay = Float(settings.weightDecay)
    let coupled = settings.kind == .adamw ? 0 : decay
    let shrink = settings.kind == .adamw ? 1 - rate * decay : 1
    var first = state[0]
    var second = state[1]
    state.removeAll()
    do {
      let g = gradient.span
      var w = values.mutableSpan
      var m = first.mutableSpan
      var v = second.mutableSpan
      for i in w.indices {
        let slope = g[i] + coupled * w[i]
        m[i] = beta1 * m[i] + (1 - beta1) * slope
        v[i] = beta2 * v[i] + (1 - beta2) * slope * slope
        let scale = 1 / (v[i].squareRoot() * factors.secondCorrection + epsilon)
        w[i] = shrink * w[i] - (factors.moment * m[i] + factors.gradient * slope) * scale
      }
    }
    state = [first, second]
  }
}
