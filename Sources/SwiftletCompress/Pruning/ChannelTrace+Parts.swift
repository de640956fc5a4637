// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// Tracing through operators that divide channels: Split, Slice, normalization by groups.
extension ChannelTrace {
  /// Merges channels so that consecutive parts of these lengths all keep some, whichever channels
  /// are removed.
  ///
  /// - Returns: `false` if the parts have no common divisor, and so cannot be divided into equally
  ///   many units.
  private mutating func tie(_ channels: [Int], parts: [Int]) -> Bool {
    let lengths = parts.filter { $0 > 0 }
    guard lengths.count > 1 else { return true }
    let units = lengths.reduce(0) { greatestCommonDivisor($0, $1) }
    guard units > 1 || channels.count == lengths.count else { return false }
    var start = 0
    for length in lengths {
      for place in 0..<length {
        // The first part is divided into units too, if it is longer than others.
        unite(channels[place * units / length * lengths[0] / units], channels[start + place])
      }
      start += length
    }
    return true
  }

  private func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
    b == 0 ? a : greatestCommonDivisor(b, a % b)
  }

  /// Follows the channels through a Split.
  ///
  /// - Returns: `false` if the parts cannot be traced.
  mutating func split(_ node: Node, _ index: Int, _ input: ChannelAxis) throws -> Bool {
    guard let rank = shape(node.inputs[0])?.rank else { return false }
    let declared = try node.int("axis", default: 0)
    let axis = declared < 0 ? declared + rank : declared
    guard axis == input.axis else {
      for output in node.outputs { set(output, input) }
      return true
    }
    let lengths = node.outputs.map { shape($0)?[axis] }
    guard lengths.allSatisfy({ ($0 ?? 0) > 0 }),
      node.inputs.count < 2 || node.inputs[1].isEmpty || constants(node, 1) != nil,
      tie(input.channels, parts: lengths.map { $0! })
    else { return false }
    var start = 0
    for (output, length) in zip(node.outputs, lengths) {
      set(output, ChannelAxis(axis: axis, channels: Array(input.channels[start..<start + length!])))
      start += length!
    }
    adjust(index, .lengths)
    return true
  }

  /// Follows the channels through a Slice with constant bounds.
  ///
  /// - Returns: `false` if it cannot be traced.
  mutating func slice(_ node: Node, _ index: Int, _ input: ChannelAxis) throws -> Bool {
    guard let from = shape(node.inputs[0]), let to = shape(node.outputs[0]) else { return false }
    guard let bounds = try SliceBounds(node, in: graph, along: input.axis, of: from) else {
      // With computed bounds, it is unknown which channels remain.
      return false
    }
    guard let range = bounds.range else {
      set(node.outputs[0], input)
      return true
    }
    guard !range.isEmpty, to[input.axis] == range.count,
      tie(
        input.channels,
        parts: [range.lowerBound, range.count, input.channels.count - range.upperBound])
    else { return false }
    set(node.outputs[0], ChannelAxis(axis: input.axis, channels: Array(input.channels[range])))
    adjust(index, .bounds(range))
    return true
  }

  /// Follows the channels through a normalization over `groups` groups of channels, or over each
  /// channel on its own (`nil`).
  ///
  /// - Returns: `false` if it cannot be traced.
  mutating func normalize(
    _ node: Node, _ index: Int, _ input: ChannelAxis, groups: Int?
  ) -> Bool {
    guard input.axis == 1, node.inputs.count > 2,
      graph.initializers[node.inputs[1]] != nil, graph.initializers[node.inputs[2]] != nil,
      let scales = shape(node.inputs[1])
    else { return false }
    let count = input.channels.count
    let size = count / max(1, groups ?? count)
    // Channels that are normalized together are removed together, or the statistics of the others
    // would change.
    for place in 0..<count { unite(input.channels[place / size * size], input.channels[place]) }
    // Scales are per channel or, in older operator sets, per group.
    let units =
      scales.count == count
      ? input.channels : stride(from: 0, to: count, by: size).map { input.channels[$0] }
    guard units.count == scales.count else { return false }
    for position in 1...2 { addUse(index, position, 0, units) }
    if groups != nil { adjust(index, .normalizedGroups) }
    set(node.outputs[0], input)
    return true
  }
}

/// The range that a Slice with constant bounds takes from one axis.
struct SliceBounds {
  /// Index of the axis in the lists of starts and ends.
  let place: Int
  /// The range of indices; `nil`: the whole axis.
  let range: Range<Int>?

  /// Reads the bounds of a Slice.
  ///
  /// - Returns: `nil` if the bounds are computed, or the step along the axis is not 1.
  init?(_ node: Node, in graph: Graph, along axis: Int, of shape: Shape) throws {
    func list(_ position: Int, _ attribute: String) throws -> (given: Bool, values: [Int]?) {
      if let values = try node.ints(attribute) { return (true, values) }
      guard position < node.inputs.count, !node.inputs[position].isEmpty else {
        return (false, nil)
      }
      return (true, graph.initializers[node.inputs[position]]?.integers)
    }
    let (starts, ends) = (try list(1, "starts"), try list(2, "ends"))
    let (axes, steps) = (try list(3, "axes"), try list(4, "steps"))
    guard let starts = starts.values, let ends = ends.values, starts.count == ends.count,
      axes.values != nil || !axes.given, steps.values != nil || !steps.given
    else { return nil }
    let along = (axes.values ?? Array(starts.indices)).map { $0 < 0 ? $0 + shape.rank : $0 }
    guard along.count == starts.count else { return nil }
    guard let place = along.firstIndex(of: axis) else {
      (self.place, range) = (0, nil)
      return
    }
    guard (steps.values?[place] ?? 1) == 1 else { return nil }
    let extent = shape[axis]
    func position(_ value: Int) -> Int { min(max(value < 0 ? value + extent : value, 0), extent) }
    let (first, last) = (position(starts[place]), position(ends[place]))
    self.place = place
    range = first == 0 && last == extent ? nil : first..<max(first, last)
  }
}
