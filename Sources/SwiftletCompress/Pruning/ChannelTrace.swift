// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// Traces channels through a graph.
///
/// A channel is a number; a union-find structure determines which numbers stand for the same
/// channel. A second one groups the channels of one layer, and those of layers whose outputs are
/// added, into components, which become ``ChannelGroups``.
package struct ChannelTrace: Sendable {
  let graph: Graph
  /// Shapes and types of all values, by name.
  let infos: [String: TensorInfo]
  /// The batch size of the shapes: 2 if possible, to distinguish the batch from extents of 1.
  let batch: Int
  /// The channels of each value that has any. Canonical once the trace is complete.
  private(set) var values: [String: ChannelAxis] = [:]
  /// Constants with one index per channel.
  package private(set) var uses: [Use] = []
  /// For values that contain extents, from which shapes are computed: the channels that each
  /// element counts; `nil` if it counts none.
  var counts: [String: [[Int]?]] = [:]
  /// Nodes with attributes that depend on the number of channels, by position.
  private(set) var adjustments: [Int: Adjustment] = [:]
  /// Layers: nodes that create new channels, or sum over channels.
  package private(set) var layers: [Layer] = []
  /// Why layers whose weights are not fp32 constants cannot be pruned.
  var refusals: [String] = []

  /// A constant input with one index per channel along an axis.
  package struct Use: Sendable {
    /// Position of the node in the graph.
    package let node: Int
    /// Index of the input.
    package let input: Int
    /// The axis, and the channel at each of its indices.
    package internal(set) var axis: ChannelAxis
  }

  /// The change of a node when channels of its first input are removed.
  enum Adjustment: Sendable {
    /// `group` is proportional to the number of channels.
    case groups
    /// `num_groups` is proportional to the number of channels.
    case normalizedGroups
    /// The lengths of the parts of a Split.
    case lengths
    /// The bounds of a Slice that takes this range of its input's channels.
    case bounds(Range<Int>)
    /// A Reshape becomes a Flatten.
    case flattening
    /// The constant at this input contains the shape of the result.
    case extents(Int)
  }

  /// A Conv, Gemm or MatMul with constant weights.
  package struct Layer: Sendable {
    /// Position of the node in the graph.
    package let index: Int
    /// The channels that it computes.
    package internal(set) var outputs: [Int]
    /// The channels that it sums over; `nil` if those of its input are unknown.
    package internal(set) var inputs: [Int]?
  }

  /// Union-find parents of the channels, and of the components by channel.
  private var channelParents: [Int] = []
  private var componentParents: [Int] = []
  private var reasons: [(channel: Int, reason: String)] = []

  init(_ graph: Graph) throws {
    self.graph = graph
    let interpreter = try Interpreter(graph)
    let hasOpenBatch = graph.dataInputs.contains { info in
      info.dimensions.contains { if case .symbolic = $0 { true } else { false } }
    }
    if hasOpenBatch, let infos = try? interpreter.infer(interpreter.inputShapes(batch: 2)) {
      (self.infos, batch) = (infos, 2)
    } else {
      (infos, batch) = (try interpreter.infer(interpreter.inputShapes(batch: 1)), 1)
    }
    for index in graph.nodes.indices { try follow(index) }
    joinSharedWeights()
    for output in graph.outputs {
      pin(output.name, "the channels are the model's output '\(output.name)'")
    }
    let canonical = channelParents.indices.map { representative(of: $0) }
    for name in values.keys {
      values[name]!.channels = values[name]!.channels.map { canonical[$0] }
    }
    for index in uses.indices { uses[index].axis.channels.replace(by: canonical) }
    for index in layers.indices {
      layers[index].outputs.replace(by: canonical)
      layers[index].inputs?.replace(by: canonical)
    }
  }

  // MARK: Channels

  /// The inferred shape of a value; `nil` if unknown.
  func shape(_ name: String) -> Shape? { infos[name]?.shape }

  /// Creates the channels of one layer, in one component.
  mutating func newChannels(_ count: Int) -> [Int] {
    let start = channelParents.count
    channelParents += start..<start + count
    componentParents += [Int](repeating: start, count: count)
    return Array(start..<start + count)
  }

  /// Merges two channels.
  mutating func unite(_ first: Int, _ second: Int) {
    let (a, b) = (representative(of: first), representative(of: second))
    channelParents[max(a, b)] = min(a, b)
    join(first, second)
  }

  /// Merges the components of two channels.
  private mutating func join(_ first: Int, _ second: Int) {
    let (a, b) = (component(of: first), component(of: second))
    componentParents[max(a, b)] = min(a, b)
  }

  /// Whether both contain the same channels equally often, in any order.
  func areSame(_ first: [Int], _ second: [Int]) -> Bool {
    first.map { representative(of: $0) }.sorted() == second.map { representative(of: $0) }.sorted()
  }

  private func representative(of channel: Int) -> Int {
    var channel = channel
    while channelParents[channel] != channel { channel = channelParents[channel] }
    return channel
  }

  private func component(of channel: Int) -> Int {
    var channel = channel
    while componentParents[channel] != channel { channel = componentParents[channel] }
    return channel
  }

  /// Requires all channels of a value to be kept, with a reason for the report.
  mutating func pin(_ name: String, _ reason: String) {
    if let axis = values[name] { pin(axis.channels, reason) }
    for case let channels? in counts[name] ?? [] { pin(channels, reason) }
  }

  /// Requires all channels in the components of the given ones to be kept.
  mutating func pin(_ channels: [Int], _ reason: String) {
    // One channel per component suffices. A concatenation has channels of several components.
    var seen: Set<Int> = []
    for channel in channels where seen.insert(component(of: channel)).inserted {
      reasons.append((channel, reason))
    }
  }

  /// Sets the channels of a value; ignores missing optional outputs.
  mutating func set(_ name: String, _ axis: ChannelAxis) {
    if !name.isEmpty { values[name] = axis }
  }

  /// Records that an input of a node has one index per channel along an axis.
  mutating func addUse(_ node: Int, _ input: Int, _ axis: Int, _ channels: [Int]) {
    uses.append(Use(node: node, input: input, axis: ChannelAxis(axis: axis, channels: channels)))
  }

  /// Records a change of a node.
  mutating func adjust(_ node: Int, _ adjustment: Adjustment) { adjustments[node] = adjustment }

  /// Records a layer.
  mutating func addLayer(_ index: Int, outputs: [Int], inputs: [Int]?) {
    layers.append(Layer(index: index, outputs: outputs, inputs: inputs))
  }

  /// Layers that share weights lose the same channels, so that the weights remain a single
  /// constant; if one of the consumers needs all channels, none are removed.
  private mutating func joinSharedWeights() {
    let names = Set(layers.map { graph.nodes[$0.index].inputs[1] })
    for name in names.sorted() {
      let readers = graph.consumers(of: name)
      let reads = readers.reduce(0) { sum, index in
        sum + graph.nodes[index].reads.count { $0 == name }
      }
      let isAnswer = graph.isOutput(name)
      guard reads > 1 || isAnswer else { continue }
      let cuts = uses.filter { graph.nodes[$0.node].inputs[$0.input] == name }
      for (_, sharing) in Dictionary(grouping: cuts, by: \.axis.axis).sorted(by: { $0.key < $1.key }
      ) {
        let first = sharing[0].axis.channels
        let isCommon =
          !isAnswer && sharing.count == reads
          && sharing.allSatisfy { $0.axis.channels.count == first.count }
        for use in sharing {
          if isCommon {
            for (one, other) in zip(first, use.axis.channels) { unite(one, other) }
          } else {
            let others = readers.filter { $0 != use.node }.map { graph.nodes[$0].label }
            pin(
              use.axis.channels,
              "the weights of \(graph.nodes[use.node].label) are "
                + (others.isEmpty
                  ? "also used differently" : "shared with \(others[0]), which needs all channels")
            )
          }
        }
      }
    }
  }

  // MARK: Groups

  /// The components of the layers' channels, in the order of their first channels.
  func groups() -> (groups: [ChannelGroup], members: [(group: Int, index: Int)]) {
    var ids: [Int: Int] = [:]
    var counts: [Int] = []
    var members = [(group: Int, index: Int)](
      repeating: (0, 0), count: channelParents.count)
    for channel in channelParents.indices where channelParents[channel] == channel {
      let component = component(of: channel)
      let id = ids[component] ?? counts.count
      if ids[component] == nil {
        ids[component] = id
        counts.append(0)
      }
      members[channel] = (id, counts[id])
      counts[id] += 1
    }
    for channel in channelParents.indices {
      members[channel] = members[representative(of: channel)]
    }
    var producers = [[String]](repeating: [], count: counts.count)
    var consumers = producers
    for layer in layers {
      let name = graph.nodes[layer.index].reportName
      for id in Set(layer.outputs.map { members[$0].group }).sorted() { producers[id].append(name) }
      for id in Set((layer.inputs ?? []).map { members[$0].group }).sorted() {
        consumers[id].append(name)
      }
    }
    var pinned = [String?](repeating: nil, count: counts.count)
    for (channel, reason) in reasons {
      let id = members[channel].group
      pinned[id] = pinned[id] ?? reason
    }
    let groups = counts.indices.map {
      ChannelGroup(
        id: $0, channels: counts[$0], producers: producers[$0], consumers: consumers[$0],
        pinned: pinned[$0])
    }
    return (groups, members)
  }
}

extension [Int] {
  /// Replaces each element by the table's entry for it.
  fileprivate mutating func replace(by table: [Int]) { self = map { table[$0] } }
}
