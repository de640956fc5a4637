// SPDX-License-Identifier: Apache-2.0

import RealModule

/// The learning rate over a training run.
public struct LearningRateSchedule: Sendable, Codable, Equatable {
  /// The shape of the curve.
  public enum Kind: String, Sendable, Codable, CaseIterable {
    case constant
    /// Multiplied by ``decay`` every ``period`` epochs.
    case step
    /// Cosine annealing to ``floor`` (Loshchilov & Hutter 2017), with warm restarts if ``period``
    /// is set.
    case cosine
  }

  /// The shape of the curve.
  public var kind: Kind
  /// The highest rate.
  public var rate: Double
  /// The lowest rate of the cosine, as a fraction of ``rate``.
  public var floor: Double
  /// Epochs during which the rate increases linearly from almost 0 to ``rate``.
  public var warmup: Double
  /// Epochs between decays (`step`) or in the first cosine cycle; `nil`: one cosine over the run.
  public var period: Double?
  /// The factor of each decay (`step`).
  public var decay: Double
  /// The ratio of the length of each cosine cycle to the previous one.
  public var stretch: Double

  /// A schedule with the highest rate `rate`; `floor` is a fraction of it, `warmup` and `period`
  /// count
  /// epochs.
  public init(
    _ kind: Kind, rate: Double, floor: Double = 0, warmup: Double = 0, period: Double? = nil,
    decay: Double = 0.1, stretch: Double = 1
  ) {
    self.kind = kind
    self.rate = rate
    self.floor = floor
    self.warmup = warmup
    self.period = period
    self.decay = decay
    self.stretch = stretch
  }

  /// The rate for update number `step` (from 0) of a run.
  public func rate(step: Int, stepsPerEpoch: Int, epochs: Int) -> Double {
    let epoch = Double(step) / Double(max(1, stepsPerEpoch))
    if epoch < warmup {
      return rate * (epoch + 1 / Double(max(1, stepsPerEpoch)))
        / (warmup + 1 / Double(max(1, stepsPerEpoch)))
    }
    let elapsed = epoch - warmup
    switch kind {
    case .constant:
      return rate
    case .step:
      return rate * Double.pow(decay, (elapsed / (period ?? 10)).rounded(.down))
    case .cosine:
      var cycle = period ?? max(Double(epochs) - warmup, 1e-9)
      var position = elapsed
      while period != nil && position >= cycle {
        position -= cycle
        cycle *= max(1, stretch)
      }
      let fraction = min(1, position / cycle)
      return rate * (floor + (1 - floor) * 0.5 * (1 + Double.cos(.pi * fraction)))
    }
  }
}
