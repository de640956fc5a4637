// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// A layer whose size depends on which channels are kept.
struct SizedLayer {
  /// The layer with all channels.
  let whole: WeightedLayer
  /// The layer's position in the graph.
  let index: Int
  /// The channel at each index of the input axis; `nil` if the input has no traced channels, such
  /// as an image.
  private let inputs: [(group: Int, index: Int)]?
  /// The channel at each index of the output axis.
  private let outputs: [(group: Int, index: Int)]

  /// Groups of the channels that the layer reads or writes.
  var groups: [Int] { Set(((inputs ?? []) + outputs).map(\.group)).sorted() }

  /// Finds the layers that can shrink: Conv, Gemm and MatMul, including depthwise convolutions.
  /// Sums, pools and other operators between them are not counted.
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
      // Either whole groups are removed, or some channels of each.
      found.keepsGroups = groups.trace.adjustments[index] == nil
      result.append(
        SizedLayer(
          whole: found, index: index, inputs: members(input.channels),
          outputs: members(output.channels)))
    }
    return result.sorted { $0.index < $1.index }
  }

  /// The layer with some channels removed.
  ///
  /// - Parameter stays: The channels to keep, by group; all channels of other groups are kept.
  func keeping(_ stays: [Int: Set<Int>]) -> WeightedLayer {
    func count(_ members: [(group: Int, index: Int)]) -> Int {
      members.count { stays[$0.group]?.contains($0.index) ?? true }
    }
    return whole.resized(inputs: inputs.map(count) ?? whole.inputs, outputs: count(outputs))
  }
}

extension Node {
  /// Whether the node is a convolution with more than one group.
  fileprivate var isGrouped: Bool {
    guard let layer = try? LinearLayer(self), layer.kind == .conv else { return false }
    return layer.groups > 1
  }
}
