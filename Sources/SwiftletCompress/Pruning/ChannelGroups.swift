// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
package import SwiftletGraph

/// Channels that can only be removed together: channel i of every producer, and everything that
/// consumers read of it, is kept or removed as a whole.
package struct ChannelGroup: Sendable, Equatable {
  /// The group's index among the groups of the graph, starting at the first layer.
  package let id: Int
  /// Number of channels.
  package let channels: Int
  /// Names of the layers that compute the channels; residual branches have several.
  package let producers: [String]
  /// Names of the layers that read the channels.
  package let consumers: [String]
  /// Why all channels must be kept; `nil` if they may be removed.
  package let pinned: String?
}

/// Which channels of a graph depend on each other, and the graph without some of them.
///
/// Every channel of every value is traced from the layer that computes it to those that read it.
/// Where values meet (in sums, products, or a depthwise convolution after an expansion), their
/// channels are merged; a concatenation places them side by side; a flattened image has each
/// channel at many positions. An operator that is not known to process channels separately pins its
/// inputs.
package struct ChannelGroups: Sendable {
  /// The graph of the groups: the given one with its constants folded.
  package let graph: Graph
  /// The groups in the order of their ``ChannelGroup/id``.
  package let groups: [ChannelGroup]
  /// The traced channels of all values.
  package let trace: ChannelTrace
  /// The group of each traced channel, and its index in the group.
  package let members: [(group: Int, index: Int)]

  /// Traces the channels of a graph.
  ///
  /// - Throws: `badInput` or `unsupported` if the shapes of the graph cannot be inferred.
  package init(_ graph: Graph) throws {
    self.graph = graph.foldingConstants()
    trace = try ChannelTrace(self.graph)
    (groups, members) = trace.groups()
  }

  /// The values with traced channels, by name: their channel axis, and the channel at each of its
  /// indices.
  var values: [String: ChannelAxis] { trace.values }

  /// For each traced channel, whether it is kept.
  ///
  /// - Parameter keeping: The channels to keep, by group; other groups keep all.
  func stays(_ keeping: [Int: [Int]]) -> [Bool] {
    let sets = keeping.mapValues(Set.init)
    return members.map { sets[$0.group]?.contains($0.index) ?? true }
  }

  /// The indices along the channel axis of a value that are kept; `nil` if all are.
  func places(of axis: ChannelAxis?, _ stays: [Bool]) -> [Int]? {
    guard let axis else { return nil }
    let places = axis.channels.indices.filter { stays[axis.channels[$0]] }
    return places.count == axis.channels.count ? nil : places
  }

  /// The graph with only the given channels of some groups; other groups keep all.
  ///
  /// Slices the weights, without changing them otherwise. Returns the same graph if all channels
  /// are kept.
  ///
  /// - Parameter keeping: The indices of the channels to keep, by group, in any order.
  /// - Throws: `badInput` if a group does not exist, does not have these channels, is pinned, or
  ///   would lose all channels.
  package func pruned(keeping: [Int: [Int]]) throws -> Graph {
    var cut: [Int: [Int]] = [:]
    for (id, indices) in keeping {
      guard groups.indices.contains(id) else {
        throw SwiftletError(.badInput, "there is no channel group \(id)")
      }
      let group = groups[id]
      let sorted = Set(indices).sorted()
      guard let first = sorted.first, let last = sorted.last, sorted.count == indices.count,
        first >= 0, last < group.channels
      else {
        throw SwiftletError(
          .badInput,
          "\(indices.count) indices are not a valid choice of \(group.channels) channels",
          at: group.producers.first ?? "group \(id)",
          mend: "keep at least one channel, and name each one once")
      }
      guard sorted.count < group.channels else { continue }
      if let reason = group.pinned {
        throw SwiftletError(
          .badInput, "these channels must be kept: \(reason)", at: group.producers.first ?? "")
      }
      cut[id] = sorted
    }
    guard !cut.isEmpty else { return graph }
    let result = try ChannelSlicing(self, stays(cut)).result()
    // The trace pins what it does not understand; if it were wrong nevertheless, shapes would not
    // match.
    let interpreter = try Interpreter(result)
    _ = try interpreter.infer(interpreter.inputShapes(batch: trace.batch))
    return result
  }
}

/// The channels of a value.
package struct ChannelAxis: Sendable, Equatable {
  /// The axis along which the channels lie, counted from 0.
  package var axis: Int
  /// The channel at each index along the axis.
  package var channels: [Int]
}

extension Node {
  /// The name in reports: that of the node or, if it has none, of its first output.
  var reportName: String { name.isEmpty ? outputs[0] : name }
}
