import OrderedCollections
import SwiftletCore
import SwiftletFormats
import SwiftletGraph

/// Cuts the constants and the settings of a graph down to the channels that stay.
struct ChannelSlicing {
  private let groups: ChannelGroups
  private let stays: [Bool]
  private var graph: Graph
  private var names: FreshNames
  /// Cut constants by the original's name and the cuts, so that what was shared stays shared.
  private var written: [Cut: String] = [:]

  private struct Cut: Hashable {
    let name: String
    let places: [Int: [Int]]
  }

  init(_ groups: ChannelGroups, _ stays: [Bool]) {
    (self.groups, self.stays) = (groups, stays)
    graph = groups.graph
    names = FreshNames(groups.graph)
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

  /// By input of a node, the places along its axes that stay.
  private func cuts(_ index: Int) -> [Int: [Int: [Int]]] {
    var result: [Int: [Int: [Int]]] = [:]
    for use in groups.trace.uses where use.node == index {
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
      throw SwiftletError(.internal, "'\(name)' is no constant")
    }
    func opened<Element: TensorElement>(_: Element.Type) throws -> AnyTensor {
      var result = try tensor.require(Element.self)
      for (axis, kept) in places.sorted(by: { $0.key < $1.key }) {
        result = result.selecting(kept, axis: axis)
      }
      return AnyTensor(result)
    }
    // The first cut of a constant that only such nodes read takes its name.
    let isTaken =
      written.keys.contains { $0.name == name } || isReadWhole(name)
    let target = isTaken ? names.next("\(name)_pruned") : name
    graph.initializers[target] = try opened(tensor.dtype.elementType)
    written[cut] = target
    return target
  }

  /// Whether the constant is needed as it is, too.
  private func isReadWhole(_ name: String) -> Bool {
    let original = groups.graph
    if original.outputs.contains(where: { $0.name == name }) { return true }
    return original.consumers(of: name).contains { index in
      let node = original.nodes[index]
      let cuts = cuts(index)
      return node.captures.contains(name)
        || node.inputs.indices.contains { node.inputs[$0] == name && cuts[$0] == nil }
    }
  }

  /// Settings that say how many channels there are.
  private mutating func adapt(_ index: Int) throws {
    let node = graph.nodes[index]
    guard let adjustment = groups.trace.adjustments[index],
      let value = groups.values[node.inputs[0]], let kept = groups.places(of: value, stays)
    else { return }
    switch adjustment {
    case .groups: graph.nodes[index].attributes["group"] = .int(kept.count)
    case .flattening:
      graph.nodes[index].opType = "Flatten"
      graph.nodes[index].inputs = [node.inputs[0]]
      graph.nodes[index].attributes = ["axis": .int(1)]
    case .extents(let position):
      let extents: Tensor<Int64> = try graph.initializers[node.inputs[position]]!.require()
      var changed = extents.elements
      // 0 and −1 say that the extent follows from the input.
      if changed[value.axis] > 0 { changed[value.axis] = Int64(kept.count) }
      let name = names.next("\(node.inputs[position])_pruned")
      graph.initializers[name] = .int64(Tensor(extents.shape, changed))
      graph.nodes[index].inputs[position] = name
    }
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
