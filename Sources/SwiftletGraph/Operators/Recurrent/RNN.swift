// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// A simple recurrent layer over a sequence, in one direction or both: h ← tanh(x·W + h·R + b).
///
/// - Source: ONNX `RNN`; Elman 1990.
public struct RNN: RealOperator {
  public static let opType = "RNN"
  private let layer: RecurrentLayer

  public init(_ node: Node, opset: Int) throws {
    layer = try RecurrentLayer(node, gates: 1, activations: [.tanh])
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
    let results = try layer.run(
      inputs, as: T.self, threads, bias: { zip($0, $1).map { $0 + $1 } },
      cell: { direction, weights, _ in
        Cell(
          weights: weights.contiguous(), function: layer.functions[direction][0],
          clip: layer.clip.map { T($0) })
      })
    return Array(results.prefix(2))
  }

  private struct Cell<T: LayerElement>: RecurrentCell {
    let weights: Tensor<T>
    let function: ActivationFunction
    let clip: T?

    func step(_ gates: inout Tensor<T>, hidden: inout Tensor<T>, cell: inout Tensor<T>) {
      hidden = hidden.contiguous()
      add(hidden, times: weights.span, to: &gates)
      var values = gates.mutableSpan
      activate(&values, function, clip: clip)
      hidden = gates
    }
  }
}
