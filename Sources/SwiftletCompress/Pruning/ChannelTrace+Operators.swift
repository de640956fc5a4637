// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// Tracing through operators other than layers.
extension ChannelTrace {
  /// Elementwise functions: the output has the channels of the input.
  private static let functions: Set<String> = [
    "Relu", "Celu", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Selu",
    "Sigmoid", "Softplus", "Softsign", "Swish", "Tanh", "ThresholdedRelu", "Ceil", "Floor", "Round",
    "Exp", "Log", "Sqrt", "Reciprocal", "Erf", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh",
    "Cosh", "Asinh", "Acosh", "Atanh", "Neg", "Abs", "Sign", "Identity", "Clip", "Cast", "Shrink",
    "Dropout",
  ]
  /// Elementwise operators of several values.
  private static let joins: Set<String> = [
    "Add", "Sub", "Mul", "Div", "Pow", "PRelu", "Min", "Max", "Sum", "Mean",
  ]
  /// Pooling over the spatial axes, 2 and up.
  private static let pools: Set<String> = [
    "MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool",
  ]

  /// Follows the channels through a node; pins them if the operator may mix channels.
  mutating func follow(_ index: Int) throws {
    let node = graph.nodes[index]
    let isLayer = try followLayer(node, index)
    if isLayer { return }
    try followCounts(node)
    // Nodes without traced inputs have no effect on channels.
    guard node.reads.contains(where: { values[$0] != nil }) else { return }
    if try node.captures.isEmpty && isUnderstood(node, index) { return }
    for name in node.reads { pin(name, "\(node.label) reads the channels and may mix them") }
  }

  /// Follows the channels through a node that is not a layer.
  ///
  /// - Returns: `false` if the node may do anything with them.
  private mutating func isUnderstood(_ node: Node, _ index: Int) throws -> Bool {
    if Self.joins.contains(node.opType) { return join(node, index) }
    if node.opType == "Concat" { return try concatenate(node, index) }
    guard let input = values[node.inputs[0]],
      node.inputs.dropFirst().allSatisfy({ values[$0] == nil })
    else { return false }
    if node.opType == "Split" { return try split(node, index, input) }
    guard node.outputs.dropFirst().allSatisfy(\.isEmpty) else { return false }
    let output = node.outputs[0]
    switch node.opType {
    case let name where Self.functions.contains(name): set(output, input)
    case let name where Self.pools.contains(name) && input.axis == 1: set(output, input)
    case "BatchNormalization":
      guard input.axis == 1, try node.int("training_mode", default: 0) == 0,
        node.inputs.dropFirst().allSatisfy({ graph.initializers[$0] != nil })
      else { return false }
      for position in 1..<node.inputs.count { addUse(index, position, 0, input.channels) }
      set(output, input)
    case "Flatten", "Reshape": return reshape(node, index, input)
    case "Squeeze", "Unsqueeze":
      guard hasSameFront(node, axis: input.axis) else { return false }
      set(output, input)
    case "Transpose":
      guard let order = try node.ints("perm"), let axis = order.firstIndex(of: input.axis) else {
        return false
      }
      set(output, ChannelAxis(axis: axis, channels: input.channels))
    case "Pad", "Resize", "Upsample": return try stretch(node, index, input)
    case "InstanceNormalization": return normalize(node, index, input, groups: nil)
    case "GroupNormalization":
      return normalize(node, index, input, groups: try node.int("num_groups", default: 1))
    case "Slice": return try slice(node, index, input)
    // Its elements are traced as well, by `followCounts`.
    case "Shape": break
    case let name where name.hasPrefix("Reduce"): return try reduce(node, input)
    default: return false
    }
    return true
  }

  // MARK: Joins

  /// Follows the channels through elementwise operators of several values, with broadcasting.
  private mutating func join(_ node: Node, _ index: Int) -> Bool {
    guard let result = shape(node.outputs[0]) else { return false }
    // Old operator sets specify the alignment of the right operand explicitly.
    if graph.opset < 7, Set(node.inputs.map { shape($0) }).count > 1 { return false }
    let axes = node.inputs.compactMap { name -> Int? in
      guard let value = values[name], let rank = shape(name)?.rank else { return nil }
      return value.axis + result.rank - rank
    }
    guard let axis = axes.first, axes.allSatisfy({ $0 == axis }) else { return false }
    let extent = result[axis]
    var joined: [Int]?
    for name in node.inputs {
      guard let shape = shape(name) else { return false }
      let own = axis - (result.rank - shape.rank)
      let isRepeated = own < 0 || (shape[own] == 1 && extent > 1)
      if let value = values[name] {
        guard !isRepeated else {
          pin(value.channels, "\(node.label) broadcasts the only channel")
          continue
        }
        if let joined {
          for (first, second) in zip(joined, value.channels) { unite(first, second) }
        } else {
          joined = value.channels
        }
      } else if isRepeated {
        continue
      } else if graph.initializers[name] == nil {
        return false
      }
    }
    guard let joined else { return true }
    for (position, name) in node.inputs.enumerated() where values[name] == nil {
      guard let shape = shape(name) else { return false }
      let own = axis - (result.rank - shape.rank)
      if own >= 0, shape[own] == extent { addUse(index, position, own, joined) }
    }
    set(node.outputs[0], ChannelAxis(axis: axis, channels: joined))
    return true
  }

  private mutating func concatenate(_ node: Node, _ index: Int) throws -> Bool {
    guard let result = shape(node.outputs[0]) else { return false }
    let declared = try node.int("axis", default: 0)
    let axis = declared < 0 ? declared + result.rank : declared
    let known = node.inputs.compactMap { values[$0] }
    guard let first = known.first, known.allSatisfy({ $0.axis == first.axis }) else { return false }
    guard axis == first.axis else {
      // Side by side in space: the channels are the same.
      guard known.count == node.inputs.count else { return false }
      for other in known.dropFirst() {
        for (a, b) in zip(first.channels, other.channels) { unite(a, b) }
      }
      set(node.outputs[0], first)
      return true
    }
    var channels: [Int] = []
    for name in node.inputs {
      if let value = values[name] {
        channels += value.channels
      } else {
        guard let extent = shape(name)?[axis] else { return false }
        let fixed = newChannels(extent)
        pin(fixed, "the channels belong to '\(name)', which no layer computes")
        channels += fixed
      }
    }
    set(node.outputs[0], ChannelAxis(axis: axis, channels: channels))
    return true
  }

  // MARK: Shapes

  /// Whether all axes up to the channel axis are unchanged.
  private func hasSameFront(_ node: Node, axis: Int) -> Bool {
    guard let from = shape(node.inputs[0]), let to = shape(node.outputs[0]), to.rank > axis else {
      return false
    }
    return from.dimensions[...axis] == to.dimensions[...axis]
  }

  private mutating func reduce(_ node: Node, _ input: ChannelAxis) throws -> Bool {
    guard let rank = shape(node.inputs[0])?.rank else { return false }
    var axes = try node.ints("axes")
    if node.inputs.count > 1, !node.inputs[1].isEmpty {
      guard let constant: Tensor<Int64> = graph.initializers[node.inputs[1]]?.typed() else {
        return false
      }
      axes = constant.elements.map { Int($0) }
    }
    guard let reduced = axes?.map({ $0 < 0 ? $0 + rank : $0 }), !reduced.isEmpty,
      !reduced.contains(input.axis)
    else { return false }
    let keeps = try node.int("keepdims", default: 1) != 0
    let gone = keeps ? 0 : reduced.count { $0 < input.axis }
    set(node.outputs[0], ChannelAxis(axis: input.axis - gone, channels: input.channels))
    return true
  }

  /// Operators that change the spatial extents.
  private mutating func stretch(_ node: Node, _ index: Int, _ input: ChannelAxis) throws -> Bool {
    guard hasSameFront(node, axis: input.axis) else { return false }
    if node.opType == "Pad" {
      // Equal padding before and after the channels would shift them.
      guard let pads = try node.ints("pads") ?? constants(node, 1), node.inputs.count < 4,
        let rank = shape(node.inputs[0])?.rank, pads.count == 2 * rank, pads[input.axis] == 0
      else { return false }
      set(node.outputs[0], input)
      return true
    }
    guard try node.string("coordinate_transformation_mode", default: "") != "tf_crop_and_resize",
      node.attributes["axes"] == nil
    else { return false }
    let position = 3
    if node.inputs.count > position, !node.inputs[position].isEmpty {
      if constants(node, position) != nil {
        adjust(index, .extents(position))
      } else if !isCounted(node.inputs[position], at: input.axis, input.channels) {
        return false
      }
    }
    set(node.outputs[0], input)
    return true
  }

  /// The elements of a constant int64 input; `nil` if it is missing or computed.
  func constants(_ node: Node, _ position: Int) -> [Int]? {
    guard position < node.inputs.count,
      let tensor: Tensor<Int64> = graph.initializers[node.inputs[position]]?.typed()
    else { return nil }
    return tensor.elements.map { Int($0) }
  }
}
