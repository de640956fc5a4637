// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// A layer of a graph, as large as the channels that are left make it.
struct SizedLayer {
  /// As it is now, with all channels.
  let whole: WeightedLayer
  /// The layer's position in the graph.
  let index: Int
  /// The channel at each place that it reads; `nil` if it reads what is no channels, such as an
  /// image.
  private let inputs: [(group: Int, index: Int)]?
  private let outputs: [(group: Int, index: Int)]

  /// The groups whose channels it reads or writes.
  var groups: [Int] { Set(((inputs ?? []) + outputs).map(\.group)).sorted() }

  /// The layers that could get smaller: Conv, Gemm and MatMul, depthwise convolutions too. Sums,
  /// pools and the like between them are not counted.
  static func find(in groups: ChannelGroups) throws -> [SizedLayer] {
    func members(_ channels: [Int]) -> [(group: Int, index: Int)] {
      channels.map { groups.members[$0] }
    }
    var result: [SizedLayer] = []
    for layer in groups.trace.layers where !groups.graph.nodes[layer.index].isGrouped {
      guard
        case .layer(let found)? = try WeightedLayer.find(
          groups.graph.nodes[layer.index], in: groups.graph)
      else { continue }
      result.append(
        SizedLayer(
          whole: found, index: layer.index, inputs: layer.inputs.map(members),
          outputs: members(layer.outputs)))
    }
    for (index, node) in groups.graph.nodes.enumerated() where node.isGrouped {
      guard let input = groups.values[node.inputs[0]], let output = groups.values[node.outputs[0]],
        var found = try WeightedLayer(grouped: node, in: groups.graph)
      else { continue }
      // Either whole groups go, or some channels of each.
      found.keepsGroups = groups.trace.adjustments[index] == nil
      result.append(
        SizedLayer(
          whole: found, index: index, inputs: members(input.channels),
          outputs: members(output.channels)))
    }
    return result.sorted { $0.index < $1.index }
  }

  /// The layer with the channels of the groups that stay, by group; all of the others.
  func keeping(_ stays: [Int: Set<Int>]) -> WeightedLayer {
    func count(_ members: [(group: Int, index: Int)]) -> Int {
      members.count { stays[$0.group]?.contains($0.index) ?? true }
    }
    return whole.resized(inputs: inputs.map(count) ?? whole.inputs, outputs: count(outputs))
  }
}

extension Node {
  /// Whether it is a convolution of several groups of channels.
  fileprivate var isGrouped: Bool {
    guard let layer = try? LinearLayer(self), layer.kind == .conv else { return false }
    return layer.groups > 1
  }
}
