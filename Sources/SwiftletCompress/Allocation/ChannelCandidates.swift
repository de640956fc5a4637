// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// The numbers of channels that a group could keep, and the damage of each.
struct ChannelCandidates {
  let group: ChannelGroup
  let ranking: ChannelRanking
  /// Numbers of channels, descending, starting with all of them.
  let counts: [Int]
  /// Share of the damage that reaches the model's outputs: their noise-to-signal ratio over
  /// ``ChannelRanking/damage``.
  let weight: Double

  /// Chooses the numbers of channels to consider.
  ///
  /// - Parameters:
  ///   - group: The channels.
  ///   - ranking: The order in which the channels are kept.
  ///   - pruning: The graph with its calibration data.
  ///   - measuring: Whether to measure ``weight`` on data; otherwise it is 1.
  init(
    _ group: ChannelGroup, _ ranking: ChannelRanking, _ pruning: ChannelPruning, measuring: Bool
  ) throws {
    self.group = group
    self.ranking = ranking
    let fewer = Self.counts(of: group.channels)
    counts = [group.channels] + fewer
    weight = measuring ? try pruning.arriving(group.id, ranking, among: fewer) : 1
  }

  /// Damage to the model's outputs for each of ``counts``.
  var damages: [Double] { counts.map { weight * ranking.damage[$0] } }

  /// Numbers of channels worth timing, descending: about an eighth of the channels apart, at
  /// multiples where kernels run well.
  static func counts(of channels: Int) -> [Int] {
    let counts = (1..<8).map { PrunePass.count(of: channels, width: Double($0) / 8) }
    return Set(counts).filter { $0 < channels }.sorted(by: >)
  }
}
