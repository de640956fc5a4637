// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import RealModule
package import SwiftletCore
package import SwiftletGraph
import SwiftletLinalg

/// Shrinks the ranks of factored layers along a cosine while they are trained.
///
/// A rank is the number of channels between two layers that are connected by a linear map only.
/// From time to time the directions that contribute least to the responses of the second layer are
/// removed, over all pairs together: those with the least energy for their cost. Training easily
/// recovers from many small cuts, whereas one large cut can lose what training never restores.
///
/// With the second moment C of the channels and the weights B of the second layer, the energies are
/// the eigenvalues of C^½·Bᵀ·B·C^½, and the directions are its eigenvectors. The remaining ones are
/// balanced (`FeatureBalance`), so that both layers learn at the same pace. The positions of the
/// second layer's window are treated as independent.
///
/// - Source: Zhang et al. 2015, arXiv:1505.06798, section 2 (responses); Loshchilov & Hutter 2017,
///   arXiv:1608.03983 (the cosine).
package struct RankAnnealing {
  /// Final cost of the ranks as a fraction of their initial cost.
  package let end: Double
  private let pairs: [Pair]
  /// Initial MACs of all ranks.
  private let total: Double

  /// Two layers and the value between them.
  private struct Pair {
    let value: String
    let first, second: Int
    let rank: Int
    /// MACs per channel.
    let cost: Double
  }

  /// Finds the factored layers of a graph.
  ///
  /// - Parameters:
  ///   - graph: The graph, whose nodes keep their positions during training.
  ///   - end: Final cost of the ranks as a fraction of their initial cost.
  /// - Throws: `unsupported` if the graph has no factored layers.
  package init(_ graph: Graph, end: Double) throws {
    self.end = end
    let macs = try Interpreter(graph).macs(batch: 1)
    var pairs: [Pair] = []
    for (second, node) in graph.nodes.enumerated()
    where WeightedLayer.operators.contains(node.opType) {
      let value = node.inputs[0]
      guard let first = graph.producer(of: value), graph.onlyReader(of: value) == second,
        case .layer(let source)? = try WeightedLayer.find(graph.nodes[first], in: graph),
        case .layer(let reader)? = try WeightedLayer.find(node, in: graph),
        reader.isConv == source.isConv
      else { continue }
      let cost = Double(macs[first] + macs[second]) / Double(source.outputs)
      pairs.append(
        Pair(value: value, first: first, second: second, rank: source.outputs, cost: cost))
    }
    guard !pairs.isEmpty else {
      throw SwiftletError(
        .unsupported, "the model has no factored layers whose ranks could shrink", at: "distill",
        mend: "add svd, lowrank or eigen before the step that anneals ranks")
    }
    self.pairs = pairs
    total = pairs.reduce(0) { $0 + Double($1.rank) * $1.cost }
  }

  /// Cost of the ranks in an epoch, as a fraction of their initial cost: half a cosine from 1 to
  /// ``end``, which is reached when a quarter of the epochs is left, or in the last epoch at the
  /// latest.
  ///
  /// - Parameters:
  ///   - epoch: The epoch, counted from 0.
  ///   - epochs: The total number of epochs.
  package func share(epoch: Int, of epochs: Int) -> Double {
    let steps = max(1, (3 * epochs + 3) / 4)
    let progress = min(1, Double(epoch + 1) / Double(steps))
    return end + (1 - end) * (1 + Double.cos(.pi * progress)) / 2
  }

  /// The graph with ranks reduced to a fraction of their initial cost.
  ///
  /// - Parameters:
  ///   - graph: The graph in training.
  ///   - share: Fraction of the initial cost, as ``share(epoch:of:)`` returns it.
  ///   - source: Samples for the energies.
  ///   - threads: For running the graph and for eigenvalues.
  /// - Throws: `numerical` if values are not finite.
  package func shrunk(
    _ graph: Graph, to share: Double, _ source: CalibrationSource, threads: Threads
  ) throws -> Graph {
    let spectra = try spectra(graph, source, threads)
    var result = graph
    for (pair, (spectrum, rank)) in zip(pairs, zip(spectra, ranks(spectra, share))) {
      try spectrum.cut(to: rank, pair.first, pair.second, in: &result)
    }
    return result
  }

  /// The initial and current ranks of a graph, in its order.
  ///
  /// Layers are identified by their outputs.
  package func ranks(of graph: Graph) throws -> [(output: String, before: Int, after: Int)] {
    try pairs.compactMap { pair in
      let node = graph.nodes[pair.first]
      guard case .layer(let layer)? = try WeightedLayer.find(node, in: graph) else { return nil }
      return (node.outputs[0], pair.rank, layer.outputs)
    }
  }

  private func spectra(
    _ graph: Graph, _ source: CalibrationSource, _ threads: Threads
  ) throws -> [Spectrum] {
    let layers = try pairs.map { pair -> (WeightedLayer, WeightedLayer) in
      guard case .layer(let first)? = try WeightedLayer.find(graph.nodes[pair.first], in: graph),
        case .layer(let second)? = try WeightedLayer.find(graph.nodes[pair.second], in: graph)
      else {
        throw SwiftletError(.internal, "a factored layer has changed", at: pair.value)
      }
      return (first, second)
    }
    var moments = layers.map { Moments(width: $0.0.outputs) }
    let reader = try ValueReader(graph, pairs.map(\.value), threads: threads)
    try source.forEachBatch { inputs, _ in
      let values = try reader.read(inputs)
      for (index, pair) in pairs.enumerated() {
        let value = values[pair.value]!
        let axes = Array(0..<value.shape.rank)
        // Convolutions have their channels second, matrices last.
        let channelsLast =
          layers[index].0.isConv ? value.permuted(to: [0] + axes[2...] + [1]) : value
        let width = moments[index].width
        moments[index].add(
          channelsLast.contiguous().reshaped(to: [value.count / width, width]))
      }
    }
    return try zip(layers, moments).map { try Spectrum($0.0, $0.1, $1, threads: threads) }
  }

  /// The ranks that keep the directions with the most energy for their cost, at least one per pair.
  private func ranks(_ spectra: [Spectrum], _ share: Double) -> [Int] {
    var ranks = spectra.map(\.energies.count)
    var cost = zip(ranks, pairs).reduce(0) { $0 + Double($1.0) * $1.1.cost }
    while cost > share * total {
      let least = pairs.indices.filter { ranks[$0] > 1 }.min {
        spectra[$0].energies[ranks[$0] - 1] / pairs[$0].cost
          < spectra[$1].energies[ranks[$1] - 1] / pairs[$1].cost
      }
      guard let least else { break }
      ranks[least] -= 1
      cost -= pairs[least].cost
    }
    return ranks
  }
}

/// The directions of the channels between two layers, and their energies.
private struct Spectrum {
  /// Energies as fractions of their sum, descending.
  let energies: [Double]
  private let first, second: WeightedLayer
  private let balance: FeatureBalance

  init(
    _ first: WeightedLayer, _ second: WeightedLayer, _ moments: Moments, threads: Threads
  ) throws {
    (self.first, self.second) = (first, second)
    balance = try FeatureBalance(
      secondMoment: moments.secondMoment, rows: second.weight.channelRows, threads: threads)
    let sum = balance.energies.reduce(0, +)
    energies = balance.energies.map { sum > 0 ? $0 / sum : 0 }
  }

  /// Writes both layers with only the `rank` strongest directions between them.
  func cut(to rank: Int, _ source: Int, _ reader: Int, in graph: inout Graph) throws {
    guard rank < energies.count else { return }
    let (into, back) = balance.maps(rank: rank)
    graph.setInput(1, of: source, first.linear.stored(first.weight.mixingOutputs(into)))
    if let bias = first.bias {
      let moved = matrixProduct(
        into, bias.reshaped(to: [bias.count, 1]).converted(to: Double.self))
      graph.setInput(2, of: source, moved.converted(to: Float.self).reshaped(to: [rank]))
    }
    graph.setInput(1, of: reader, second.linear.stored(second.weight.mixingInputs(back)))
  }
}

extension Graph {
  /// Replaces the constant of an input.
  fileprivate mutating func setInput(_ input: Int, of index: Int, _ tensor: Tensor<Float>) {
    nodes[index].inputs[input] = setConstant(nodes[index].inputs[input], tensor)
  }
}
