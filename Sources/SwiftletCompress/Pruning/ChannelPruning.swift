// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
package import SwiftletCore
package import SwiftletGraph

/// Removes channels from a graph, chosen and compensated by calibration data.
///
/// ``rankings()`` determines which channels each group should keep first, and predicts the loss in
/// the layers that read them. ``pruned(keeping:)`` removes the rest, and then refits the layers
/// that read fewer channels, one after the other in execution order: by least squares, from their
/// inputs in the pruned model to their responses in the original one.
///
/// - Source: He, Zhang & Sun 2017, arXiv:1707.06168, section 3.1 (reconstruction) and 3.2 (from
///   layer to layer).
package struct ChannelPruning {
  /// The groups of channels of the graph.
  package let groups: ChannelGroups
  /// The calibration samples.
  let source: CalibrationSource
  private let threads: Threads
  private let progress: Progress.Handler?

  /// More images would hardly change the ranking.
  private static let rankingImages = 256
  /// Number of samples for refitting a layer, if there are enough: at least the first, and the
  /// second times the layer's weights per output.
  private static let (fewestSamples, samplesPerWeight) = (4096, 6)
  /// Maximum number of positions per image that are used for refitting.
  private static let samplesPerImage = 32

  /// Prepares pruning of a graph.
  ///
  /// - Parameters:
  ///   - graph: The graph.
  ///   - source: The calibration samples.
  ///   - threads: For running the graph and for products.
  ///   - progress: Called after each batch.
  /// - Throws: As ``ChannelGroups/init(_:)``.
  package init(
    _ graph: Graph, _ source: CalibrationSource, threads: Threads = .available,
    progress: Progress.Handler? = nil
  ) throws {
    groups = try ChannelGroups(graph)
    (self.source, self.threads, self.progress) = (source, threads, progress)
  }

  private func report(_ samples: Range<Int>, _ source: CalibrationSource) throws {
    try progress?(Progress("prune", completed: samples.upperBound, total: source.count))
  }

  // MARK: Rankings

  /// The ranking of each group by the loss in the layers that read its channels; for pinned groups
  /// by the norms of the weights.
  ///
  /// - Throws: `numerical` naming a value that is not finite.
  package func rankings() throws -> [ChannelRanking] {
    let plain = plainRankings()
    var moments: [(layer: Int, group: Int, moments: ChannelMoments)] = []
    for layer in groups.trace.layers {
      let value = groups.graph.nodes[layer.index].inputs[0]
      guard layer.inputs != nil, let axis = groups.values[value] else { continue }
      for id in Set(axis.channels.map { groups.members[$0].group }).sorted() {
        let group = groups.groups[id]
        guard group.pinned == nil, group.channels > 1,
          let empty = ChannelMoments(value, axis, group: group, members: groups.members)
        else { continue }
        moments.append((layer.index, id, empty))
      }
    }
    let source = source.prefix(Self.rankingImages)
    let reader = try ValueReader(
      groups.graph, Set(moments.map(\.moments.value)).sorted(), threads: threads)
    try source.forEachBatch { inputs, range in
      let values = try reader.read(inputs)
      let seen = moments
      let added = try threads.map(seen.count) { index in
        var one = seen[index].moments
        if let tensor = values[one.value] { one.add(tensor, firstImage: range.lowerBound) }
        return one
      }
      for index in moments.indices { moments[index].moments = added[index] }
      try report(range, source)
    }
    return groups.groups.map { group in
      guard group.pinned == nil else { return plain[group.id] }
      let choices = moments.filter { $0.group == group.id }.compactMap { entry in
        weights(of: entry.layer).flatMap { entry.moments.choice($0) }
      }
      return ChannelRanking(choices, plain: plain[group.id])
    }
  }

  /// The weights of a layer, outputs × inputs × positions of the kernel, with the inputs of one
  /// group and the outputs of all groups.
  private func weights(of index: Int) -> Tensor<Float>? {
    guard let layer = try? LinearLayer(groups.graph.nodes[index]),
      let stored: Tensor<Float> = groups.graph.initializers[layer.weights]?.typed(),
      let layout = layer.layout(stored.shape)
    else { return nil }
    return layer.outputsFirst(stored).contiguous().reshaped(
      to: [layout.outputs, layout.inputsPerGroup, layout.taps])
  }

  /// The ranking of each group by the norms of the weights that compute its channels.
  package func plainRankings() -> [ChannelRanking] {
    var norms = groups.groups.map { [Double](repeating: 0, count: $0.channels) }
    for layer in groups.trace.layers {
      guard let weights = weights(of: layer.index) else { continue }
      let own = layer.outputs.indices.map { output in
        weights.slice(axis: 0, range: output..<output + 1).elements.reduce(0.0) {
          $0 + Double($1) * Double($1)
        }
      }
      // Layers whose outputs are added count equally.
      let scale = 1 / max(own.reduce(0, +), 1e-300)
      for (output, channel) in layer.outputs.enumerated() {
        let member = groups.members[channel]
        norms[member.group][member.index] += own[output] * scale
      }
    }
    return norms.map { ChannelRanking(norms: $0) }
  }

  /// Share of the damage of a group that reaches the model's outputs: their noise-to-signal ratio,
  /// with some of the group's channels removed and their consumers refitted, over the damage that
  /// the ranking predicts. Measured once, for the number of channels whose damage is closest to
  /// 0.05; 1 if no number does damage.
  ///
  /// - Parameters:
  ///   - id: The group.
  ///   - ranking: Its ranking.
  ///   - counts: The numbers of channels to choose from.
  func arriving(_ id: Int, _ ranking: ChannelRanking, among counts: [Int]) throws -> Double {
    let middle = counts.filter { ranking.damage[$0] > 1e-4 }
      .min { abs(ranking.damage[$0] - 0.05) < abs(ranking.damage[$1] - 0.05) }
    guard let middle else { return 1 }
    let changed = try pruned(keeping: [id: ranking.kept(middle)])
    let agreement = try Agreement.measure(groups.graph, changed, source, threads: threads)
    return agreement.noiseToSignal / ranking.damage[middle]
  }

  // MARK: Pruning

  /// The graph with only the given channels of some groups, and its layers refitted.
  ///
  /// - Parameter keeping: The indices of the channels to keep, by group; other groups keep all.
  /// - Throws: As ``ChannelGroups/pruned(keeping:)``, and `numerical` naming a value that is not
  ///   finite.
  package func pruned(keeping: [Int: [Int]]) throws -> Graph {
    var result = try groups.pruned(keeping: keeping)
    let stays = groups.stays(keeping)
    for layer in changedLayers(stays) { try refit(layer, stays, &result) }
    return result
  }

  /// Positions of the layers that read fewer channels.
  private func changedLayers(_ stays: [Bool]) -> [Int] {
    groups.trace.layers.filter { $0.inputs?.contains { !stays[$0] } ?? false }.map(\.index)
  }

  private func refit(_ index: Int, _ stays: [Bool], _ graph: inout Graph) throws {
    let node = graph.nodes[index]
    guard let layer = try PrunedLayer(node, in: graph) else { return }
    let (input, output) = (node.inputs[0], node.outputs[0])
    let kept = groups.places(of: groups.values[output], stays)
    let source = source.prefix(imagesNeeded(layer, groups.trace.infos[output]?.shape))
    let rows = WindowRows(
      node, kernel: layer.layout.kernel, depth: layer.depth, perSample: Self.samplesPerImage)
    let before = try ValueReader(groups.graph, [output], threads: threads)
    let now = try ValueReader(graph, [input, output], threads: threads)
    var refit = ResponseRefit(layer)
    try source.forEachBatch { inputs, range in
      let values = try now.read(inputs)
      try refit.add(
        rows, input: values[input]!, response: values[output]!,
        wanted: try before.read(inputs)[output]!, kept: kept, firstImage: range.lowerBound)
      try report(range, source)
    }
    guard let found = try refit.solution(threads: threads) else { return }
    layer.add(found.change, shift: found.shift, at: index, in: &graph)
  }

  private func imagesNeeded(_ layer: PrunedLayer, _ shape: Shape?) -> Int {
    let wanted = max(Self.fewestSamples, Self.samplesPerWeight * layer.depth)
    guard let shape else { return wanted }
    let places = max(
      1, min(Self.samplesPerImage, shape.count / max(1, layer.outputs * groups.trace.batch)))
    return max(128, wanted / places)
  }

  /// The loss in each layer that reads fewer channels: the squared error of its responses in the
  /// pruned graph, as a fraction of their variance in the original one.
  ///
  /// - Parameters:
  ///   - pruned: The pruned graph, from ``pruned(keeping:)`` with the same channels.
  ///   - keeping: The indices of the channels that were kept, by group.
  /// - Returns: The damage by the layer's position in the graph.
  /// - Throws: `numerical` naming a value that is not finite.
  package func damage(of pruned: Graph, keeping: [Int: [Int]]) throws -> [Int: Double] {
    let stays = groups.stays(keeping)
    var errors: [Int: ResponseError] = [:]
    for index in changedLayers(stays) {
      let output = groups.graph.nodes[index].outputs[0]
      errors[index] = ResponseError(
        value: output, axis: groups.values[output]?.axis ?? 1,
        kept: groups.places(of: groups.values[output], stays))
    }
    let names = Set(errors.values.map(\.value)).sorted()
    let source = source.prefix(Self.rankingImages)
    let before = try ValueReader(groups.graph, names, threads: threads)
    let now = try ValueReader(pruned, names, threads: threads)
    try source.forEachBatch { inputs, range in
      let (wanted, found) = (try before.read(inputs), try now.read(inputs))
      for index in errors.keys {
        let name = errors[index]!.value
        errors[index]!.add(wanted[name]!, found[name]!)
      }
      try report(range, source)
    }
    return errors.mapValues(\.fraction)
  }
}

/// Accumulates the error of a layer's responses.
private struct ResponseError {
  let value: String
  let axis: Int
  let kept: [Int]?
  private var (noise, energy) = (0.0, 0.0)
  private var sums: [Double] = []
  private var counts = 0

  init(value: String, axis: Int, kept: [Int]?) {
    (self.value, self.axis, self.kept) = (value, axis, kept)
  }

  mutating func add(_ wanted: Tensor<Float>, _ found: Tensor<Float>) {
    let wanted = kept.map { wanted.selecting($0, axis: axis) } ?? wanted.contiguous()
    let found = found.contiguous()
    guard wanted.shape == found.shape else { return }
    let extent = found.shape[axis]
    let inner = found.shape.count(of: axis + 1..<found.shape.rank)
    let (x, y) = (wanted.span, found.span)
    if sums.isEmpty { sums = [Double](repeating: 0, count: extent) }
    for line in 0..<found.count / max(1, inner) {
      var sum = 0.0
      for i in line * inner..<(line + 1) * inner {
        let (before, after) = (Double(x[i]), Double(y[i]))
        sum += before
        energy += before * before
        noise += (before - after) * (before - after)
      }
      sums[line % extent] += sum
    }
    counts += found.count / max(1, extent)
  }

  /// The error as a fraction of the variance, or of the power if the responses do not vary.
  var fraction: Double {
    let variance = energy - sums.reduce(0) { $0 + $1 * $1 } / Double(max(1, counts))
    return RelativeError.fraction(noise: noise, variance: variance, power: energy)
  }
}
