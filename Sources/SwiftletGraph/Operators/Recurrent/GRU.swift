// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// A layer of gated recurrent units over a sequence, in one direction or both:
///
///     z, r = σ(x·W + h·R + b)
///     h̃ = tanh(x·W + (r∘h)·R + b), or with `linear_before_reset` tanh(x·W + r∘(h·R + b′) + b)
///     h ← (1 − z)∘h̃ + z∘h
///
/// - Source: ONNX `GRU`; Cho et al. 2014.
public struct GRU: RealOperator {
  public static let opType = "GRU"
  private let layer: RecurrentLayer
  private let resetsProduct: Bool

  public init(_ node: Node, opset: Int) throws {
    layer = try RecurrentLayer(node, gates: 3, activations: [.sigmoid, .tanh])
    resetsProduct = try node.int("linear_before_reset", default: 0) != 0
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    try layer.infer(inputs, states: 1)
  }

  public func macs(inputs: [Shape?], outputs: [Shape]) -> Int { layer.macs(inputs) }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func compute<T: LayerElement>(
    _ inputs: [AnyTensor?], as _: T.Type, _ threads: Threads
  ) throws -> [Tensor<T>] {
    let resetsProduct = resetsProduct
    let results = try layer.run(
      inputs, as: T.self, threads,
      bias: { given, recurrent in
        // The reset gate may apply to the last third of the recurrent bias.
        given.indices.map {
          resetsProduct && $0 >= given.count / 3 * 2 ? given[$0] : given[$0] + recurrent[$0]
        }
      },
      cell: { direction, weights, recurrentBias in
        Cell(
          weights: weights.contiguous(), functions: layer.functions[direction],
          bias: resetsProduct ? Array(recurrentBias.suffix(weights.shape[1])) : nil,
          clip: layer.clip.map { T($0) })
      })
    return Array(results.prefix(2))
  }

  private struct Cell<T: LayerElement>: RecurrentCell {
    let weights: Tensor<T>
    let functions: [ActivationFunction]
    /// The bias of the product that the reset gate multiplies; `nil` if it multiplies the state.
    let bias: [T]?
    let clip: T?

    func step(_ gates: inout Tensor<T>, hidden: inout Tensor<T>, cell: inout Tensor<T>) {
      let (batch, width) = (hidden.shape[0], hidden.shape[1])
      hidden = hidden.contiguous()
      let matrix = weights.span
      add(hidden, times: matrix.extracting(0..<2 * width * width), to: &gates)
      let candidate = matrix.extracting(2 * width * width..<3 * width * width)
      var product = Tensor<T>(zeros: [batch, width])
      if bias != nil { add(hidden, times: candidate, to: &product) }
      activateGates(&gates, batch, width)
      if let bias {
        var all = gates.mutableSpan
        for row in 0..<batch {
          var own = all.part(row * 3 * width..<(row + 1) * 3 * width)
          let sums = product.span.extracting(row * width..<(row + 1) * width)
          for i in 0..<width { own[2 * width + i] += own[width + i] * (sums[i] + bias[i]) }
        }
      } else {
        var reset = hidden
        var states = reset.mutableSpan
        for row in 0..<batch {
          for i in 0..<width {
            states[row * width + i] *= gates.span[row * 3 * width + width + i]
          }
        }
        add(reset, times: candidate, to: &gates, column: 2 * width)
      }
      var all = gates.mutableSpan
      var states = hidden.mutableSpan
      for row in 0..<batch {
        var own = all.part(row * 3 * width..<(row + 1) * 3 * width)
        var h = states.part(row * width..<(row + 1) * width)
        var candidates = own.part(2 * width..<3 * width)
        activate(&candidates, functions[1], clip: clip)
        for i in 0..<width { h[i] = (1 - own[i]) * own[2 * width + i] + own[i] * h[i] }
      }
    }

    private func activateGates(_ gates: inout Tensor<T>, _ batch: Int, _ width: Int) {
      var all = gates.mutableSpan
      for row in 0..<batch {
        var part = all.part(row * 3 * width..<row * 3 * width + 2 * width)
        activate(&part, functions[0], clip: clip)
      }
    }
  }
}
