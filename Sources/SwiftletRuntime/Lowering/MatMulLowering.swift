// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// `MatMul` and `Gemm`: with a constant matrix for the whole batch, or of two values.
///
/// A matrix after a flattened image is a convolution with a window as large as the image.
enum MatMulLowering: LoweredOperator {
  static let opTypes = ["Gemm", "MatMul"]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    if hasConstantMatrix(node, facts) {
      return facts.isBatched(layout(node, node.outputs[0], facts))
    }
    return node.opType == "MatMul" && isBatched(node, facts)
  }

  static func data(_ node: Node, _ facts: GraphFacts) -> [String] {
    hasConstantMatrix(node, facts) ? [node.inputs[0]] : facts.values(node.inputs)
  }

  /// Whether one constant matrix is multiplied by all rows of a value.
  static func hasConstantMatrix(_ node: Node, _ facts: GraphFacts) -> Bool {
    guard let layer = try? LinearLayer(node), layer.isPlain, facts.isValue(node.inputs[0]),
      facts.isValue(node.outputs[0]), facts.shape(node.inputs[1]).rank == 2
    else { return false }
    return weights(node, facts) != nil
  }

  private static func weights(_ node: Node, _ facts: GraphFacts) -> ProductWeights? {
    let shape = facts.shape(node.outputs[0])
    return ProductWeights(
      node, facts, transposed: isInputMajor(node), columns: shape[shape.rank - 1])
  }

  /// Whether the matrix is stored K×N, inputs first.
  private static func isInputMajor(_ node: Node) -> Bool {
    (try? LinearLayer(node))?.isOutputMajor != true
  }

  /// The layout in which the left side is read: rows are contiguous.
  private static func leftLayout(_ node: Node, _ facts: GraphFacts) -> Layout {
    let rank = facts.shape(node.inputs[0]).rank
    guard facts.constant(node, 0) == nil else { return .rows(rank) }
    let own = facts.layout(node.inputs[0])
    return own.channelAxis == rank - 1 ? own : .rows(rank)
  }

  /// The right side: rows or columns are contiguous.
  private static func rightLayout(_ node: Node, _ facts: GraphFacts) -> Layout {
    let rank = facts.shape(node.inputs[1]).rank
    guard facts.constant(node, 1) == nil else { return .rows(rank) }
    let own = facts.layout(node.inputs[1])
    return own.channelAxis >= rank - 2 ? own : .rows(rank)
  }

  static func layout(_ node: Node, _ result: String, _ facts: GraphFacts) -> Layout {
    let rank = facts.shape(result).rank
    // A transposition of the rows alone is done on the way.
    let readers = facts.consumers(result)
    if !hasConstantMatrix(node, facts), readers.count == 1,
      case let reader = facts.graph.nodes[readers[0]], reader.opType == "Transpose",
      let permutation = try? reader.ints("perm"), permutation.last == rank - 1,
      facts.isBatched(Layout(order: permutation))
    {
      return Layout(order: permutation)
    }
    let left = leftLayout(node, facts)
    return left.rank == rank ? left : .rows(rank)
  }

  // MARK: A constant matrix

  static func lower(_ node: Node, into lowering: inout Lowering) {
    let facts = lowering.facts
    guard hasConstantMatrix(node, facts) else { return lowerBatched(node, &lowering) }
    let layout = leftLayout(node, facts)
    let image = lowering.size(of: node.inputs[0], layout)
    let window = Window(of: image, depth: facts.depth(of: node))
    if let groupwise = GroupwiseWeights(node, facts, transposed: isInputMajor(node)),
      layout == facts.layout(node.inputs[0]),
      let operands = Selection.groupwise(
        window, group: groupwise.group, readsBytes: lowering.dequantized(node.inputs[0]) != nil)
    {
      return lowering.addGroupwise(node, groupwise, operands, bias: weights(node, facts)!.bias)
    }
    lowering.addProduct(node, weights(node, facts)!, window, groups: 1, in: layout)
  }

  static func takesBFloat(_ node: Node, _ name: String, _ lowering: Lowering) -> Bool {
    let facts = lowering.facts
    return name == node.inputs[0] && !node.inputs.dropFirst().contains(name)
      && facts.floats(node, 1) != nil && facts.layout(name) == leftLayout(node, facts)
  }

  // MARK: Two values

  private static func isBatched(_ node: Node, _ facts: GraphFacts) -> Bool {
    let result = node.outputs[0]
    guard facts.isValue(result), !facts.values(node.inputs).isEmpty,
      node.inputs.indices.allSatisfy({ index in
        if facts.constant(node, index) == nil { return facts.isValue(node.inputs[index]) }
        return facts.floats(node, index).map { $0.shape.rank >= 2 && $0.count > 0 } == true
      })
    else { return false }
    let rank = facts.shape(result).rank
    // Every image has its own matrices.
    return facts.images == 1
      || rank > 2 && facts.isBatched(layout(node, result, facts))
        && facts.values(node.inputs).allSatisfy {
          facts.shape($0).rank == rank && facts.shape($0)[0] == facts.shape(result)[0]
        }
        && node.inputs.indices.allSatisfy { index in
          facts.floats(node, index).map { $0.shape.rank < rank || $0.shape[0] == 1 } ?? true
        }
  }

  private static func lowerBatched(_ node: Node, _ lowering: inout Lowering) {
    let (facts, result) = (lowering.facts, node.outputs[0])
    let (layout, shape) = (facts.layout(result), facts.shape(result))
    let (left, right) = (leftLayout(node, facts), rightLayout(node, facts))
    let operands = [left, right].enumerated().map { index, own in
      let constant = facts.floats(node, index)
      let extents = constant?.shape ?? facts.shape(node.inputs[index])
      let source: OperandSource
      let distances: [Distance]
      if let constant {
        source = .constant(AlignedMemory(constant.elements), image: 0)
        distances = Distance.elements(extents)
      } else {
        source = .value(lowering.float(node.inputs[index], own))
        distances = own.distances(extents)
      }
      let batch = (0..<shape.rank - 2).map { axis in
        let place = axis - (shape.rank - extents.rank)
        return place < 0 || extents[place] == 1 ? Distance() : distances[place]
      }
      // The columns of the left side are contiguous.
      let matrix = distances.suffix(2).prefix(index == 0 ? 1 : 2)
      return Operand(source: source, from: batch + matrix)
    }
    let output = lowering.newValue(for: result, .float)
    lowering.bind(result, .float(output))
    let extents = shape.perImage(facts.images, layout)
    lowering.add(
      BatchedProductInstruction(
        label: node.label, left: operands[0], right: operands[1],
        extents: Array(extents.dropLast(2)), to: Array(layout.distances(shape).dropLast()),
        rows: extents[shape.rank - 2],
        depth: facts.depth(of: node), columns: shape[shape.rank - 1], output: output))
  }
}

extension GraphFacts {
  /// The number of terms in the sums of a `Gemm` or `MatMul`.
  fileprivate func depth(of node: Node) -> Int {
    let shape = shape(node.inputs[1])
    let transposes = (try? node.int("transB", default: 0)) == 1
    return shape[shape.rank - (transposes ? 1 : 2)]
  }
}
