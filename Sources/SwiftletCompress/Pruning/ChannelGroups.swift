// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
package import SwiftletGraph

/// Channels that stand for each other's removal: channel i of every producer, and what all
/// consumers read of it, stay or go together.
package struct ChannelGroup: Sendable, Equatable {
  /// The group's place among the graph's groups, from the first layer on.
  package let id: Int
  /// How many channels there are to choose from.
  package let channels: Int
  /// The layers whose outputs the channels are, by name; residual branches have several.
  package let producers: [String]
  /// The layers that compute with the channels, by name.
  package let consumers: [String]
  /// Why all channels must stay.
  package let pinned: String?
}

/// Which channels of a graph depend on each other, and the graph without some of them.
///
/// Every channel of every value is followed from the layer that makes it to those that read it.
/// Where values meet (sums, products, a depthwise convolution behind an expansion), their channels
/// are united; a concatenation puts them side by side; a flattened image has each channel at many
/// places. An operator that is not known to treat channels one by one pins what it reads.
package struct ChannelGroups: Sendable {
  /// The graph that the groups are of: the given one with its constants computed.
  package let graph: Graph
  package let groups: [ChannelGroup]
  package let trace: ChannelTrace
  /// Of each channel: its group, and its index there.
  package let members: [(group: Int, index: Int)]

  /// - Throws: `badInput` or `unsupported` if the shapes of the graph are not known beforehand.
  package init(_ graph: Graph) throws {
    self.graph = graph.foldingConstants()
    trace = try ChannelTrace(self.graph)
    (groups, members) = trace.groups()
  }

  /// The values that carry channels, by name: which axis they lie along, and of each place its
  /// channel.
  var values: [String: ChannelAxis] { trace.values }

  /// Of each channel, whether it stays.
  func stays(_ keeping: [Int: [Int]]) -> [Bool] {
    let sets = keeping.mapValues(Set.init)
    return members.map { sets[$0.group]?.contains($0.index) ?? true }
  }

  /// The places along the channels' axis of a value that stay; `nil` if all do.
  func places(of axis: ChannelAxis?, _ stays: [Bool]) -> [Int]? {
    guard let axis else { return nil }
    let places = axis.channels.indices.filter { stays[axis.channels[$0]] }
    return places.count == axis.channels.count ? nil : places
  }

  /// The graph with the given channels of some groups, in their order, and all of the others.
  ///
  /// Weights are cut, nothing else about them changes. Where all channels stay, so does the graph.
  ///
  /// - Throws: `badInput` if a group does not exist, has other channels, is pinned, or would have
  ///   no channel left.
  package func pruned(keeping: [Int: [Int]]) throws -> Graph {
    var cut: [Int: [Int]] = [:]
    for (id, indices) in keeping {
      guard groups.indices.contains(id) else {
        throw SwiftletError(.badInput, "there is no group of channels \(id)")
      }
      let group = groups[id]
      let sorted = Set(indices).sorted()
      guard let first = sorted.first, let last = sorted.last, sorted.count == indices.count,
        first >= 0, last < group.channels
      else {
        throw SwiftletError(
          .badInput, "\(indices.count) of \(group.channels) channels are no choice of channels",
          at: group.producers.first ?? "group \(id)", mend: "keep one at least, each of them once")
      }
      guard sorted.count < group.channels else { continue }
      if let reason = group.pinned {
        throw SwiftletError(
          .badInput, "these channels must stay: \(reason)", at: group.producers.first ?? "")
      }
      cut[id] = sorted
    }
    guard !cut.isEmpty else { return graph }
    let result = try ChannelSlicing(self, stays(cut)).result()
    // What the trace does not understand it pins; if it were wrong all the same, shapes would
    // clash.
    let interpreter = try Interpreter(result)
    _ = try interpreter.infer(interpreter.inputShapes(batch: trace.batch))
    return result
  }
}

/// The channels of a value.
package struct ChannelAxis: Sendable, Equatable {
  package var axis: Int
  /// Of each place along the axis, the channel that lies there.
  package var channels: [Int]
}

extension Node {
  /// The name in reports: the node's own, or that of its result.
  var reportName: String { name.isEmpty ? outputs[0] : name }
}
