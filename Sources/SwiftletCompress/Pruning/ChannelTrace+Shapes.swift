// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// Tracing through changes of shape, and of the channel counts from which models compute shapes.
extension ChannelTrace {
  /// Follows the channels through a Flatten or Reshape.
  ///
  /// - Returns: `false` if they cannot be traced.
  mutating func reshape(_ node: Node, _ index: Int, _ input: ChannelAxis) -> Bool {
    guard input.axis >= 1, let from = shape(node.inputs[0]), let to = shape(node.outputs[0]),
      to.rank >= 2, from[0] == to[0]
    else { return false }
    if to.rank == 2 {
      let inner = from.count(of: input.axis + 1..<from.rank)
      let extent = input.channels.count
      let places = (0..<to[1]).map { input.channels[$0 / inner % extent] }
      if node.opType == "Reshape" { adjust(index, .flattening) }
      set(node.outputs[0], ChannelAxis(axis: 1, channels: places))
      return true
    }
    guard node.opType == "Reshape", let result = rearranged(from, to, input) else { return false }
    // A model that counts the channels itself will also do so after pruning.
    let counts =
      isCounted(node.inputs[1], at: result.axis, input.channels)
      || isCounted(node.inputs[1], at: result.axis, result.channels)
    guard counts || isConstant(node.inputs[1]) || canRewrite(node.inputs[1]) else { return false }
    if !counts { adjust(index, .extents(1)) }
    set(node.outputs[0], result)
    return true
  }

  private func isConstant(_ name: String) -> Bool { graph.initializers[name]?.dtype == .int64 }

  /// Whether a computed shape can be replaced by a constant: only the batch is symbolic.
  private func canRewrite(_ name: String) -> Bool {
    infos[name]?.value?.integers != nil
      && graph.dataInputs.allSatisfy { $0.dimensions.dropFirst().allSatisfy(\.isFixed) }
  }

  /// The channels after a change of shape. If the channel axis is split, the longest part
  /// represents the channels, and channels along the others are merged; if it is joined with other
  /// axes, each channel has several indices.
  private mutating func rearranged(_ from: Shape, _ to: Shape, _ input: ChannelAxis) -> ChannelAxis?
  {
    let (axis, extent) = (input.axis, from[input.axis])
    guard from.count > 0 else { return nil }
    let before = from.count(of: 0..<axis)
    let start = from.count(of: axis + 1..<from.rank)
    var ahead = 1
    for place in 0..<to.rank {
      defer { ahead *= to[place] }
      guard ahead <= before, before % ahead == 0 else { return nil }
      let own = to[place]
      if ahead == before, own > 1 || extent == 1 {
        if own == extent { return ChannelAxis(axis: place, channels: input.channels) }
        if own > extent {
          // Joined with the axes after it.
          guard own % extent == 0, start % (own / extent) == 0 else { return nil }
          let times = own / extent
          return ChannelAxis(axis: place, channels: (0..<own).map { input.channels[$0 / times] })
        }
        guard extent % own == 0 else { return nil }
        return cut(input, to, place)
      }
      if ahead < before, ahead * own > before {
        // Joined with the axes before it.
        guard own % (before / ahead) == 0, own / (before / ahead) == extent else { return nil }
        return ChannelAxis(axis: place, channels: (0..<own).map { input.channels[$0 % extent] })
      }
    }
    return nil
  }

  /// Splits a channel axis into several axes from `first` on, or only into `first` if the later
  /// ones also contain positions.
  private mutating func cut(_ input: ChannelAxis, _ to: Shape, _ first: Int) -> ChannelAxis? {
    let extent = input.channels.count
    var (end, product) = (first, 1)
    while end < to.rank, product < extent {
      product *= to[end]
      end += 1
    }
    // If an axis mixes channels and positions, as for the groups of a normalization, only the first
    // one counts.
    let own = product == extent ? first..<end : first..<first + 1
    let place = own.max { (to[$0], -$0) < (to[$1], -$1) } ?? first
    let inner = extent / to.count(of: first..<place + 1)
    let count = to[place]
    var units = [Int?](repeating: nil, count: count)
    for (index, channel) in input.channels.enumerated() {
      let unit = index / inner % count
      if let known = units[unit] { unite(known, channel) } else { units[unit] = channel }
    }
    return ChannelAxis(axis: place, channels: units.map { $0! })
  }

  // MARK: Numbers of channels

  /// Whether an element of a computed shape is the number of exactly these channels.
  mutating func isCounted(_ name: String, at place: Int, _ channels: [Int]) -> Bool {
    guard let elements = counts[name], elements.indices.contains(place),
      let counted = elements[place], counted.count == channels.count
    else { return false }
    guard elements.indices.allSatisfy({ $0 == place || elements[$0] == nil }) else { return false }
    // If they are the same in any order, both numbers shrink alike; otherwise merge them so that
    // they do.
    if areSame(counted, channels) { return true }
    for (first, second) in zip(counted, channels) where first != second { unite(first, second) }
    return true
  }

  /// Follows the numbers of channels through computed shapes.
  mutating func followCounts(_ node: Node) throws {
    if node.opType == "Shape", let axis = values[node.inputs[0]],
      let rank = shape(node.inputs[0])?.rank
    {
      func place(_ name: String, _ standard: Int) throws -> Int {
        let value = try node.int(name, default: standard)
        return min(max(value < 0 ? value + rank : value, 0), rank)
      }
      let (start, end) = (try place("start", 0), try place("end", rank))
      guard start < end else { return }
      count(node.outputs[0], (start..<end).map { $0 == axis.axis ? axis.channels : nil })
      return
    }
    let counted = node.reads.compactMap { counts[$0] }
    guard !counted.isEmpty else { return }
    if let result = try moved(node), node.captures.isEmpty {
      count(node.outputs[0], result)
      return
    }
    // Shapes that these nodes consume are checked together with their data.
    let isTarget = ["Reshape", "Resize"].contains(node.opType) && values[node.inputs[0]] != nil
    guard !isTarget else { return }
    for channels in counted.joined() {
      if let channels { pin(channels, "\(node.label) computes with the number of channels") }
    }
  }

  private mutating func count(_ name: String, _ elements: [[Int]?]) {
    if elements.contains(where: { $0 != nil }) { counts[name] = elements }
  }

  /// The elements that a node selects or concatenates from a vector of extents; `nil` if it
  /// computes new ones.
  private func moved(_ node: Node) throws -> [[Int]?]? {
    let own = counts[node.inputs[0]]
    switch node.opType {
    case "Identity", "Cast", "Unsqueeze", "Squeeze": return own
    case "Gather":
      guard let own, let picked = constants(node, 1) else { return nil }
      let places = picked.map { $0 < 0 ? $0 + own.count : $0 }
      return places.allSatisfy(own.indices.contains) ? places.map { own[$0] } : nil
    case "Slice":
      guard let own, let bounds = try SliceBounds(node, in: graph, along: 0, of: [own.count]) else {
        return nil
      }
      return Array(own[bounds.range ?? own.indices])
    case "Concat":
      var elements: [[Int]?] = []
      for name in node.inputs {
        guard let length = shape(name)?.count else { return nil }
        elements += counts[name] ?? [[Int]?](repeating: nil, count: length)
      }
      return elements
    case "Div":
      // A fraction of the channels: if axes are split, all parts keep the same number.
      guard let own, own.count == 1, constants(node, 1)?.count == 1 else { return nil }
      return own
    default: return nil
    }
  }
}

extension Dimension {
  fileprivate var isFixed: Bool { if case .fixed = self { true } else { false } }
}
