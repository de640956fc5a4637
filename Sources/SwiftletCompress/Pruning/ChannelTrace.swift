// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// Follows channels through a graph.
///
/// A channel is a number; which numbers stand for the same channel is found by union-find. Channels
/// of one layer belong to one component, as do the channels of layers whose values are added: a
/// second union-find. ``ChannelGroups`` are these components.
package struct ChannelTrace: Sendable {
  let graph: Graph
  let infos: [String: TensorInfo]
  /// The batch that the shapes are for. Two tell a batch from an extent of 1.
  let batch: Int
  /// Of each value with channels, where they lie. Canonical once the trace is complete.
  private(set) var values: [String: ChannelAxis] = [:]
  /// Constants with a place per channel.
  package private(set) var uses: [Use] = []
  /// Of values that hold extents, as shapes are computed from, the channels that an element is the
  /// number of.
  var counts: [String: [[Int]?]] = [:]
  /// Nodes whose settings count channels.
  private(set) var adjustments: [Int: Adjustment] = [:]
  /// The layers: nodes that make new channels, or sum over channels.
  package private(set) var layers: [Layer] = []
  /// Why layers cannot be cut whose weights are no fp32 constants.
  var refusals: [String] = []

  /// A constant input with a place for each channel along an axis.
  package struct Use: Sendable {
    package let node: Int
    package let input: Int
    package internal(set) var axis: ChannelAxis
  }

  /// What has to change in a node when channels of its first input go.
  enum Adjustment: Sendable {
    /// `group` is in proportion to the number of channels.
    case groups
    /// `num_groups` is.
    case normalizedGroups
    /// A Split: the lengths of its parts.
    case lengths
    /// A Slice that takes these places of its input's channels.
    case bounds(Range<Int>)
    /// A Reshape that is a Flatten.
    case flattening
    /// The constant at this input lists the extents of the result.
    case extents(Int)
  }

  /// A Conv, Gemm or MatMul with constant weights.
  package struct Layer: Sendable {
    package let index: Int
    /// The channels that it makes.
    package internal(set) var outputs: [Int]
    /// The channels that it sums over; `nil` where those of its input are not known.
    package internal(set) var inputs: [Int]?
  }

  /// Parents of the channels, and of the components by channel.
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
      pin(output.name, "they are the model's output '\(output.name)'")
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

  func shape(_ name: String) -> Shape? { infos[name]?.shape }

  /// New channels of one layer.
  mutating func newChannels(_ count: Int) -> [Int] {
    let start = channelParents.count
    channelParents += start..<start + count
    componentParents += [Int](repeating: start, count: count)
    return Array(start..<start + count)
  }

  /// Makes them the same channel.
  mutating func unite(_ first: Int, _ second: Int) {
    let (a, b) = (representative(of: first), representative(of: second))
    channelParents[max(a, b)] = min(a, b)
    join(first, second)
  }

  /// Puts them into one component.
  private mutating func join(_ first: Int, _ second: Int) {
    let (a, b) = (component(of: first), component(of: second))
    componentParents[max(a, b)] = min(a, b)
  }

  /// Whether both are the same channels, as often.
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

  /// All channels of a value must stay.
  mutating func pin(_ name: String, _ reason: String) {
    if let axis = values[name] { pin(axis.channels, reason) }
    for case let channels? in counts[name] ?? [] { pin(channels, reason) }
  }

  mutating func pin(_ channels: [Int], _ reason: String) {
    // One is enough: it pins its component. A concatenation has channels of several.
    var seen: Set<Int> = []
    for channel in channels where seen.insert(component(of: channel)).inserted {
      reasons.append((channel, reason))
    }
  }

  mutating func set(_ name: String, _ axis: ChannelAxis) {
    if !name.isEmpty { values[name] = axis }
  }

  mutating func addUse(_ node: Int, _ input: Int, _ axis: Int, _ channels: [Int]) {
    uses.append(Use(node: node, input: input, axis: ChannelAxis(axis: axis, channels: channels)))
  }

  mutating func adjust(_ node: Int, _ adjustment: Adjustment) { adjustments[node] = adjustment }

  mutating func addLayer(_ index: Int, outputs: [Int], inputs: [Int]?) {
    layers.append(Layer(index: index, outputs: outputs, inputs: inputs))
  }

  /// Layers that share their weights lose the same channels, so that these stay one constant; where
  /// one of them, or what else reads them, needs all, none go.
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
                  ? "read otherwise, too" : "those of \(others[0]), too, which needs all")
            )
          }
        }
      }
    }
  }

  // MARK: Groups

  /// The components that layers have a part in, in the order of their first channels.
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
  /// Each element becomes what the table has at its place.
  fileprivate mutating func replace(by table: [Int]) { self = map { table[$0] } }
}
