// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletFormats
import SwiftletGraph

/// Reduces the constants and attributes of a graph to the channels that are kept.
struct ChannelSlicing {
  private let groups: ChannelGroups
  private let stays: [Bool]
  private var graph: Graph
  private var names: FreshNames
  /// Sliced constants by original name and slices, so that shared constants stay shared.
  private var written: [Cut: String] = [:]
  /// Names of the constants that have been sliced.
  private var cutNames: Set<String> = []
  /// Constants with one index per channel, by the position of the node that reads them.
  private let uses: [Int: [ChannelTrace.Use]]

  /// A constant, and the indices to keep along its axes.
  private struct Cut: Hashable {
    let name: String
    let places: [Int: [Int]]
  }

  init(_ groups: ChannelGroups, _ stays: [Bool]) {
    (self.groups, self.stays) = (groups, stays)
    graph = groups.graph
    names = FreshNames(groups.graph)
    uses = Dictionary(grouping: groups.trace.uses, by: \.node)
  }

  consuming func result() throws -> Graph {
    for index in graph.nodes.indices {
      let node = graph.nodes[index]
      for (position, axes) in cuts(index).sorted(by: { $0.key < $1.key }) {
        graph.nodes[index].inputs[position] = try sliced(node.inputs[position], axes)
      }
      try adapt(index)
    }
    graph.removeUnusedInitializers()
    try graph.forgetShapes()
    // Old files list weights among the inputs.
    let weights = Set(groups.graph.initializers.keys)
    graph.inputs.removeAll { weights.contains($0.name) && graph.initializers[$0.name] == nil }
    for index in graph.inputs.indices {
      guard let tensor = graph.initializers[graph.inputs[index].name] else { continue }
      graph.inputs[index].dimensions = tensor.shape.dimensions.map(Dimension.fixed)
    }
    return graph
  }

  /// For each input of a node, the indices to keep along its axes.
  private func cuts(_ index: Int) -> [Int: [Int: [Int]]] {
    var result: [Int: [Int: [Int]]] = [:]
    for use in uses[index] ?? [] {
      if let places = groups.places(of: use.axis, stays) {
        result[use.input, default: [:]][use.axis.axis] = places
      }
    }
    return result
  }

  private mutating func sliced(_ name: String, _ places: [Int: [Int]]) throws -> String {
    let cut = Cut(name: name, places: places)
    if let known = written[cut] { return known }
    guard let tensor = groups.graph.initializers[name] else {
      throw SwiftletError(.internal, "'\(name)' is not a constant")
    }
    func opened<Element: TensorElement>(_: Element.Type) throws -> AnyTensor {
      var result = try tensor.require(Element.self)
      for (axis, kept) in places.sorted(by: { $0.key < $1.key }) {
        result = result.selecting(kept, axis: axis)
      }
      return AnyTensor(result)
    }
    // The first slice of a constant takes its name, unless the whole constant is still needed.
    let isTaken = !cutNames.insert(name).inserted || isReadWhole(name)
    let target = isTaken ? names.next("\(name)_pruned") : name
    graph.initializers[target] = try opened(tensor.dtype.elementType)
    written[cut] = target
    return target
  }

  /// Whether the whole constant is needed too.
  private func isReadWhole(_ name: String) -> Bool {
    let original = groups.graph
    if original.isOutput(name) { return true }
    return original.consumers(of: name).contains { index in
      let node = original.nodes[index]
      let cuts = cuts(index)
      return node.captures.contains(name)
        || node.inputs.indices.contains { node.inputs[$0] == name && cuts[$0] == nil }
    }
  }

  /// Adapts attributes that depend on the number of channels.
  private mutating func adapt(_ index: Int) throws {
    let node = graph.nodes[index]
    guard let adjustment = groups.trace.adjustments[index],
      let input = groups.values[node.inputs[0]], let kept = groups.places(of: input, stays)
    else { return }
    /// Reduces a number of groups, of which whole ones were removed.
    func share(_ attribute: String) throws {
      let groups = try node.int(attribute, default: 1)
      graph.nodes[index].attributes[attribute] = .int(groups * kept.count / input.channels.count)
    }
    switch adjustment {
    case .groups: try share("group")
    case .normalizedGroups: try share("num_groups")
    case .flattening:
      graph.nodes[index].opType = "Flatten"
      graph.nodes[index].inputs = [node.inputs[0]]
      graph.nodes[index].attributes = ["axis": .int(1)]
    case .lengths:
      let lengths = node.outputs.map { name in
        groups.values[name].map { axis in axis.channels.count { stays[$0] } } ?? 0
      }
      graph.nodes[index].attributes["num_outputs"] = nil
      setList(lengths, of: index, input: 1, attribute: "split", asInput: graph.opset >= 13)
    case .bounds(let range):
      let first = kept.count { $0 < range.lowerBound }
      let last = first + kept.count { range.contains($0) }
      guard let shape = groups.trace.shape(node.inputs[0]),
        let bounds = try SliceBounds(node, in: groups.graph, along: input.axis, of: shape)
      else { return }
      for (position, attribute, value) in [(1, "starts", first), (2, "ends", last)] {
        let isInput = node.attributes[attribute] == nil
        var list =
          try node.ints(attribute) ?? groups.graph.initializers[node.inputs[position]]?.integers
          ?? []
        list[bounds.place] = value
        setList(list, of: index, input: position, attribute: attribute, asInput: isInput)
      }
    case .extents(let position): adaptExtents(of: index, position)
    }
  }

  /// Adapts the number of channels in the shape that a node reads.
  private mutating func adaptExtents(of index: Int, _ position: Int) {
    let node = graph.nodes[index]
    guard let output = groups.values[node.outputs[0]], let kept = groups.places(of: output, stays)
    else { return }
    var extents = groups.graph.initializers[node.inputs[position]]?.integers
    if extents == nil, let known = groups.trace.infos[node.inputs[position]]?.value?.integers {
      // It was computed, and only the batch is symbolic, which 0 copies from the input.
      extents = [0] + known.dropFirst()
    }
    guard var extents else { return }
    // −1 means that the extent follows from the others, 0 that it is copied from the input.
    if extents[output.axis] > 0 || extents[output.axis] == 0 && !isSameAxis(node, output.axis) {
      extents[output.axis] = kept.count
    }
    setList(extents, of: index, input: position, attribute: "", asInput: true)
  }

  /// Whether the channels of a node's input lie along this axis.
  private func isSameAxis(_ node: Node, _ axis: Int) -> Bool {
    groups.values[node.inputs[0]]?.axis == axis
  }

  /// Gives a node a list of integers, as a constant of its own or as an attribute.
  private mutating func setList(
    _ list: [Int], of index: Int, input: Int, attribute: String, asInput: Bool
  ) {
    guard asInput else {
      graph.nodes[index].attributes[attribute] = .ints(list)
      return
    }
    var inputs = graph.nodes[index].inputs
    while inputs.count <= input { inputs.append("") }
    let base =
      inputs[input].isEmpty ? "\(graph.nodes[index].reportName).\(attribute)" : inputs[input]
    let name = names.next("\(base)_pruned")
    let isInt32 = groups.graph.initializers[inputs[input]]?.dtype == .int32
    let indices = Tensor([list.count], list.map(Int64.init))
    graph.initializers[name] =
      isInt32 ? AnyTensor.int64(indices).converted(to: .int32) : .int64(indices)
    inputs[input] = name
    graph.nodes[index].inputs = inputs
  }
}

extension Tensor {
  /// The given indices along one axis, packed.
  func selecting(_ indices: [Int], axis: Int) -> Tensor {
    var result = Tensor(uninitialized: shape.replacing(axis: axis, with: indices.count))
    let source = contiguous()
    let inner = shape.count(of: axis + 1..<shape.rank)
    var target = result.mutableSpan
    var position = 0
    for outer in 0..<shape.count(of: 0..<axis) {
      for index in indices {
        let start = (outer * shape[axis] + index) * inner
        target.copy(source.span.extracting(start..<start + inner), to: position)
        position += inner
      }
    }
    return result
  }
}
