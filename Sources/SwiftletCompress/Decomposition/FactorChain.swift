// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
package import SwiftletGraph

/// A sequence of smaller layers that replaces a layer.
package struct FactorChain {
  /// One of the smaller layers.
  struct Stage {
    /// Conv: outputs × inputs per group × window; Gemm and MatMul: outputs × inputs.
    let weights: Tensor<Float>
    let steps: Steps
    var groups = 1
  }

  /// The axes along which a stage moves the layer's window, with the strides, pads and dilations of
  /// the layer.
  enum Steps {
    case none
    case first
    case last
    case all
  }

  var stages: [Stage]
  var bias: Tensor<Float>?

  /// Total number of weights in all stages.
  var weightCount: Int { stages.reduce(0) { $0 + $1.weights.count } }

  /// Replaces the node of the layer in a graph.
  ///
  /// - Returns: The names of the new nodes.
  /// - Throws: `internal` if the graph does not contain the node.
  @discardableResult
  package func write(_ layer: WeightedLayer, to graph: inout Graph) throws -> [String] {
    guard let index = graph.producer(of: layer.linear.output), graph.nodes[index] == layer.node
    else {
      throw SwiftletError(.internal, "the layer is not in the graph", at: layer.node.label)
    }
    var names = FreshNames(graph)
    let base = layer.node.reportName
    var value = layer.node.inputs[0]
    var nodes: [Node] = []
    for (position, stage) in stages.enumerated() {
      let isLast = position == stages.count - 1
      let weightName = names.next("\(base).\(position + 1).weight")
      let addsLater = isLast && bias != nil && layer.linear.kind == .matMul
      let output =
        isLast && !addsLater ? layer.node.outputs[0] : names.next("\(base).\(position + 1).out")
      var node = Node(
        layer.node.opType, name: names.next("\(base).\(position + 1)"),
        inputs: [value, weightName], outputs: [output])
      switch layer.linear.kind {
      case .conv: node.attributes = try attributes(stage, layer.node)
      case .gemm: node.attributes = ["transB": .int(1)]
      default: break
      }
      graph.initializers[weightName] = .float32(
        layer.linear.kind == .matMul ? stage.weights.transposed().contiguous() : stage.weights)
      graph.keepHalf(of: layer.linear.weights, for: weightName)
      if isLast, let bias {
        let biasName = names.next("\(base).bias")
        graph.initializers[biasName] = .float32(bias)
        if addsLater {
          nodes.append(node)
          node = Node(
            "Add", name: names.next("\(base).add"), inputs: [output, biasName],
            outputs: layer.node.outputs)
        } else {
          node.inputs.append(biasName)
        }
      }
      nodes.append(node)
      value = output
    }
    graph.replaceNode(at: index, with: nodes)
    return nodes.map(\.name)
  }

  private func attributes(_ stage: Stage, _ node: Node) throws -> [String: Attribute] {
    let kernel = Array(stage.weights.shape.dimensions[2...])
    var result: [String: Attribute] = ["kernel_shape": .ints(kernel)]
    if stage.groups > 1 { result["group"] = .int(stage.groups) }
    let axes = Set(stage.steps.axes(of: kernel.count))
    guard !axes.isEmpty else { return result }
    let window = try SlidingWindow(node, kernel: kernel)
    func along(_ values: [Int], _ absent: Int) -> Attribute {
      .ints(values.enumerated().map { axes.contains($0 % kernel.count) ? $1 : absent })
    }
    result["strides"] = along(window.strides, 1)
    result["dilations"] = along(window.dilations, 1)
    if window.autoPad == .explicit {
      result["pads"] = along(window.pads, 0)
    } else {
      // Automatic padding adds nothing along an axis with one tap and stride 1.
      result["auto_pad"] = .string(window.autoPad.rawValue)
    }
    return result
  }
}

extension FactorChain.Steps {
  fileprivate func axes(of rank: Int) -> [Int] {
    switch self {
    case .none: []
    case .first: [0]
    case .last: [rank - 1]
    case .all: Array(0..<rank)
    }
  }
}
