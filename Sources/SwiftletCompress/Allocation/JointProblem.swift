// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// The options of channel groups and layers, and the resulting costs of layers.
///
/// Units, which are decided on, are the groups, then the layers that may be factored, then the
/// layers whose precision is to be chosen. Parts, which have a cost, are all layers that any of
/// these decisions changes.
struct JointProblem {
  let groups: [ChannelCandidates]
  let layers: [LayerCandidates]
  /// The candidates to choose from, for each of `layers`.
  let candidates: [[LayerCandidates.Candidate]]
  let precisions: [PrecisionCandidates]
  let parts: [SizedLayer]
  /// The units that the cost of each part depends on.
  let units: [[Int]]
  let timer: LayerTimer
  /// The channels to keep, for each group and number of channels.
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
    // Several layers of a file may have the same name: the first one stands for all.
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

  /// The candidates that are cheaper than the layer and than all candidates with a smaller error.
  /// The others are dropped because each candidate has to be timed again whenever channels are
  /// removed.
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

  /// Damage of each option of each unit.
  var damages: [[Double]] {
    groups.map(\.damages)
      + zip(layers, candidates).map { layer, candidates in
        [0] + candidates.map { layer.weight * $0.error }
      } + precisions.map(\.damages)
  }

  /// A layer with its remaining channels, factored or not.
  private struct Form {
    let layer: WeightedLayer
    var chain: FactorChain?
    /// `nil`: the timer's default.
    var precision: LayerPrecision?
  }

  /// A part with the given options of its units; `nil` if they are incompatible.
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

  /// The candidate's factors for a layer with fewer channels; `nil` if they would not be cheaper.
  func chain(
    _ candidate: LayerCandidates.Candidate, of layer: WeightedLayer
  ) throws -> FactorChain? {
    let chain = candidate.chain.resized(inputs: layer.inputs, outputs: layer.outputs)
    guard layer.tooThin == nil, candidate.method.permits(candidate.ranks, inputs: layer.inputs),
      try timer.macs(layer, chain) < timer.macs(layer)
    else { return nil }
    return chain
  }

  /// Cost of a part in the unit of the settings; infinity if the options are incompatible.
  func cost(_ part: Int, _ options: [Int]) throws -> Double {
    try form(part, options).map { try timer.cost($0.layer, $0.chain, in: $0.precision) }
      ?? .infinity
  }

  /// Milliseconds per batch on one thread; infinity if the options are incompatible.
  func milliseconds(_ part: Int, _ options: [Int]) throws -> Double {
    try form(part, options).map { try timer.milliseconds($0.layer, $0.chain, in: $0.precision) }
      ?? .infinity
  }

  /// The part with its remaining channels and its precision, but not factored; `chosen` has the
  /// option of every unit.
  func dense(
    _ part: Int, _ chosen: [Int]
  ) throws -> (layer: WeightedLayer, precision: LayerPrecision?) {
    let factored = groups.count..<groups.count + layers.count
    let options = units[part].map { factored.contains($0) ? 0 : chosen[$0] }
    guard let form = try form(part, options) else { return (parts[part].whole, nil) }
    return (form.layer, form.precision)
  }
}
