import SwiftletCore
import SwiftletGraph

/// How many channels each group keeps, and what becomes of each layer, chosen over all of them at once.
///
/// The damage of all choices together is taken for the sum of what each does alone. That of a group is
/// what its ranking foretells, that of factors their error in the layer with all of its channels; both
/// times how much of it arrives at the answers, measured once for each group and layer. Costs are those
/// of each layer with the channels that it is left, and of its factors there (``CoupledAllocator``).
struct JointAllocation {
  /// How many channels groups keep, by group; absent: all.
  private(set) var counts: [Int: Int] = [:]
  /// By the layer's first output; absent: the layer stays in one piece.
  private(set) var decisions: [String: Allocation.Decision] = [:]
  /// What of a layer was not taken, by its first output.
  private(set) var rejected: [String: [LayerReport.Alternative]] = [:]
  /// What of a group was not taken.
  private(set) var rejectedCounts: [Int: [LayerReport.Alternative]] = [:]
  /// Why groups keep all of their channels.
  private(set) var reasons: [Int: String] = [:]
  /// Milliseconds of layers with all channels, and with those that stay, by their position.
  private(set) var times: [Int: (before: Double, after: Double)] = [:]

  private let problem: JointProblem
  private var allocator: CoupledAllocator
  private let chosen: [Int]

  /// - Parameters:
  ///   - rankings: Of all groups.
  ///   - layers: The layers that could be factored too, with their candidates.
  ///   - timer: For the graph that the groups are of.
  init(
    _ pruning: ChannelPruning, _ rankings: [ChannelRanking], _ layers: [LayerCandidates],
    _ step: CompressionStep, timer: LayerTimer, _ context: CompressionContext
  ) throws {
    let groups = try pruning.groups.groups.filter {
      $0.pinned == nil && !ChannelCandidates.counts(of: $0.channels).isEmpty
    }.map { group in
      try ChannelCandidates(
        group, rankings[group.id], pruning, measuring: step.decomposition.dataAware)
    }
    let problem = try JointProblem(groups, layers, in: pruning.groups, timer: timer)
    var asked = 0
    var allocator = CoupledAllocator(damages: problem.damages, parts: problem.units) {
      asked += 1
      try context.progress?(
        Progress("time", completed: asked, remark: problem.parts[$0].whole.node.name))
      return try problem.cost($0, $1)
    }
    let whole = [Int](repeating: 0, count: problem.damages.count)
    let budget = step.ratio * (try allocator.cost(whole))
    chosen =
      step.decomposition.allocation == .greedy
      ? try allocator.greedy(budget: budget) : try allocator.exchanging(budget: budget)
    (self.problem, self.allocator) = (problem, allocator)
    for unit in groups.indices { try decideGroup(unit) }
    for (position, layer) in layers.enumerated() { try decideLayer(position, layer) }
    for (index, part) in problem.parts.enumerated() {
      times[part.index] = (
        try timer.milliseconds(part.whole), try timer.milliseconds(problem.dense(index, chosen))
      )
    }
  }

  // MARK: Groups

  private mutating func decideGroup(_ unit: Int) throws {
    let group = problem.groups[unit]
    let own = chosen[unit]
    if own > 0 { counts[group.group.id] = group.counts[own] }
    let parts = problem.units.indices.filter { problem.units[$0].contains(unit) }
    func cost(_ option: Int) throws -> Double {
      var moved = chosen
      moved[unit] = option
      return try parts.reduce(0) { $0 + (try allocator.cost(of: $1, moved)) }
    }
    let now = try cost(own)
    var saves = false
    for (option, count) in group.counts.enumerated() where option != own {
      let cost = try cost(option)
      let reason: String
      if option < own {
        reason = cost > now ? "costs more than the budget" : "costs no more, but no step led there"
      } else {
        saves = saves || cost < now
        reason =
          cost < now ? LayerReport.Alternative.moreDamage : "costs no less than the channels kept"
      }
      guard cost.isFinite else { continue }
      var moved = chosen
      moved[unit] = option
      rejectedCounts[group.group.id, default: []].append(
        LayerReport.Alternative(
          choice: option == 0 ? "keep" : "\(count) channels",
          milliseconds: try parts.reduce(0) { sum, part in
            sum + (try problem.milliseconds(part, problem.units[part].map { moved[$0] }))
          }, damage: group.ranking.damage[count], reason: reason))
    }
    if own == 0 {
      reasons[group.group.id] =
        saves
        ? "all channels: they damage the answers least for what they cost"
        : "all channels: with fewer its layers would cost no less"
    }
  }

  // MARK: Layers

  private mutating func decideLayer(_ position: Int, _ found: LayerCandidates) throws {
    let name = found.layer.node.outputs[0]
    let option = chosen[problem.groups.count + position]
    let candidate = option > 0 ? problem.candidates[position][option - 1] : nil
    if let candidate {
      decisions[name] = Allocation.Decision(method: candidate.method, ranks: candidate.ranks)
    }
    guard let part = problem.parts.firstIndex(where: { $0.whole.node.outputs[0] == name }) else {
      return
    }
    let layer = try problem.dense(part, chosen)
    let fitting = try found.candidates.compactMap { other in
      try problem.chain(other, of: layer).map { (candidate: other, chain: $0) }
    }
    let taken = fitting.firstIndex {
      $0.candidate.method == candidate?.method && $0.candidate.ranks == candidate?.ranks
    }
    let chains = [nil] + fitting.map(\.chain)
    rejected[name] = Allocation.alternatives(
      fitting.map(\.candidate), taken.map { $0 + 1 } ?? 0,
      try chains.map { try problem.timer.cost(layer, $0) },
      try chains.map { try problem.timer.milliseconds(layer, $0) })
  }
}
