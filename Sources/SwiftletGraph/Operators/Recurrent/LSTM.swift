// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// A layer of long short-term memory cells over a sequence, in one direction or both:
///
///     i, o, f = σ(x·W + h·R + b + p∘c)    c̃ = tanh(x·W + h·R + b)
///     c ← f∘c + i∘c̃                       h ← o∘tanh(c)
///
/// - Source: ONNX `LSTM`; Hochreiter & Schmidhuber 1997, Gers & Schmidhuber 2000 (peepholes p).
public struct LSTM: RealOperator {
  public static let opType = "LSTM"
  private let layer: RecurrentLayer
  /// Whether f is 1 − i.
  private let couplesGates: Bool

  public init(_ node: Node, opset: Int) throws {
    layer = try RecurrentLayer(node, gates: 4, activations: [.sigmoid, .tanh, .tanh])
    couplesGates = try node.int("input_forget", default: 0) != 0
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    try layer.infer(inputs, states: 2)
  }

  public func macs(inputs: [Shape?], outputs: [Shape]) -> Int { layer.macs(inputs) }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func compute<T: LayerElement>(
    _ inputs: [AnyTensor?], as _: T.Type, _ threads: Threads
  ) throws -> [Tensor<T>] {
    try compute(inputs, threads, rounding: nil)
  }

  /// - Parameter rounding: Applied to the inputs of products: the input, and the hidden states of a
  ///   step.
  @inline(__always)
  func compute<T: LayerElement>(
    _ inputs: [AnyTensor?], _ threads: Threads, rounding: ((Tensor<T>) -> Tensor<T>)?
  ) throws -> [Tensor<T>] {
    let peepholes = try inputs.count > 7 ? inputs[7]?.require(T.self) : nil
    return try layer.run(
      inputs, as: T.self, threads, rounding: rounding, bias: { zip($0, $1).map { $0 + $1 } },
      cell: { direction, weights, _ in
        Cell(
          weights: weights.contiguous(), functions: layer.functions[direction],
          peepholes: peepholes?.slice(axis: 0, range: direction..<direction + 1).contiguous(),
          clip: layer.clip.map { T($0) }, couplesGates: couplesGates, rounding: rounding)
      })
  }

  private struct Cell<T: LayerElement>: RecurrentCell {
    let weights: Tensor<T>
    let functions: [ActivationFunction]
    /// The peepholes of the gates i, o and f.
    let peepholes: Tensor<T>?
    let clip: T?
    let couplesGates: Bool
    let rounding: ((Tensor<T>) -> Tensor<T>)?

    func step(_ gates: inout Tensor<T>, hidden: inout Tensor<T>, cell: inout Tensor<T>) {
      let (batch, width) = (hidden.shape[0], hidden.shape[1])
      hidden = hidden.contiguous()
      add(rounding?(hidden) ?? hidden, times: weights.span, to: &gates)
      var all = gates.mutableSpan
      var states = hidden.mutableSpan
      var memories = cell.mutableSpan
      for row in 0..<batch {
        var own = all.part(row * 4 * width..<(row + 1) * 4 * width)
        var h = states.part(row * width..<(row + 1) * width)
        var c = memories.part(row * width..<(row + 1) * width)
        if let p = peepholes?.span {
          for i in 0..<width {
            own[i] += p[i] * c[i]
            own[2 * width + i] += p[2 * width + i] * c[i]
          }
        }
        activate(&own, 0..<width, functions[0])
        activate(&own, 3 * width..<4 * width, functions[1])
        if !couplesGates { activate(&own, 2 * width..<3 * width, functions[0]) }
        for i in 0..<width {
          let forget = couplesGates ? 1 - own[i] : own[2 * width + i]
          c[i] = forget * c[i] + own[i] * own[3 * width + i]
          h[i] = c[i]
          if let p = peepholes?.span { own[width + i] += p[width + i] * c[i] }
        }
        activate(&own, width..<2 * width, functions[0])
        functions[2].apply(&h)
        for i in 0..<width { h[i] *= own[width + i] }
      }
    }

    @inline(__always)
    private func activate(
      _ gates: inout MutableSpan<T>, _ range: Range<Int>, _ function: ActivationFunction
    ) {
      var part = gates.part(range)
      activate(&part, function, clip: clip)
    }
  }
}
