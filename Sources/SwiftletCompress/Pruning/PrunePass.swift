// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// Removes channels from all layers and branches that share them, and refits their consumers.
///
/// See ``ChannelGroups`` and ``ChannelPruning``; ``JointAllocation`` chooses a number of channels
/// for each group if a cost ratio is set.
struct PrunePass: CompressionPass {
  private let settings: PruneSettings

  init(_ settings: PruneSettings) { self.settings = settings }

  /// Prunes a graph.
  ///
  /// - Throws: `unsupported` if no channels can be removed.
  func apply(
    to graph: Graph, _ context: CompressionContext
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    let pruning = try pruning(graph, context)
    let groups = pruning.groups.groups
    guard groups.contains(where: { $0.pinned == nil }) else {
      let reasons =
        groups.compactMap { group in
          group.pinned.map { "; for \(group.producers.first ?? "the first layer"), \($0)" }
        } + pruning.groups.trace.refusals.map { "; \($0)" }
      throw SwiftletError(
        .unsupported, "the model has no channels that can be removed\(reasons.first ?? "")",
        mend: "use another technique, such as quantize")
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

  /// Traces the channels of a graph, and reads the calibration samples.
  func pruning(_ graph: Graph, _ context: CompressionContext) throws -> ChannelPruning {
    let source = try context.calibration(for: graph, limit: settings.calibrationImages)
    return try ChannelPruning(graph, source, threads: context.threads, progress: context.progress)
  }

  /// The ranking of each group.
  func rankings(_ pruning: ChannelPruning) throws -> [ChannelRanking] {
    settings.dataAware ? try pruning.rankings() : pruning.plainRankings()
  }

  /// The graph with the given number of channels in each group.
  ///
  /// - Parameters:
  ///   - pruning: The original graph.
  ///   - rankings: The rankings of all groups.
  ///   - counts: Number of channels to keep, by group; other groups keep all.
  ///   - allocation: The source of the numbers, for the reports.
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
      cut(layer.outputs).map { "\($0) outputs" }, cut(layer.inputs).map { "\($0) inputs" },
    ].compactMap { $0 }
    let node = groups.graph.nodes[layer.index]
    let group = layer.outputs.first.map { groups.groups[groups.members[$0].group] }
    let reason = group.flatMap { $0.pinned ?? allocation?.reasons[$0.id] }
    let remark = changes.joined(separator: ", ")
    var report = LayerReport(
      node, .prune, changed: !changes.isEmpty,
      changes.isEmpty ? reason ?? "all channels are kept" : remark)
    report.rank = layer.outputs.count { stays[$0] }
    report.fullRank = layer.outputs.count
    guard let allocation else { return report }
    report.millisecondsBefore = allocation.times[layer.index]?.before
    report.millisecondsAfter = allocation.times[layer.index]?.after
    // Report a group once, with the first layer that computes its channels.
    if let group, group.producers.first == node.reportName {
      report.rejected = allocation.rejectedCounts[group.id] ?? []
    }
    return report
  }

  /// Number of channels of a group to keep for a width, above 0 and at most 1. Kernels compute 32
  /// (AVX-512) or 16 (AVX2) channels at a time, and read them in vectors of 16 or 8, so numbers in
  /// between would not be faster.
  static func count(of channels: Int, width: Double) -> Int {
    let step = channels >= 128 ? 16 : channels >= 32 ? 8 : 1
    let wanted = Double(channels) * width / Double(step)
    return min(channels, max(1, Int(wanted.rounded())) * step)
  }
}
