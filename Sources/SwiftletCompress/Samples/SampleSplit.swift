// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Which samples a model is calibrated with, and which ones judge it.
public struct SampleSplit: Sendable, Equatable {
  /// Samples that are calibrated with: the first ones.
  public let calibrating: Int
  /// Those that judge.
  public let judging: Range<Int>
  /// Whether nothing is calibrated with those that judge, or at least not with all of them.
  public let isHeldBack: Bool
  /// How many of those that judge are the same, element by element, as samples that are calibrated
  /// with.
  public let repeated: Int

  /// A quarter of the samples is held back at least, rounded up, and never all of them: of 2
  /// samples one judges, of 5 two do. A single sample, or the single batch of a model that takes a
  /// fixed number at once, has to serve for both. Where nobody looks at samples all of them judge.
  ///
  /// Samples that occur more than once may be on both sides: ``repeated`` says how many.
  ///
  /// `wanted` is how many would be calibrated with; `nil` where nobody looks at them. `share`, if
  /// given, is how many of the samples are calibrated with at most. At most `most` judge.
  ///
  /// - Throws: `badInput` if a share leaves a part empty; what reading the samples throws.
  /// - Complexity: O(elements of the samples).
  public init(
    _ source: CalibrationSource, wanted: Int?, share: Double? = nil, most: Int = .max
  ) throws {
    guard let wanted else {
      (calibrating, judging, isHeldBack) = (0, 0..<min(most, source.count), true)
      repeated = 0
      return
    }
    let unit = source.fixedBatch ?? 1
    let units = source.count / unit
    var used = max(1, min(wanted / unit, units - (units + 3) / 4))
    if let share {
      let most = 0...1 ~= share ? Int((share * Double(units)).rounded()) : 0
      guard 0 < most, most < units else {
        throw SwiftletError(
          .badInput,
          "a split of \(share) leaves a part of \(source.count) samples empty",
          at: "--split", mend: "use a fraction between 0 and 1, such as 0.75, and more samples")
      }
      used = max(1, min(wanted / unit, most))
    }
    calibrating = used * unit
    let isDivided = units > 1
    let first = isDivided ? calibrating : 0
    judging = first..<first + max(unit, min(most / unit * unit, source.count - first))
    repeated =
      isDivided
      ? try source.part(0..<calibrating).shared(with: source.part(judging)) : judging.count
    isHeldBack = repeated < judging.count
  }

  /// Judged on other samples altogether.
  init(calibrating: Int, judgingOthers count: Int) {
    (self.calibrating, judging, isHeldBack, repeated) = (calibrating, 0..<count, true, 0)
  }
}
