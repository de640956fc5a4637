// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore

extension Fusion {
  /// `DynamicQuantizeLinear`, `MatMulInteger` with constant weights, `Cast` and `Mul` by both
  /// scales become `DynamicQuantizeMatMul`. A bias remains a separate `Add`.
  mutating func fuseDynamicQuantization() {
    for index in graph.nodes.indices where graph.nodes[index].opType == "MatMulInteger" {
      let product = graph.nodes[index]
      guard product.inputs.count > 2, product.domain.isEmpty,
        let (_, range) = producer(product.inputs[0]), range.opType == "DynamicQuantizeLinear",
        range.outputs.count == 3, range.outputs[0] == product.inputs[0],
        range.outputs[2] == product.inputs[2],
        let weights = graph.initializers[product.inputs[1]], weights.shape.rank == 2,
        let (_, cast) = onlyReader(product.outputs[0]), cast.opType == "Cast",
        infos[cast.outputs[0]]?.dtype == .float32,
        let (end, scaled) = onlyReader(cast.outputs[0]), scaled.opType == "Mul",
        let factors = scaled.inputs.first(where: { $0 != cast.outputs[0] }),
        let scale = weightScale(factors, beside: range.outputs[1], columns: weights.shape[1])
      else { continue }
      replace(
        end,
        by: Node(
          DynamicQuantizeMatMul.opType, name: scaled.name, domain: DynamicQuantizeMatMul.domain,
          inputs: [range.inputs[0], product.inputs[1], scale] + product.inputs.dropFirst(3),
          outputs: scaled.outputs))
    }
  }

  /// The constant that multiplies the scale of the rows.
  private func weightScale(_ factors: String, beside rows: String, columns: Int) -> String? {
    guard let product = producer(factors, "Mul"), product.inputs.contains(rows),
      let scale = product.inputs.first(where: { $0 != rows }),
      case .float32(let tensor)? = graph.initializers[scale],
      tensor.shape.rank <= 1, tensor.count == 1 || tensor.count == columns
    else { return nil }
    return scale
  }
}
