// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore

extension Fusion {
  /// (x − mean) / √(mean((x − mean)²) + epsilon) · gamma + beta over the last axis becomes
  /// `LayerNormalization`; exporters wrote this form before operator set 17.
  mutating func fuseNormalizations() {
    for index in graph.nodes.indices where graph.nodes[index].opType == "Div" {
      guard let (x, epsilon) = normalized(graph.nodes[index]),
        let channels = shape(x)?.dimensions.last,
        let (scale, scaled) = onlyReader(graph.nodes[index].outputs[0]), scaled.opType == "Mul",
        let gamma = vector(scaled, beside: graph.nodes[index].outputs[0], channels)
      else { continue }
      var (end, inputs) = (scale, [x, gamma])
      if let (shift, shifted) = onlyReader(scaled.outputs[0]), shifted.opType == "Add",
        let beta = vector(shifted, beside: scaled.outputs[0], channels)
      {
        end = shift
        inputs.append(beta)
      }
      let last = graph.nodes[end]
      replace(
        end,
        by: Node(
          "LayerNormalization", name: last.name, inputs: inputs, outputs: last.outputs,
          attributes: ["axis": .int(-1), "epsilon": .float(epsilon)]))
    }
  }

  /// The value that a division normalizes, and the epsilon.
  private func normalized(_ division: Node) -> (x: String, epsilon: Float)? {
    guard division.inputs.count == 2, let x = centred(division.inputs[0]),
      infos[x]?.dtype == .float32, let rank = shape(x)?.rank,
      let root = producer(division.inputs[1], "Sqrt"),
      let sum = producer(root.inputs[0], "Add"),
      let (variance, epsilon) = scaled(sum, commutes: true),
      let mean = producer(variance, "ReduceMean"), isOverLastAxis(mean, rank: rank),
      let square = producer(mean.inputs[0]), square.node.inputs.count == 2
    else { return nil }
    let inputs = square.node.inputs
    switch square.node.opType {
    case "Pow": guard scalar(inputs[1], rank: rank) == 2 else { return nil }
    case "Mul": guard inputs[0] == inputs[1] else { return nil }
    default: return nil
    }
    return centred(inputs[0]) == x ? (x, epsilon) : nil
  }

  /// The value whose mean a difference subtracts.
  private func centred(_ name: String) -> String? {
    guard let difference = producer(name, "Sub"),
      let mean = producer(difference.inputs[1], "ReduceMean"),
      mean.inputs[0] == difference.inputs[0],
      let rank = shape(mean.inputs[0])?.rank, isOverLastAxis(mean, rank: rank)
    else { return nil }
    return mean.inputs[0]
  }

  /// Whether the mean is over the last axis and keeps it.
  private func isOverLastAxis(_ mean: Node, rank: Int) -> Bool {
    guard (try? mean.int("keepdims", default: 1)) == 1 else { return false }
    var axes = try? mean.ints("axes")
    if mean.inputs.count > 1, case .int64(let given)? = graph.initializers[mean.inputs[1]] {
      axes = given.elements.map(Int.init)
    }
    guard let axes, axes.count == 1 else { return false }
    return axes[0] == -1 || axes[0] == rank - 1
  }

  /// The constant with one element per channel that is combined with a value.
  private func vector(_ node: Node, beside name: String, _ channels: Int) -> String? {
    guard let other = node.inputs.first(where: { $0 != name }),
      case .float32(let tensor)? = graph.initializers[other], tensor.shape == [channels]
    else { return nil }
    return other
  }
}
