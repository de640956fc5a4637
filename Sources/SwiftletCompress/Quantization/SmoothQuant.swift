import OrderedCollections
import RealModule
import SwiftletCore
import SwiftletGraph

/// Moves the range of activations' channels into the weights that multiply them.
///
/// Encoders have a few channels that are far larger than the others, and one scale must hold them all.
/// With sⱼ = max|xⱼ|^α / max|wⱼ|^(1−α), channel j is divided by sⱼ where LayerNormalization makes it,
/// in its own factors, and the weights of the layers behind are multiplied by sⱼ: the model computes
/// the same.
///
/// - Source: Xiao et al. 2022, arXiv:2211.10438.
struct SmoothQuant {
  /// α: how much of the activations' range moves, 0 to 1.
  let share: Double

  /// The values that come out of a `LayerNormalization` and that only Gemm and MatMul layers read.
  static func candidates(_ graph: Graph, _ plan: QuantizationPlan) -> [String] {
    graph.nodes.compactMap { node in
      guard node.opType == "LayerNormalization", let value = node.outputs.first,
        !graph.outputs.contains(where: { $0.name == value }),
        node.inputs[1...].allSatisfy({
          graph.initializers[$0]?.dtype == .float32 && graph.consumers(of: $0).count == 1
        })
      else { return nil }
      let readers = graph.consumers(of: value)
      let areLayers = readers.allSatisfy { index in
        plan.layers.contains {
          $0.index == index && $0.node.opType != "Conv" && $0.input == value
            && graph.consumers(of: $0.node.inputs[1]).count == 1
        }
      }
      return readers.isEmpty || !areLayers ? nil : value
    }
  }

  /// - Parameter ranges: The largest magnitude of each channel of the candidates.
  func apply(
    to graph: Graph, _ plan: QuantizationPlan, ranges: [String: [Float]]
  ) -> Graph {
    var result = graph
    for value in Self.candidates(graph, plan) {
      guard let range = ranges[value], let position = graph.producer(of: value) else { continue }
      let layers = plan.layers.filter { $0.input == value }
      var largest = [Float](repeating: 0, count: range.count)
      for layer in layers where layer.depth == range.count {
        for position in 0..<layer.weights.count {
          let channel = layer.axis == 0 ? position % layer.depth : position / layer.outputs
          largest[channel] = max(largest[channel], abs(layer.weights.span[position]))
        }
      }
      let factors = zip(range, largest).map { activation, weight -> Float in
        guard activation > 0, weight > 0 else { return 1 }
        let factor = Float.pow(activation, Float(share)) / Float.pow(weight, Float(1 - share))
        return min(max(factor, 1e-4), 1e4)
      }
      for name in graph.nodes[position].inputs[1...] {
        result.scale(name, by: factors.map { 1 / $0 }) { $0 }
      }
      for layer in layers {
        result.scale(layer.node.inputs[1], by: factors) {
          layer.axis == 0 ? $0 % layer.depth : $0 / layer.outputs
        }
      }
    }
    return result
  }
}

extension Graph {
  /// Multiplies the elements of a constant by the factors of their channels.
  fileprivate mutating func scale(
    _ name: String, by factors: [Float], _ channel: (Int) -> Int
  ) {
    guard let tensor: Tensor<Float> = initializers[name]?.typed() else { return }
    initializers[name] = .float32(
      Tensor(tensor.shape, tensor.elements.enumerated().map { $1 * factors[channel($0)] }))
  }
}
