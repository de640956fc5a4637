// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// Chooses how many channels each group keeps, how each layer is factored, and the precision of
/// each layer, all at once.
///
/// The total damage is assumed to be the sum of the damage of each choice alone. For a group it is
/// the damage that its ranking predicts; for factors, the error in the layer with all of its
/// channels. Both are multiplied by the share that reaches the model's outputs, measured once for
/// each group and layer. The damage of a precision is measured at the outputs. Costs are those of
/// each layer with its remaining channels, factors and precision (``CoupledAllocator``).
struct JointAllocation {
  /// Number of channels to keep, by group; a group without an entry keeps all.
  private(set) var counts: [Int: Int] = [:]
  /// By the layer's first output; a layer without an entry is not factored.
  private(set) var decisions: [String: Allocation.Decision] = [:]
  /// Rejected alternatives for layers, by their first output.
  private(set) var rejected: [String: [LayerReport.Alternative]] = [:]
  /// Rejected numbers of channels, by group.
  private(set) var rejectedCounts: [Int: [LayerReport.Alternative]] = [:]
  /// Why groups keep all of their channels.
  private(set) var reasons: [Int: String] = [:]
  /// By the layer's name in reports, for layers whose precision was chosen.
  private(set) var precisions: [String: LayerPrecision] = [:]
  private var rejectedPrecisions: [String: [LayerReport.Alternative]] = [:]
  /// Milliseconds of the original layers, and of the layers with the chosen channels and precision,
  /// by position in the graph.
  private(set) var times: [Int: (before: Double, after: Double)] = [:]

  private let problem: JointProblem
  private var allocator: CoupledAllocator
  private let chosen: [Int]

  /// Measures damages and costs, and searches for the best combination.
  ///
  /// - Parameters:
  ///   - pruning: The graph with its groups of channels and its samples.
  ///   - rankings: For all groups; `nil`: keep all channels.
  ///   - layers: The layers that may be factored, with their candidates.
  ///   - settings: The strategy, the cost measure and the budget.
  ///   - context: Threads, progress and the cache of times.
  init(
    _ pruning: ChannelPruning, _ rankings: [ChannelRanking]?, _ layers: [LayerCandidates],
    _ settings: any AllocationSettings, _ context: CompressionContext
  ) throws {
    let timer = try LayerTimer(pruning.groups.graph, settings, cache: context.latencies)
    let open = pruning.groups.groups.filter {
      $0.pinned == nil && !ChannelCandidates.counts(of: $0.channels).isEmpty
    }
    let groups = try rankings.map { rankings in
      try open.enumerated().map { index, group in
        try context.progress?(
          Progress(
            "rank channels", completed: index, total: open.count, remark: group.producers.first))
        return try ChannelCandidates(
          group, rankings[group.id], pruning, measuring: settings.dataAware)
      }
    }
    var precisions: [PrecisionCandidates] = []
    if let wanted = settings.precisions {
      precisions = try PrecisionCandidates.measure(
        pruning.groups.graph, wanted, pruning.source, context)
    }
    let problem = try JointProblem(
      groups ?? [], layers, precisions, in: pruning.groups, timer: timer)
    var asked = 0
    var allocator = CoupledAllocator(damages: problem.damages, parts: problem.units) {
      asked += 1
      try context.progress?(
        Progress("time", completed: asked, remark: problem.parts[$0].whole.node.name))
      return try problem.cost($0, $1)
    }
    let whole = [Int](repeating: 0, count: problem.damages.count)
    let budget = settings.share * (try allocator.cost(whole))
    chosen =
      settings.allocation == .greedy
      ? try allocator.greedy(budget: budget) : try allocator.exchanging(budget: budget)
    (self.problem, self.allocator) = (problem, allocator)
    for position in problem.groups.indices { try decideGroup(position) }
    for position in layers.indices { try decideLayer(position) }
    for position in precisions.indices { try decidePrecision(position) }
    for (index, part) in problem.parts.enumerated() {
      let (before, after) = (try problem.dense(index, whole), try problem.dense(index, chosen))
      times[part.index] = (
        try timer.milliseconds(before.layer, in: before.precision),
        try timer.milliseconds(after.layer, in: after.precision)
      )
    }
    context.latencies.save()
  }

  /// The rejected options of a unit, and whether any option stronger than the chosen one would have
  /// been cheaper.
  private mutating func alternatives(
    of unit: Int, _ name: (Int) -> String, damage: (Int) -> Double
  ) throws -> (rejected: [LayerReport.Alternative], saves: Bool) {
    let parts = problem.units.indices.filter { problem.units[$0].contains(unit) }
    let now = try parts.reduce(0) { $0 + (try allocator.cost(of: $1, chosen)) }
    var result: [LayerReport.Alternative] = []
    var saves = false
    for option in problem.damages[unit].indices where option != chosen[unit] {
      var moved = chosen
      moved[unit] = option
      let cost = try parts.reduce(0) { $0 + (try allocator.cost(of: $1, moved)) }
      guard cost.isFinite else { continue }
      let reason: String
      if option < chosen[unit] {
        reason = cost > now ? "exceeds the budget" : "not more expensive, but missed by the search"
      } else {
        saves = saves || cost < now
        reason =
          cost < now ? LayerReport.Alternative.moreDamage : "no cheaper than the chosen option"
      }
      result.append(
        LayerReport.Alternative(
          choice: name(option),
          milliseconds: try parts.reduce(0) { sum, part in
            sum + (try problem.milliseconds(part, problem.units[part].map { moved[$0] }))
          }, damage: damage(option), reason: reason))
    }
    return (result, saves)
  }

  private mutating func decideGroup(_ unit: Int) throws {
    let group = problem.groups[unit]
    let id = group.group.id
    if chosen[unit] > 0 { counts[id] = group.counts[chosen[unit]] }
    let (others, saves) = try alternatives(of: unit) {
      $0 == 0 ? "keep" : "\(group.counts[$0]) channels"
    } damage: {
      group.ranking.damage[group.counts[$0]]
    }
    rejectedCounts[id] = others
    if chosen[unit] == 0 {
      reasons[id] =
        saves
        ? "all channels: removing some would save too little for the damage"
        : "all channels: removing some would not make its layers cheaper"
    }
  }

  private mutating func decideLayer(_ position: Int) throws {
    let found = problem.layers[position]
    let name = found.layer.node.outputs[0]
    let option = chosen[problem.groups.count + position]
    let candidate = option > 0 ? problem.candidates[position][option - 1] : nil
    if let candidate {
      decisions[name] = Allocation.Decision(method: candidate.method, ranks: candidate.ranks)
    }
    guard let part = problem.parts.firstIndex(where: { $0.whole.node.outputs[0] == name }) else {
      return
    }
    let (layer, precision) = try problem.dense(part, chosen)
    let fitting = try found.candidates.compactMap { other in
      try problem.chain(other, of: layer).map { (candidate: other, chain: $0) }
    }
    let taken = fitting.firstIndex {
      $0.candidate.method == candidate?.method && $0.candidate.ranks == candidate?.ranks
    }
    let chains = [nil] + fitting.map(\.chain)
    rejected[name] = Allocation.alternatives(
      fitting.map(\.candidate), taken.map { $0 + 1 } ?? 0,
      try chains.map { try problem.timer.cost(layer, $0, in: precision) },
      try chains.map { try problem.timer.milliseconds(layer, $0, in: precision) })
  }

  // MARK: Precisions

  private mutating func decidePrecision(_ position: Int) throws {
    let unit = problem.groups.count + problem.layers.count + position
    let open = problem.precisions[position]
    precisions[open.layer] = open.precisions[chosen[unit]]
    rejectedPrecisions[open.layer] = try alternatives(of: unit) {
      open.precisions[$0].rawValue
    } damage: {
      open.damages[$0]
    }.rejected
  }

  /// Adds the chosen precision to the last report of each layer. Layers without a report, such as
  /// depthwise ones, get one.
  func addPrecisions(to reports: inout [LayerReport], _ technique: Technique) {
    for part in problem.parts {
      let name = part.whole.node.reportName
      guard let precision = precisions[name] else { continue }
      let index =
        reports.lastIndex { $0.layer == name }
        ?? {
          reports.append(
            LayerReport(part.whole.node, technique, changed: false, "only its precision is chosen"))
          return reports.count - 1
        }()
      reports[index].precision = precision
      reports[index].rejected += rejectedPrecisions[name] ?? []
    }
  }
}
