// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// Removes channels, from all layers and branches that share them, and refits what reads the rest.
///
/// See ``ChannelGroups`` and ``ChannelPruning``; ``JointAllocation`` chooses how many of each group
/// where not all groups are cut alike.
struct PrunePass: CompressionPass {
  private let settings: PruneSettings

  init(_ settings: PruneSettings) { self.settings = settings }

  /// - Throws: `unsupported` if nothing can be removed.
  func apply(
    to graph: Graph, _ context: CompressionContext
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    let pruning = try pruning(graph, context)
    let groups = pruning.groups.groups
    guard groups.contains(where: { $0.pinned == nil }) else {
      let reasons =
        groups.compactMap { group in
          group.pinned.map { ": of \(group.producers.first ?? "the first layer"), \($0)" }
        } + pruning.groups.trace.refusals.map { ": \($0)" }
      throw SwiftletError(
        .unsupported, "the model has no channels that can be removed\(reasons.first ?? "")",
        mend: "use another technique, or quantize it alone")
    }
    let rankings = try rankings(pruning)
    guard settings.ratio != nil else {
      var counts: [Int: Int] = [:]
      for group in groups where group.pinned == nil {
        counts[group.id] = Self.count(of: group.channels, width: settings.width)
      }
      return try pruned(pruning, rankings, counts)
    }
    let allocation = try JointAllocation(pruning, rankings, [], settings, context)
    var (result, reports) = try pruned(pruning, rankings, allocation.counts, allocation)
    allocation.addPrecisions(to: &reports, .prune)
    return (result, reports)
  }

  /// What can be removed from a graph, with samples to judge by.
  func pruning(_ graph: Graph, _ context: CompressionContext) throws -> ChannelPruning {
    let source = try context.calibration(for: graph, limit: settings.calibrationImages)
    return try ChannelPruning(graph, source, threads: context.threads, progress: context.progress)
  }

  /// The channels of each group, the best first.
  func rankings(_ pruning: ChannelPruning) throws -> [ChannelRanking] {
    settings.dataAware ? try pruning.rankings() : pruning.plainRankings()
  }

  /// The graph with so many channels of its groups.
  ///
  /// - Parameters:
  ///   - counts: How many channels to keep, by group; all where there is no number.
  ///   - allocation: What chose the counts, for the reports.
  func pruned(
    _ pruning: ChannelPruning, _ rankings: [ChannelRanking], _ counts: [Int: Int],
    _ allocation: JointAllocation? = nil
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    let groups = pruning.groups
    func keeping(_ rankings: [ChannelRanking]) -> [Int: [Int]] {
      let fewer = counts.filter { $0.value < groups.groups[$0.key].channels }
      return fewer.reduce(into: [:]) { $0[$1.key] = rankings[$1.key].kept($1.value) }
    }
    let kept = keeping(rankings)
    let stays = groups.stays(kept)
    var reports = groups.trace.layers.map { Self.report($0, groups, stays, allocation) }
    guard settings.dataAware else { return (try groups.pruned(keeping: kept), reports) }
    let result = try pruning.pruned(keeping: kept)
    let damage = try pruning.damage(of: result, keeping: kept)
    let plain = keeping(pruning.plainRankings())
    let plainDamage = try pruning.damage(of: groups.pruned(keeping: plain), keeping: plain)
    for (position, layer) in groups.trace.layers.enumerated() {
      reports[position].damage = damage[layer.index]
      reports[position].plainDamage = plainDamage[layer.index]
    }
    return (result, reports)
  }

  private static func report(
    _ layer: ChannelTrace.Layer, _ groups: ChannelGroups, _ stays: [Bool],
    _ allocation: JointAllocation?
  ) -> LayerReport {
    func cut(_ channels: [Int]?) -> String? {
      guard let channels else { return nil }
      let kept = channels.count { stays[$0] }
      return kept < channels.count ? "\(kept) of \(channels.count)" : nil
    }
    let changes = [
      cut(layer.outputs).map { "\($0) outputs" }, cut(layer.inputs).map { "reads \($0) channels" },
    ].compactMap { $0 }
    let node = groups.graph.nodes[layer.index]
    let group = layer.outputs.first.map { groups.groups[groups.members[$0].group] }
    let reason = group.flatMap { $0.pinned ?? allocation?.reasons[$0.id] }
    let remark = changes.joined(separator: ", ")
    var report = LayerReport(
      node, .prune, changed: !changes.isEmpty,
      changes.isEmpty ? reason ?? "as many channels as wanted" : remark)
    report.rank = layer.outputs.count { stays[$0] }
    report.fullRank = layer.outputs.count
    guard let allocation else { return report }
    report.millisecondsBefore = allocation.times[layer.index]?.before
    report.millisecondsAfter = allocation.times[layer.index]?.after
    // A group is told of once, with the first layer that makes its channels.
    if let group, group.producers.first == node.reportName {
      report.rejected = allocation.rejectedCounts[group.id] ?? []
    }
    return report
  }

  /// How many of a group's channels to keep. Kernels compute 32 (AVX-512) or 16 (AVX2) channels at
  /// a time, and read them in vectors of 16 or 8, so that counts in between would not be faster.
  static func count(of channels: Int, width: Double) -> Int {
    let step = channels >= 128 ? 16 : channels >= 32 ? 8 : 1
    let wanted = Double(channels) * width / Double(step)
    return min(channels, max(1, Int(wanted.rounded())) * step)
  }
}
