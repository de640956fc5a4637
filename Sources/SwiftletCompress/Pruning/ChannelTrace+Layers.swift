// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// Tracing through layers, which create channels and sum over their input channels.
extension ChannelTrace {
  /// Follows the channels through a layer.
  ///
  /// - Returns: Whether the node is a layer, plain or grouped.
  mutating func followLayer(_ node: Node, _ index: Int) throws -> Bool {
    guard let layer = try LinearLayer(node, in: graph) else { return false }
    let input = values[node.inputs[0]]
    guard !layer.isOnLeft, let weights = graph.initializers[layer.weights],
      weights.dtype == .float32
    else {
      let reason = refusal(of: layer)
      refusals.append(reason)
      for name in node.inputs { pin(name, reason) }
      return true
    }
    guard values[layer.weights] == nil else {
      let reason = "the weights of \(node.label) are computed"
      for name in node.inputs { pin(name, reason) }
      return true
    }
    let shape = weights.shape
    switch layer.kind {
    case .conv:
      convolve(layer, index, input, shape)
      return true
    case .convTranspose:
      spread(layer, index, input, shape)
      return true
    case .gemm, .matMul: break
    }
    guard !layer.transposesData else {
      pin(layer.data, "\(node.label) transposes its input")
      return true
    }
    guard shape.rank == 2, let rank = self.shape(node.inputs[0])?.rank, rank >= 2 else {
      pin(node.inputs[0], "the weights of \(node.label) are not a matrix")
      return true
    }
    let (depth, across) = (layer.inputAxis(rank: 2), layer.outputAxis(rank: 2))
    let outputs = newChannels(shape[across])
    set(node.outputs[0], ChannelAxis(axis: rank - 1, channels: outputs))
    addUse(index, 1, across, outputs)
    if let input {
      if input.axis == rank - 1 {
        addUse(index, 1, depth, input.channels)
      } else {
        pin(input.channels, "\(node.label) reads the channels along another axis")
      }
    }
    let read = input?.axis == rank - 1 ? input?.channels : nil
    addLayer(index, outputs: outputs, inputs: read)
    addBias(node, index, outputs)
    return true
  }

  /// Why the weights of a layer cannot be sliced.
  private func refusal(of layer: LinearLayer) -> String {
    let node = layer.node
    if layer.isOnLeft {
      return "\(node.label) has its weights on the left: it sums over positions, not over channels"
    }
    if let weights = graph.initializers[layer.weights] {
      return "the weights of \(node.label) are \(weights.dtype), not fp32"
    }
    return "the weights of \(node.label) are computed"
  }

  private mutating func convolve(
    _ layer: LinearLayer, _ index: Int, _ input: ChannelAxis?, _ shape: Shape
  ) {
    let (node, groups) = (layer.node, layer.groups)
    let outputs = shape[0]
    if groups > 1 {
      if let input, input.axis == 1, input.channels.count == groups {
        let made = input.channels.flatMap { [Int](repeating: $0, count: outputs / groups) }
        set(node.outputs[0], ChannelAxis(axis: 1, channels: made))
        addUse(index, 1, 0, made)
        adjust(index, .groups)
        addBias(node, index, made)
      } else {
        convolveGroups(layer, index, input, shape, outputs: outputs)
      }
      return
    }
    let made = newChannels(outputs)
    set(node.outputs[0], ChannelAxis(axis: 1, channels: made))
    addUse(index, 1, 0, made)
    addLayer(index, outputs: made, inputs: input?.axis == 1 ? input?.channels : nil)
    addReads(node, index, axis: 1, input)
    addBias(node, index, made)
  }

  /// A convolution with several channels per group, possibly transposed. All groups stay equally
  /// large: either whole groups are removed, with their inputs and outputs, or the channels at the
  /// same positions of all groups, whichever leaves more choice.
  private mutating func convolveGroups(
    _ layer: LinearLayer, _ index: Int, _ input: ChannelAxis?, _ shape: Shape, outputs: Int
  ) {
    let (node, groups, isTransposed) = (layer.node, layer.groups, !layer.isOutputMajor)
    let (read, written) = (isTransposed ? shape[0] / groups : shape[1], outputs / groups)
    let made = newChannels(outputs)
    set(node.outputs[0], ChannelAxis(axis: 1, channels: made))
    addBias(node, index, made)
    // Its weights are not a matrix over all channels: such layers are neither used for ranking nor
    // refitted.
    addLayer(index, outputs: made, inputs: nil)
    let follows = input?.axis == 1
    if let input, !follows {
      pin(input.channels, "\(node.label) reads the channels along another axis")
    }
    let cutsColumns = !follows || min(read, written) >= groups
    if cutsColumns { uniteColumns(made, rows: groups) }
    let ofOneGroup = Array(made[..<written])
    if !isTransposed {
      addUse(index, 1, 0, made)
    } else if cutsColumns {
      addUse(index, 1, 1, ofOneGroup)
    }
    guard let input, follows else { return }
    if isTransposed { addUse(index, 1, 0, input.channels) }
    if cutsColumns {
      uniteColumns(input.channels, rows: groups)
      if !isTransposed { addUse(index, 1, 1, Array(input.channels[..<read])) }
    } else {
      for group in 0..<groups {
        let members =
          Array(input.channels[group * read..<(group + 1) * read])
          + made[group * written..<(group + 1) * written]
        for other in members.dropFirst() { unite(members[0], other) }
      }
      adjust(index, .groups)
    }
  }

  /// Merges the channels at the same position of several rows of equal length.
  mutating func uniteColumns(_ channels: [Int], rows: Int) {
    let length = channels.count / max(1, rows)
    for place in length..<max(length, channels.count) {
      unite(channels[place % length], channels[place])
    }
  }

  /// A transposed convolution, whose weights are inputs × outputs.
  private mutating func spread(
    _ layer: LinearLayer, _ index: Int, _ input: ChannelAxis?, _ shape: Shape
  ) {
    let (node, groups) = (layer.node, layer.groups)
    guard groups == 1 else {
      guard let input, input.axis == 1, input.channels.count == groups else {
        convolveGroups(layer, index, input, shape, outputs: shape[1] * groups)
        return
      }
      let made = input.channels.flatMap { [Int](repeating: $0, count: shape[1]) }
      set(node.outputs[0], ChannelAxis(axis: 1, channels: made))
      addUse(index, 1, 0, input.channels)
      adjust(index, .groups)
      addBias(node, index, made)
      return
    }
    let made = newChannels(shape[1])
    set(node.outputs[0], ChannelAxis(axis: 1, channels: made))
    addUse(index, 1, 1, made)
    addLayer(index, outputs: made, inputs: nil)
    addReads(node, index, axis: 0, input)
    addBias(node, index, made)
  }

  /// Records the channels that the weights read along one of their axes.
  private mutating func addReads(_ node: Node, _ index: Int, axis: Int, _ input: ChannelAxis?) {
    guard let input else { return }
    guard input.axis == 1 else {
      pin(input.channels, "\(node.label) reads the channels along another axis")
      return
    }
    addUse(index, 1, axis, input.channels)
  }

  private mutating func addBias(_ node: Node, _ index: Int, _ outputs: [Int]) {
    guard node.inputs.count > 2, !node.inputs[2].isEmpty else { return }
    guard let bias = graph.initializers[node.inputs[2]], bias.shape.rank <= 2 else {
      pin(outputs, "the bias of \(node.label) is computed")
      pin(node.inputs[2], "\(node.label) adds the channels to its outputs")
      return
    }
    guard let extent = bias.shape.dimensions.last, extent > 1 || outputs.count == 1 else { return }
    addUse(index, 2, bias.shape.rank - 1, outputs)
  }
}
