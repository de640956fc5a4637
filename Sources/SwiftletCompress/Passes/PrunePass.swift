import SwiftletCore
import SwiftletGraph

/// Removes channels, from all layers and branches that share them, and refits what reads the rest.
///
/// See ``ChannelGroups`` and ``ChannelPruning``.
struct PrunePass: CompressionPass {
  private let step: CompressionStep

  init(_ step: CompressionStep) { self.step = step }

  func apply(
    to graph: Graph, _ context: CompressionContext
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    let source = try context.calibration(for: graph, limit: step.calibrationImages)
    let pruning = try ChannelPruning(
      graph, source, threads: context.threads, progress: context.progress)
    return try apply(pruning)
  }

  /// - Throws: `unsupported` if nothing can be removed.
  func apply(_ pruning: ChannelPruning) throws -> (graph: Graph, layers: [LayerReport]) {
    let groups = pruning.groups.groups
    var counts: [Int: Int] = [:]
    for group in groups where group.pinned == nil {
      let count = Self.count(of: group.channels, width: step.width)
      if count < group.channels { counts[group.id] = count }
    }
    guard !counts.isEmpty || groups.contains(where: { $0.pinned == nil }) else {
      let reason = groups.compactMap { group in
        group.pinned.map { ": of \(group.producers.first ?? "the first layer"), \($0)" }
      }
      throw SwiftletError(
        .unsupported, "the model has no channels that can be removed\(reason.first ?? "")",
        mend: "prune before quantizing; use another technique where layers are grouped")
    }
    let plain = pruning.plainRankings()
    guard step.decomposition.dataAware else {
      let keeping = counts.reduce(into: [:]) { $0[$1.key] = plain[$1.key].kept($1.value) }
      let stays = pruning.groups.stays(keeping)
      return (
        try pruning.groups.pruned(keeping: keeping),
        pruning.groups.trace.layers.map { Self.report($0, pruning.groups, stays) }
      )
    }
    let best = try pruning.rankings()
    let keeping = counts.reduce(into: [:]) { $0[$1.key] = best[$1.key].kept($1.value) }
    let result = try pruning.pruned(keeping: keeping)
    let damage = try pruning.damage(of: result, keeping: keeping)
    let plainKeeping = counts.reduce(into: [:]) { $0[$1.key] = plain[$1.key].kept($1.value) }
    let plainDamage = try pruning.damage(
      of: pruning.groups.pruned(keeping: plainKeeping), keeping: plainKeeping)
    let stays = pruning.groups.stays(keeping)
    let layers = pruning.groups.trace.layers.map { layer in
      var report = Self.report(layer, pruning.groups, stays)
      report.damage = damage[layer.index]
      report.plainDamage = plainDamage[layer.index]
      return report
    }
    return (result, layers)
  }

  private static func report(
    _ layer: ChannelTrace.Layer, _ groups: ChannelGroups, _ stays: [Bool]
  ) -> LayerReport {
    func cut(_ channels: [Int]?) -> String? {
      guard let channels else { return nil }
      let kept = channels.count { stays[$0] }
      return kept < channels.count ? "\(kept) of \(channels.count)" : nil
    }
    let changes = [
      cut(layer.outputs).map { "\($0) outputs" }, cut(layer.inputs).map { "reads \($0) channels" },
    ].compactMap { $0 }
    let reason = layer.outputs.first.flatMap { groups.groups[groups.members[$0].group].pinned }
    let remark = changes.joined(separator: ", ")
    var report = LayerReport(
      groups.graph.nodes[layer.index], .prune, changed: !changes.isEmpty,
      changes.isEmpty ? reason ?? "as many channels as wanted" : remark)
    report.rank = layer.outputs.count { stays[$0] }
    report.fullRank = layer.outputs.count
    return report
  }

  /// How many of a group's channels to keep. Kernels compute 32 (AVX-512) or 16 (AVX2) channels at a
  /// time, and read them in vectors of 16 or 8, so that counts in between would not be faster.
  static func count(of channels: Int, width: Double) -> Int {
    let step = channels >= 128 ? 16 : channels >= 32 ? 8 : 1
    let wanted = Double(channels) * width / Double(step)
    return min(channels, max(1, Int(wanted.rounded())) * step)
  }
}
