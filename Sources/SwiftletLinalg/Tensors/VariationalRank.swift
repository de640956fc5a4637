// SPDX-License-Identifier: Apache-2.0

import RealModule
public import SwiftletBLAS
import SwiftletCore

/// The rank of a matrix without its noise, estimated from its singular values alone: empirical
/// variational Bayesian matrix factorization (EVBMF), whose global optimum is known in closed form.
///
/// The model is a low-rank matrix plus independent normal noise in every element. A component
/// counts if its singular value exceeds what such noise produces. If none does, the estimate is 0;
/// since a rank of 0 is useless to callers, the result is then 1, with ``isNoiseLike`` set.
public struct VariationalRank: Sendable, Hashable {
  /// From 1 to ⌈m·n / (m + n)⌉ − 1, the highest rank that the method can detect.
  public let rank: Int
  /// The standard deviation of the noise in one element.
  public let noiseDeviation: Double
  /// The singular values of the `rank` components without the contribution of noise, descending. If
  /// ``isNoiseLike``, the largest one unchanged: its estimate is 0.
  public let shrunkSingularValues: [Double]
  /// Whether no component exceeds the noise, so that `rank` is 1 instead of 0.
  public let isNoiseLike: Bool
  /// A one-line remark if the result is unusual.
  public let remark: String?

  /// The square of ``noiseDeviation``. May be 0 or infinite even if the deviation is not.
  public var noiseVariance: Double { noiseDeviation * noiseDeviation }

  /// Takes all min(m, n) singular values of an m×n matrix, descending, in the precision in which
  /// they were computed: noise below its rounding error is not considered.
  ///
  /// - Throws: `badInput` for an empty matrix, a number of values other than min(m, n), and values
  ///   that are negative, NaN, infinite or not in descending order.
  /// - Complexity: O(min(m, n)), about a thousand times.
  /// - Source: Nakajima, Sugiyama, Babacan & Tomioka 2013, "Global analytic solution of
  ///   fully-observed variational Bayesian matrix factorization"; the bounds of the noise from
  ///   Nakajima, Tomioka, Sugiyama & Babacan 2015, "Condition for perfect dimensionality recovery
  ///   by variational Bayesian PCA".
  public init<T: BLASElement>(singularValues: [T], rows: Int, columns: Int) throws {
    guard singularValues.count == min(rows, columns) else {
      throw SwiftletError(
        .badInput,
        "a \(rows)×\(columns) matrix does not have \(singularValues.count) singular values",
        fix: "give all \(min(rows, columns))")
    }
    guard let first = singularValues.first else {
      throw SwiftletError(.badInput, "a \(rows)×\(columns) matrix has no rank to estimate")
    }
    guard singularValues.allSatisfy({ $0.isFinite && $0 >= 0 }) else {
      throw SwiftletError(.badInput, "a singular value is negative, NaN or infinite")
    }
    guard zip(singularValues, singularValues.dropFirst()).allSatisfy({ $0 >= $1 }) else {
      throw SwiftletError(.badInput, "the singular values are not in descending order")
    }
    let largest = Double(first)
    guard largest > 0 else {
      (rank, noiseDeviation, shrunkSingularValues, isNoiseLike) = (1, 0, [0], true)
      remark = "the matrix is zero; rank 1 is the minimum"
      return
    }
    let model = FreeEnergy(
      relative: singularValues.map { Double($0) / largest }, columns: max(rows, columns))
    let variance = model.noiseVariance(precision: Double(T.ulpOfOne))
    noiseDeviation = variance.squareRoot() * largest
    let signal = model.energies.map { $0 / variance }.prefix(model.most)
      .prefix { $0 > model.threshold }
    isNoiseLike = signal.isEmpty
    rank = max(1, signal.count)
    if signal.isEmpty {
      shrunkSingularValues = [largest]
      remark =
        "no component exceeds the noise, the estimate is rank 0; rank 1 is the minimum"
    } else {
      shrunkSingularValues = zip(singularValues, signal).map { value, x in
        Double(value) * (model.tau(x) / x)
      }
      remark = nil
    }
  }
}

/// The free energy of the model as a function of the noise variance σ², with all else optimal, in
/// the notation of the paper: L ≤ M, α = L / M, x_h = γ_h² / (M·σ²).
private struct FreeEnergy {
  /// γ_h² / M, descending, of singular values relative to the largest.
  let energies: [Double]
  let columns: Double
  let alpha: Double
  /// The x above which a component counts.
  let threshold: Double
  /// At most ⌈L / (1 + α)⌉ − 1 components can count; the rest is noise.
  let most: Int

  init(relative: [Double], columns: Int) {
    energies = relative.map { $0 * $0 / Double(columns) }
    self.columns = Double(columns)
    let alpha = Double(relative.count) / Double(columns)
    // The root τ of Φ(τ) + Φ(τ/α), with Φ(z) = log(1 + z)/z − 1/2 falling through 0 at 2.5129:
    // one term is still positive at 2.5·α, and both are negative at 2.6.
    func phi(_ z: Double) -> Double { Double.log(onePlus: z) / z - 0.5 }
    var (low, high) = (2.5 * alpha, 2.6)
    for _ in 0..<60 {
      let middle = (low * high).squareRoot()
      if phi(middle) + phi(middle / alpha) > 0 { low = middle } else { high = middle }
    }
    threshold = (1 + low) * (1 + alpha / low)
    self.alpha = alpha
    let (l, m) = (relative.count, columns)
    most = (l * m + l + m - 1) / (l + m) - 1
  }

  /// The larger root t of x = (1 + t)·(1 + α/t). Real for x ≥ (1 + √α)², which is below the
  /// threshold. γ · t / x is the estimate of a component's singular value.
  func tau(_ x: Double) -> Double {
    let shifted = x - (1 + alpha)
    return (shifted + max(0, shifted * shifted - 4 * alpha).squareRoot()) / 2
  }

  /// 2/M times the free energy at σ² = exp(`logVariance`), up to a constant.
  func callAsFunction(_ logVariance: Double) -> Double {
    let variance = Double.exp(logVariance)
    return energies.reduce(0) { sum, energy in
      let x = energy / variance
      guard x > threshold else { return sum + x + logVariance }
      let t = tau(x)
      // x − t, without the cancellation that occurs for large x.
      let difference = 1 + alpha + alpha / t
      return sum + difference + logVariance + Double.log(onePlus: t)
        + alpha * Double.log(onePlus: t / alpha)
    }
  }

  /// The variance of minimum free energy within its known bounds.
  ///
  /// The function has a kink, and possibly a minimum, wherever a component starts to count, but as
  /// a function of log σ² it is smooth on the scale of 1: a grid finds the valleys, golden-section
  /// searches find their minima.
  func noiseVariance(precision: Double) -> Double {
    let count = Double(energies.count)
    let rest = energies[most...]
    let upper = energies.reduce(0, +) / count
    // Singular values up to M·ε of the largest may be rounding errors: as noise, they have x ≤ 1.
    let lower = max(
      rest[most] / threshold, rest.reduce(0, +) / Double(rest.count),
      columns * precision * precision)
    guard lower < upper else { return upper }
    let (start, end) = (Double.log(lower), Double.log(upper))
    let steps = 128
    let step = (end - start) / Double(steps)
    let values = (0...steps).map { self(start + Double($0) * step) }
    var best = (place: start, value: values[0])
    for i in 0...steps {
      let isValley = values[i] <= values[max(0, i - 1)] && values[i] <= values[min(steps, i + 1)]
      guard isValley else { continue }
      let place = start + Double(i) * step
      let bottom = minimum(between: max(start, place - step), and: min(end, place + step))
      if bottom.value < best.value { best = bottom }
    }
    return Double.exp(best.place)
  }

  private func minimum(between low: Double, and high: Double) -> (place: Double, value: Double) {
    let golden = (5.0.squareRoot() - 1) / 2
    var (low, high) = (low, high)
    var left = high - golden * (high - low)
    var right = low + golden * (high - low)
    var (atLeft, atRight) = (self(left), self(right))
    // Each iteration leaves 0.62 of the interval: below 10⁻⁸ of it, values differ only by rounding.
    for _ in 0..<40 {
      if atLeft < atRight {
        (high, right, atRight) = (right, left, atLeft)
        left = high - golden * (high - low)
        atLeft = self(left)
      } else {
        (low, left, atLeft) = (left, right, atRight)
        right = low + golden * (high - low)
        atRight = self(right)
      }
    }
    return atLeft < atRight ? (left, atLeft) : (right, atRight)
  }
}
