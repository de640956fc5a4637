// SPDX-License-Identifier: Apache-2.0

import RealModule
import SwiftletCore
import SwiftletGraph
import SwiftletLinalg

/// Factors one layer.
struct LayerFactoring {
  let layer: WeightedLayer
  /// The layer's inputs and target responses; `nil`: only its weights count.
  let statistics: LayerStatistics?
  /// Whether a ReLU follows.
  let isRectified: Bool
  let technique: Technique
  let settings: FactorSettings
  let threads: Threads

  /// The outcome; `chain` is `nil` if the layer is kept.
  struct Result {
    var chain: FactorChain?
    var report: LayerReport
  }

  private struct Choice {
    let method: DecompositionMethod
    let prepared: any Decomposition
    let ranks: [Int]
    let fitted: FittedChain
  }

  /// Carries out a decision that was made over all layers.
  ///
  /// - Parameters:
  ///   - decided: The method and the ranks; `nil`: keep the layer.
  ///   - rejected: The alternatives, for the report.
  func result(
    decided: Allocation.Decision?, rejected: [LayerReport.Alternative]
  ) throws -> Result {
    func kept(_ reason: String) -> Result {
      var report = LayerReport(layer.node, technique, changed: false, reason)
      report.rejected = rejected
      return Result(chain: nil, report: report)
    }
    guard let decided else {
      return kept(
        rejected.contains { $0.reason == LayerReport.Alternative.moreDamage }
          ? "other layers save more for the same damage"
          : "no factors are cheaper than the layer itself")
    }
    let problem = problem(statistics)
    guard let prepared = try decided.method.prepare(problem), prepared.permits(decided.ranks) else {
      return kept("\(decided.method.rawValue) cannot factor it with the chosen ranks")
    }
    var result = try result(
      Choice(
        method: decided.method, prepared: prepared, ranks: decided.ranks,
        fitted: prepared.fitted(decided.ranks)))
    result.report.rejected = rejected
    return result
  }

  /// Chooses ranks for this layer alone, by the ratio, energy or EVBMF of the settings, and the
  /// method with the smallest error.
  func result(among methods: [DecompositionMethod]) throws -> Result {
    let problem = problem(statistics)
    var best: Choice?
    for method in methods {
      guard let prepared = try method.prepare(problem), let ranks = try ranks(prepared),
        prepared.permits(ranks)
      else { continue }
      let fitted = try prepared.fitted(ranks)
      if fitted.error < best?.fitted.error ?? .infinity {
        best = Choice(method: method, prepared: prepared, ranks: ranks, fitted: fitted)
      }
    }
    guard let best else {
      let isBlind = strategy == .evbmf && methods == [.cp]
      return Result(
        chain: nil,
        report: LayerReport(
          layer.node, technique, changed: false,
          isBlind
            ? "cp has no spectrum for evbmf to use"
            : "factors of these ranks would not be cheaper than the layer itself"))
    }
    return try result(best)
  }

  private func problem(_ statistics: LayerStatistics?) -> DecompositionProblem {
    DecompositionProblem(layer, covariance: statistics?.windows.covariance, threads: threads)
  }

  /// The energy takes precedence over the allocation if it is given.
  private var strategy: AllocationStrategy {
    settings.energy == nil ? settings.allocation : .energy
  }

  /// The ranks for this layer alone.
  ///
  /// - Returns: `nil` if the method has no spectrum to choose from.
  private func ranks(_ prepared: any Decomposition) throws -> [Int]? {
    switch strategy {
    case .evbmf:
      guard !prepared.spectra.isEmpty else { return nil }
      // EVBMF must not exceed the numerical rank of the fp32 weights: the rest is rounding error.
      let ranks = try prepared.spectra.map { spectrum in
        try VariationalRank(
          singularValues: spectrum.energies.map { Float($0.squareRoot()) },
          rows: min(spectrum.rows, spectrum.columns), columns: max(spectrum.rows, spectrum.columns)
        ).rank
      }
      guard let exact = try prepared.exactRanks() else { return ranks }
      return zip(ranks, exact).map(min)
    case .energy: return try prepared.ranks(keeping: settings.energy ?? 0.9)
    default:
      let ranks = prepared.ranks(cost: settings.ratio)
      guard let exact = try prepared.exactRanks() else { return ranks }
      return zip(ranks, exact).map(min)
    }
  }

  private func result(_ choice: Choice) throws -> Result {
    var fitted = choice.fitted
    var bias = layer.bias
    if let statistics {
      let refined = try ResponseReconstruction(
        fitted, statistics, isRectified: isRectified, threads: threads)
      fitted.last = refined.last
      bias = Tensor([layer.outputs], refined.bias.map(Float.init))
    }
    var report = LayerReport(
      layer.node, technique, changed: true,
      "\(choice.method.rawValue), \(choice.ranks.map(String.init).joined(separator: "×"))")
    if let spectrum = choice.prepared.spectra.first {
      let total = spectrum.energies.reduce(0, +)
      report.rank = choice.ranks[0]
      report.fullRank = spectrum.energies.count
      report.energy = Spectrum.energy(spectrum.energies, rank: choice.ranks[0])
      report.spectrum = total > 0 ? spectrum.energies.map { $0 / total } : nil
    }
    report.damage = choice.fitted.error
    report.plainDamage = try plainDamage(choice)
    let chain = try fitted.balanced(
      bias: bias, secondMoment: statistics?.windows.shrunkSecondMoment, threads: threads)
    return Result(chain: chain, report: report)
  }

  /// The error of a data-free decomposition with the same ranks, judged by the data.
  private func plainDamage(_ choice: Choice) throws -> Double? {
    guard let statistics else { return nil }
    let judge = problem(statistics)
    guard let plain = try choice.method.prepare(problem(nil)) else { return nil }
    let product = try plain.fitted(choice.ranks).product(threads)
    var difference = judge.weights
    var values = difference.mutableSpan
    for i in values.indices { values[i] -= product.span[i] }
    // If the responses do not vary, for example to a single sample, use their power instead.
    let whole = DecompositionProblem(
      layer, covariance: statistics.windows.secondMoment, threads: threads)
    let (variance, power) = (judge.power(judge.weights), whole.power(judge.weights))
    let varies = RelativeError.varies(variance: variance, power: power)
    return RelativeError.fraction(
      noise: (varies ? judge : whole).power(difference), variance: variance, power: power)
  }
}
