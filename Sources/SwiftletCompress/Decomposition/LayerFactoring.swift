// SPDX-License-Identifier: Apache-2.0

import RealModule
import SwiftletCore
import SwiftletGraph
import SwiftletLinalg

/// One layer on its way to become a chain.
struct LayerFactoring {
  let layer: WeightedLayer
  /// What the layer sees and has to answer; `nil`: its weights are all that counts.
  let statistics: LayerStatistics?
  /// Whether a ReLU follows.
  let isRectified: Bool
  let technique: Technique
  let settings: FactorSettings
  let threads: Threads

  /// What came out: no chain if the layer is kept.
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

  /// Follows a decision that was made over all layers.
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
          ? "other layers save more for the damage it does"
          : "no factors of it cost less than the layer itself")
    }
    let problem = problem(statistics)
    guard let prepared = try decided.method.prepare(problem), prepared.permits(decided.ranks) else {
      return kept("\(decided.method.rawValue) has no such factors of it")
    }
    var result = try result(
      Choice(
        method: decided.method, prepared: prepared, ranks: decided.ranks,
        fitted: prepared.fitted(decided.ranks)))
    result.report.rejected = rejected
    return result
  }

  /// Chooses for this layer alone, by the step's ratio, energy or EVBMF: of several methods the one
  /// with the least error.
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
            ? "cp has no spectrum that evbmf could go by"
            : "its ranks would cost no less than the layer itself"))
    }
    return try result(best)
  }

  private func problem(_ statistics: LayerStatistics?) -> DecompositionProblem {
    DecompositionProblem(layer, covariance: statistics?.windows.covariance, threads: threads)
  }

  /// An energy that is given is meant, whatever else is said of ranks.
  private var strategy: AllocationStrategy {
    settings.energy == nil ? settings.allocation : .energy
  }

  /// - Returns: `nil` if the method has no spectrum to go by.
  private func ranks(_ prepared: any Decomposition) throws -> [Int]? {
    switch strategy {
    case .evbmf:
      guard !prepared.spectra.isEmpty else { return nil }
      // Weights are fp32: what is below their rounding is no noise to go by.
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

  /// The error of the same ranks chosen without data, judged by the data.
  private func plainDamage(_ choice: Choice) throws -> Double? {
    guard let statistics else { return nil }
    let judge = problem(statistics)
    guard let plain = try choice.method.prepare(problem(nil)) else { return nil }
    let product = try plain.fitted(choice.ranks).product(threads)
    var difference = judge.weights
    var values = difference.mutableSpan
    for i in values.indices { values[i] -= product.span[i] }
    // Where responses do not vary, as to one sample, all of their power counts.
    let whole = DecompositionProblem(
      layer, covariance: statistics.windows.secondMoment, threads: threads)
    let (variance, power) = (judge.power(judge.weights), whole.power(judge.weights))
    let varies = RelativeError.varies(variance: variance, power: power)
    return RelativeError.fraction(
      noise: (varies ? judge : whole).power(difference), variance: variance, power: power)
  }
}
