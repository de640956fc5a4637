// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// How many channels a group could keep, and what that does.
struct ChannelCandidates {
  let group: ChannelGroup
  let ranking: ChannelRanking
  /// From all channels down to the fewest.
  let counts: [Int]
  /// How much of what the layers that read the channels lose arrives at the model's answers: noise
  /// over signal there, over ``ChannelRanking/damage``.
  let weight: Double

  /// - Parameter measuring: Whether data tell the weight; it is 1 without them.
  init(
    _ group: ChannelGroup, _ ranking: ChannelRanking, _ pruning: ChannelPruning, measuring: Bool
  ) throws {
    self.group = group
    self.ranking = ranking
    let fewer = Self.counts(of: group.channels)
    counts = [group.channels] + fewer
    weight = measuring ? try pruning.arriving(group.id, ranking, among: fewer) : 1
  }

  /// Of the answers, for each count.
  var damages: [Double] { counts.map { weight * ranking.damage[$0] } }

  /// Counts that are worth timing, descending: multiples at which kernels run well, about an eighth
  /// of the channels apart.
  static func counts(of channels: Int) -> [Int] {
    let counts = (1..<8).map { PrunePass.count(of: channels, width: Double($0) / 8) }
    return Set(counts).filter { $0 < channels }.sorted(by: >)
  }
}
