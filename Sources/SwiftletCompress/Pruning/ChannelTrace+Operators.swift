import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// What operators do to channels.
extension ChannelTrace {
  /// Functions of one number: the result has the channels of the input, without constants.
  private static let functions: Set<String> = [
    "Relu", "Celu", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Selu",
    "Sigmoid", "Softplus", "Softsign", "Swish", "Tanh", "ThresholdedRelu", "Ceil", "Floor", "Round",
    "Exp", "Log", "Sqrt", "Reciprocal", "Erf", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh",
    "Cosh", "Asinh", "Acosh", "Atanh", "Neg", "Abs", "Sign", "Identity", "Clip", "Cast", "Shrink",
    "Dropout",
  ]
  private static let joins: Set<String> = [
    "Add", "Sub", "Mul", "Div", "Pow", "PRelu", "Min", "Max", "Sum", "Mean",
  ]
  /// Windows over space, axes 2 and up.
  private static let pools: Set<String> = [
    "MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool",
  ]

  mutating func follow(_ index: Int) throws {
    let node = graph.nodes[index]
    let isLayer = try followLayer(node, index)
    if isLayer { return }
    // The rest has something to say only where channels come in.
    guard node.reads.contains(where: { values[$0] != nil }) else { return }
    if try node.captures.isEmpty && isUnderstood(node, index) { return }
    for name in node.reads { pin(name, "\(node.label) reads them, which may mix channels") }
  }

  /// Follows the channels through a node that is no layer.
  ///
  /// - Returns: `false` if it may do anything with them.
  private mutating func isUnderstood(_ node: Node, _ index: Int) throws -> Bool {
    if Self.joins.contains(node.opType) { return join(node, index) }
    if node.opType == "Concat" { return try concatenate(node, index) }
    guard let input = values[node.inputs[0]],
      node.inputs.dropFirst().allSatisfy({ values[$0] == nil }),
      node.outputs.dropFirst().allSatisfy(\.isEmpty)
    else { return false }
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
    case "Shape": return try readsShapeWithoutChannels(node, input)
    case let name where name.hasPrefix("Reduce"): return try reduce(node, input)
    default: return false
    }
    return true
  }

  // MARK: Layers

  /// - Returns: Whether the node is a layer, plain or grouped.
  private mutating func followLayer(_ node: Node, _ index: Int) throws -> Bool {
    guard ["Conv", "Gemm", "MatMul"].contains(node.opType), node.inputs.count >= 2 else {
      return false
    }
    let input = values[node.inputs[0]]
    guard let weights = graph.initializers[node.inputs[1]], weights.dtype == .float32,
      values[node.inputs[1]] == nil
    else {
      for name in node.inputs {
        pin(name, "the weights of \(node.label) are computed, or not fp32")
      }
      return true
    }
    let shape = weights.shape
    if node.opType == "Conv" { return try convolve(node, index, input, shape) }
    var (depth, across) = (0, 1)
    if node.opType == "Gemm" {
      if try node.int("transB", default: 0) != 0 { (depth, across) = (1, 0) }
      guard try node.int("transA", default: 0) == 0 else {
        pin(node.inputs[0], "\(node.label) transposes its input")
        return true
      }
    }
    guard shape.rank == 2, let rank = self.shape(node.inputs[0])?.rank, rank >= 2 else {
      pin(node.inputs[0], "the weights of \(node.label) are no matrix")
      return true
    }
    let outputs = newChannels(shape[across])
    set(node.outputs[0], ChannelAxis(axis: rank - 1, channels: outputs))
    addUse(index, 1, across, outputs)
    if let input {
      if input.axis == rank - 1 {
        addUse(index, 1, depth, input.channels)
      } else {
        pin(input.channels, "\(node.label) reads them along another axis")
      }
    }
    let read = input?.axis == rank - 1 ? input?.channels : nil
    addLayer(index, outputs: outputs, inputs: read)
    addBias(node, index, outputs)
    return true
  }

  private mutating func convolve(
    _ node: Node, _ index: Int, _ input: ChannelAxis?, _ shape: Shape
  ) throws -> Bool {
    let groups = try node.int("group", default: 1)
    let outputs = shape[0]
    if groups > 1 {
      guard let input, input.axis == 1, input.channels.count == groups else {
        // What a grouped convolution makes is pinned, so that it has a place in the report.
        pin(node.inputs[0], "\(node.label) is grouped")
        let made = newChannels(outputs)
        addLayer(index, outputs: made, inputs: input?.channels)
        pin(made, "\(node.label) is grouped")
        set(node.outputs[0], ChannelAxis(axis: 1, channels: made))
        return true
      }
      let made = input.channels.flatMap { [Int](repeating: $0, count: outputs / groups) }
      set(node.outputs[0], ChannelAxis(axis: 1, channels: made))
      addUse(index, 1, 0, made)
      adjust(index, .groups)
      addBias(node, index, made)
      return true
    }
    let made = newChannels(outputs)
    set(node.outputs[0], ChannelAxis(axis: 1, channels: made))
    addUse(index, 1, 0, made)
    addLayer(index, outputs: made, inputs: input?.axis == 1 ? input?.channels : nil)
    if let input {
      if input.axis == 1 {
        addUse(index, 1, 1, input.channels)
      } else {
        pin(input.channels, "\(node.label) reads them along another axis")
      }
    }
    addBias(node, index, made)
    return true
  }

  private mutating func addBias(_ node: Node, _ index: Int, _ outputs: [Int]) {
    guard node.inputs.count > 2, !node.inputs[2].isEmpty else { return }
    guard let bias = graph.initializers[node.inputs[2]], bias.shape.rank <= 2 else {
      pin(outputs, "the addend of \(node.label) is computed")
      pin(node.inputs[2], "\(node.label) adds them to its outputs")
      return
    }
    guard let extent = bias.shape.dimensions.last, extent > 1 || outputs.count == 1 else { return }
    addUse(index, 2, bias.shape.rank - 1, outputs)
  }

  // MARK: Joins

  /// Elementwise operators of several values, repeated to fit each other.
  private mutating func join(_ node: Node, _ index: Int) -> Bool {
    guard let result = shape(node.outputs[0]) else { return false }
    // Old nodes say themselves where the right side starts.
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
          pin(value.channels, "\(node.label) repeats their one channel")
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
        pin(fixed, "they are '\(name)', which no layer makes")
        channels += fixed
      }
    }
    set(node.outputs[0], ChannelAxis(axis: axis, channels: channels))
    return true
  }

  // MARK: Shapes

  /// Whether the axes up to the channels' are the same before and after.
  private func hasSameFront(_ node: Node, axis: Int) -> Bool {
    guard let from = shape(node.inputs[0]), let to = shape(node.outputs[0]), to.rank > axis else {
      return false
    }
    return from.dimensions[...axis] == to.dimensions[...axis]
  }

  private mutating func reshape(_ node: Node, _ index: Int, _ input: ChannelAxis) -> Bool {
    guard input.axis >= 1, let from = shape(node.inputs[0]), let to = shape(node.outputs[0]),
      to.rank >= 2, from[0] == to[0]
    else { return false }
    let isConstant = node.opType == "Flatten" || graph.initializers[node.inputs[1]] != nil
    if to.rank == 2 {
      let inner = from.count(of: input.axis + 1..<from.rank)
      let extent = input.channels.count
      let places = (0..<to[1]).map { input.channels[$0 / inner % extent] }
      if node.opType == "Reshape" { adjust(index, .flattening) }
      set(node.outputs[0], ChannelAxis(axis: 1, channels: places))
      return true
    }
    // Only what comes behind the channels changes its shape.
    guard node.opType == "Reshape", isConstant, input.axis < to.rank,
      graph.initializers[node.inputs[1]]?.dtype == .int64, hasSameFront(node, axis: input.axis)
    else { return false }
    adjust(index, .extents(1))
    set(node.outputs[0], input)
    return true
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

  /// Operators that change the extents of space.
  private mutating func stretch(_ node: Node, _ index: Int, _ input: ChannelAxis) throws -> Bool {
    guard hasSameFront(node, axis: input.axis) else { return false }
    if node.opType == "Pad" {
      // As many channels before as behind could also be moved.
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
      guard constants(node, position) != nil else { return false }
      adjust(index, .extents(position))
    }
    set(node.outputs[0], input)
    return true
  }

  private func constants(_ node: Node, _ position: Int) -> [Int]? {
    guard position < node.inputs.count,
      let tensor: Tensor<Int64> = graph.initializers[node.inputs[position]]?.typed()
    else { return nil }
    return tensor.elements.map { Int($0) }
  }

  /// Whether only extents of other axes are taken out of a shape, as in `x.view(x.size(0), -1)`.
  private func readsShapeWithoutChannels(_ node: Node, _ input: ChannelAxis) throws -> Bool {
    let start = try node.int("start", default: 0)
    if start > input.axis { return true }
    return graph.consumers(of: node.outputs[0]).allSatisfy { index in
      let reader = graph.nodes[index]
      guard start == 0, reader.opType == "Gather", let picked = constants(reader, 1) else {
        return false
      }
      return picked.allSatisfy { $0 >= 0 && $0 != input.axis }
    } && !graph.outputs.contains { $0.name == node.outputs[0] }
  }
}
