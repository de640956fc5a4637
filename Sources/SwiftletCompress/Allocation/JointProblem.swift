// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// What groups of channels and layers could become, and what the layers cost then.
///
/// Units, what is decided, are the groups, behind them the layers that could be factored, and
/// behind those the layers whose precision is open; parts, what costs, are all layers that any of
/// it changes.
struct JointProblem {
  let groups: [ChannelCandidates]
  let layers: [LayerCandidates]
  /// Of each of `layers`, the candidates to choose among.
  let candidates: [[LayerCandidates.Candidate]]
  let precisions: [PrecisionCandidates]
  let parts: [SizedLayer]
  /// Of each part the units that it depends on.
  let units: [[Int]]
  let timer: LayerTimer
  /// Of each group and count the channels that stay.
  private let stays: [[Set<Int>]]

  init(
    _ groups: [ChannelCandidates], _ layers: [LayerCandidates],
    _ precisions: [PrecisionCandidates], in graph: ChannelGroups, timer: LayerTimer
  ) throws {
    self.groups = groups
    self.layers = layers
    self.precisions = precisions
    self.timer = timer
    stays = groups.map { group in group.counts.map { Set(group.ranking.order.prefix($0)) } }
    candidates = try layers.map { try Self.efficient($0, timer) }
    let groupUnits = Dictionary(
      uniqueKeysWithValues: groups.enumerated().map { ($1.group.id, $0) })
    let layerUnits = Dictionary(
      uniqueKeysWithValues: layers.enumerated().map {
        ($1.layer.node.outputs[0], groups.count + $0)
      })
    // Files may name several layers alike: the first one answers for them.
    let precisionUnits = Dictionary(
      precisions.enumerated().map { ($1.layer, groups.count + layers.count + $0) }
    ) { first, _ in first }
    let found = try SizedLayer.find(in: graph).map { part in
      let own = [
        layerUnits[part.whole.node.outputs[0]], precisionUnits[part.whole.node.reportName],
      ]
      return (part, part.groups.compactMap { groupUnits[$0] } + own.compactMap { $0 })
    }.filter { !$0.1.isEmpty }
    (parts, units) = (found.map(\.0), found.map(\.1))
  }

  /// The candidates that cost less than the layer, and than all others that err less: when channels
  /// go, each of them has to be timed once more.
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
      } + precisions.map(\.damages)
  }

  /// A layer with the channels that are left, cut into a chain or not.
  private struct Form {
    let layer: WeightedLayer
    var chain: FactorChain?
    /// `nil`: as the timer's settings say.
    var precision: LayerPrecision?
  }

  /// What a part becomes with these options of its units; `nil` where they do not go together.
  private func form(_ part: Int, _ options: [Int]) throws -> Form? {
    var kept: [Int: Set<Int>] = [:]
    var candidate: LayerCandidates.Candidate?
    var precision: LayerPrecision?
    for (unit, option) in zip(units[part], options) {
      if unit >= groups.count + layers.count {
        precision = precisions[unit - groups.count - layers.count].precisions[option]
      } else if option > 0, unit < groups.count {
        kept[groups[unit].group.id] = stays[unit][option]
      } else if option > 0 {
        candidate = candidates[unit - groups.count][option - 1]
      }
    }
    var form = Form(layer: parts[part].keeping(kept), precision: precision)
    guard let candidate else { return form }
    form.chain = try chain(candidate, of: form.layer)
    return form.chain == nil ? nil : form
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
    try form(part, options).map { try timer.cost($0.layer, $0.chain, in: $0.precision) }
      ?? .infinity
  }

  /// Milliseconds of one batch on one thread; infinity as above.
  func milliseconds(_ part: Int, _ options: [Int]) throws -> Double {
    try form(part, options).map { try timer.milliseconds($0.layer, $0.chain, in: $0.precision) }
      ?? .infinity
  }

  /// The part with the channels that are left to it and in its precision, but in one piece; all of
  /// the units' options are given.
  func dense(
    _ part: Int, _ chosen: [Int]
  ) throws -> (layer: WeightedLayer, precision: LayerPrecision?) {
    let factored = groups.count..<groups.count + layers.count
    let options = units[part].map { factored.contains($0) ? 0 : chosen[$0] }
    guard let form = try form(part, options) else { return (parts[part].whole, nil) }
    return (form.layer, form.precision)
  }
}
