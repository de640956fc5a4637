import SwiftletCore
import SwiftletGraph

/// What groups of channels and layers could become, and what the layers cost then.
///
/// Units, what is decided, are the groups and behind them the layers that could be factored; parts, what
/// costs, are all layers that either changes.
struct JointProblem {
  let groups: [ChannelCandidates]
  let layers: [LayerCandidates]
  /// Of each of `layers`, the candidates to choose among.
  let candidates: [[LayerCandidates.Candidate]]
  let parts: [SizedLayer]
  /// Of each part the units that it depends on.
  let units: [[Int]]
  let timer: LayerTimer
  /// Of each group and count the channels that stay.
  private let stays: [[Set<Int>]]

  /// - Parameter layers: Those that could be factored, if there are any.
  init(
    _ groups: [ChannelCandidates], _ layers: [LayerCandidates], in graph: ChannelGroups,
    timer: LayerTimer
  ) throws {
    self.groups = groups
    self.layers = layers
    self.timer = timer
    stays = groups.map { group in group.counts.map { Set(group.ranking.order.prefix($0)) } }
    candidates = try layers.map { try Self.efficient($0, timer) }
    let groupUnits = Dictionary(
      uniqueKeysWithValues: groups.enumerated().map { ($1.group.id, $0) })
    let layerUnits = Dictionary(
      uniqueKeysWithValues: layers.enumerated().map {
        ($1.layer.node.outputs[0], groups.count + $0)
      })
    let found = try SizedLayer.find(in: graph).map { part in
      (
        part,
        part.groups.compactMap { groupUnits[$0] }
          + [layerUnits[part.whole.node.outputs[0]]].compactMap { $0 }
      )
    }.filter { !$0.1.isEmpty }
    (parts, units) = (found.map(\.0), found.map(\.1))
  }

  /// The candidates that cost less than the layer, and than all others that err less: when channels go,
  /// each of them has to be timed once more.
  private static func efficient(
    _ layer: LayerCandidates, _ timer: LayerTimer
  ) throws -> [LayerCandidates.Candidate] {
    let whole = try timer.cost(layer.layer)
    let costs = try layer.candidates.map { try timer.cost(layer.layer, $0.chain) }
    let order = costs.indices.sorted {
      (layer.candidates[$0].error, costs[$0]) < (layer.candidates[$1].error, costs[$1])
    }
    var least = whole
    return order.compactMap { index in
      guard costs[index] < least else { return nil }
      least = costs[index]
      return layer.candidates[index]
    }
  }

  /// Of the options of each unit.
  var damages: [[Double]] {
    groups.map(\.damages)
      + zip(layers, candidates).map { layer, candidates in
        [0] + candidates.map { layer.weight * $0.error }
      }
  }

  /// What a part becomes with these options of its units; `nil` where they do not go together.
  private func form(
    _ part: Int, _ options: [Int]
  ) throws -> (layer: WeightedLayer, chain: FactorChain?)? {
    var kept: [Int: Set<Int>] = [:]
    var candidate: LayerCandidates.Candidate?
    for (unit, option) in zip(units[part], options) where option > 0 {
      if unit < groups.count {
        kept[groups[unit].group.id] = stays[unit][option]
      } else {
        candidate = candidates[unit - groups.count][option - 1]
      }
    }
    let layer = parts[part].keeping(kept)
    guard let candidate else { return (layer, nil) }
    return try chain(candidate, of: layer).map { (layer, $0) }
  }

  /// The candidate's factors of a layer with fewer channels; `nil` if it has none that cost less.
  func chain(
    _ candidate: LayerCandidates.Candidate, of layer: WeightedLayer
  ) throws -> FactorChain? {
    let chain = candidate.chain.resized(inputs: layer.inputs, outputs: layer.outputs)
    guard layer.tooThin == nil, candidate.method.permits(candidate.ranks, inputs: layer.inputs),
      try timer.macs(layer, chain) < timer.macs(layer)
    else { return nil }
    return chain
  }

  /// What the settings spend; infinity where the options do not go together.
  func cost(_ part: Int, _ options: [Int]) throws -> Double {
    try form(part, options).map { try timer.cost($0.layer, $0.chain) } ?? .infinity
  }

  /// Milliseconds of one batch on one thread; infinity as above.
  func milliseconds(_ part: Int, _ options: [Int]) throws -> Double {
    try form(part, options).map { try timer.milliseconds($0.layer, $0.chain) } ?? .infinity
  }

  /// The part with the channels that the options leave it, in one piece.
  func dense(_ part: Int, _ chosen: [Int]) throws -> WeightedLayer {
    let options = units[part].map { $0 < groups.count ? chosen[$0] : 0 }
    return try form(part, options)?.layer ?? parts[part].whole
  }
}
