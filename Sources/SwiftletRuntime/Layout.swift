// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels

/// The order in which a value stores the axes of a tensor.
///
/// The last stored axis holds the channels of a pixel, the others its position. A `Transpose` only
/// changes which axis is which, so it costs nothing until an operator needs another order.
struct Layout: Sendable, Hashable {
  /// The axes, the outermost first.
  let order: [Int]

  /// As the tensor itself: N×L×C, N×H×W×C.
  static func rows(_ rank: Int) -> Layout { Layout(order: Array(0..<rank)) }

  /// The second axis last: channels-last images for N×C×H×W.
  static func planes(_ rank: Int) -> Layout {
    rank < 3 ? rows(rank) : Layout(order: [0] + Array(2..<rank) + [1])
  }

  var rank: Int { order.count }
  var isRows: Bool { order == Array(order.indices) }
  var isPlanes: Bool { self == Self.planes(rank) }
  /// The axis that holds channels.
  var channelAxis: Int { order[rank - 1] }

  /// The layout of the transposed tensor, whose axis i is axis `permutation[i]` of this one.
  func transposed(_ permutation: [Int]) -> Layout {
    Layout(order: order.map { permutation.firstIndex(of: $0)! })
  }

  /// The layout whose ``transposed(_:)`` is this one.
  func beforeTransposing(_ permutation: [Int]) -> Layout {
    Layout(order: order.map { permutation[$0] })
  }

  /// The layout without an axis that a tensor loses.
  func removing(_ axis: Int) -> Layout {
    Layout(order: order.filter { $0 != axis }.map { $0 > axis ? $0 - 1 : $0 })
  }

  /// The layout of the trailing axes alone, for operands that are broadcast to a higher rank.
  func trailing(_ rank: Int) -> Layout {
    let lost = self.rank - rank
    return Layout(order: order.filter { $0 >= lost }.map { $0 - lost })
  }

  /// Whether both store the elements of a tensor in the same sequence, and the same channels.
  func matches(_ other: Layout, _ shape: Shape) -> Bool {
    func long(_ layout: Layout) -> [Int] { layout.order.filter { shape[$0] != 1 } }
    return channelAxis == other.channelAxis && long(self) == long(other)
  }

  /// The layout in which a reshaped tensor has its elements where they are; `nil` if there is none.
  ///
  /// Runs of axes whose extents have the same product on both sides correspond to each other; the
  /// axes of each run must be stored next to each other, in order.
  func reshaped(_ from: Shape, _ to: Shape) -> Layout? {
    let places = Dictionary(uniqueKeysWithValues: order.enumerated().map { ($1, $0) })
    let long = order.filter { from[$0] != 1 }
    let ranks = Dictionary(uniqueKeysWithValues: long.enumerated().map { ($1, $0) })
    var runs: [(place: Int, axes: [Int])] = []
    let (old, new) = (
      from.dimensions.indices.filter { from[$0] != 1 }, to.dimensions.indices.filter { to[$0] != 1 }
    )
    var (i, j) = (0, 0)
    while i < old.count && j < new.count {
      var (ours, theirs) = ([old[i]], [new[j]])
      var (size, target) = (from[old[i]], to[new[j]])
      (i, j) = (i + 1, j + 1)
      while size != target {
        if size < target {
          guard i < old.count else { return nil }
          size *= from[old[i]]
          ours.append(old[i])
          i += 1
        } else {
          guard j < new.count else { return nil }
          target *= to[new[j]]
          theirs.append(new[j])
          j += 1
        }
      }
      let first = ranks[ours[0]]!
      guard ours.indices.allSatisfy({ ranks[ours[$0]]! == first + $0 }) else { return nil }
      runs.append((places[ours[0]]!, theirs))
    }
    guard i == old.count && j == new.count else { return nil }
    let stored = runs.sorted { $0.place < $1.place }.flatMap(\.axes)
    // Axes of extent 1 follow the outermost one, so that the innermost holds channels.
    let short = to.dimensions.indices.filter { to[$0] == 1 }
    guard !short.isEmpty else { return Layout(order: stored) }
    guard short[0] != 0 else { return Layout(order: short + stored) }
    return Layout(order: stored.prefix(1) + short + stored.dropFirst())
  }

  /// The distance between neighbours along each axis of the tensor.
  func distances(_ shape: Shape) -> [Distance] {
    var distances = [Distance](repeating: Distance(), count: rank)
    distances[channelAxis] = Distance(channels: 1)
    var rows = 1
    for (step, axis) in order.dropLast().reversed().enumerated() {
      if step == 0 {
        distances[axis] = Distance(columns: 1)
      } else {
        distances[axis] = Distance(rows: rows)
        rows *= shape[axis]
      }
    }
    return distances
  }
}

/// A distance in the memory of a value, in units that do not depend on its strides.
struct Distance: Sendable, Hashable {
  var rows = 0, columns = 0, channels = 0

  func bytes(_ value: Value) -> Int {
    rows * value.steps.row + columns * value.steps.pixel + channels * value.elementSize
  }

  static func + (a: Distance, b: Distance) -> Distance {
    Distance(
      rows: a.rows + b.rows, columns: a.columns + b.columns, channels: a.channels + b.channels)
  }

  static func * (a: Distance, factor: Int) -> Distance {
    Distance(rows: a.rows * factor, columns: a.columns * factor, channels: a.channels * factor)
  }
}

extension Value {
  /// The value of a tensor whose outermost stored axis is a multiple of the batch.
  init(shape: Shape, _ layout: Layout, images: Int, _ kind: Kind) {
    var extents = layout.order.dropLast().map { shape[$0] }
    extents[0] /= images
    if extents.count > 1 && extents[0] == 1 { extents.removeFirst() }
    self.init(
      kind: kind, channels: shape[layout.channelAxis],
      height: extents.dropLast().reduce(1, *), width: extents.last!)
  }
}
