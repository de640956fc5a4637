// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The division of samples into those for calibration and those for judging the model.
public struct SampleSplit: Sendable, Equatable {
  /// Number of samples for calibration: the first ones.
  public let calibrating: Int
  /// Indices of the samples for judging.
  public let judging: Range<Int>
  /// Whether at least one of the samples for judging is not used for calibration.
  public let isHeldBack: Bool
  /// Number of samples for judging that are equal, element by element, to samples for calibration.
  public let repeated: Int

  /// Divides samples.
  ///
  /// At least a quarter of the samples is held back for judging, rounded up, but never all of them:
  /// one of 2 samples, two of 5. A single sample, or the single batch of a model with a fixed
  /// batch, serves both purposes. Without calibration, all samples are for judging. Samples that
  /// occur more than once may be on both sides: ``repeated`` counts them.
  ///
  /// - Parameters:
  ///   - source: The samples.
  ///   - wanted: Desired number of samples for calibration; `nil`: no calibration.
  ///   - share: Maximum fraction of the samples for calibration, between 0 and 1; `nil`: three
  ///     quarters.
  ///   - most: Maximum number of samples for judging.
  ///   - progress: Called for each sample while equal ones are looked for.
  /// - Throws: `badInput` if a share leaves one side empty, the errors of reading the samples, and
  ///   what `progress` throws.
  /// - Complexity: O(elements of the samples).
  public init(
    _ source: CalibrationSource, wanted: Int?, share: Double? = nil, most: Int = .max,
    progress: Progress.Handler? = nil
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
          "a split of \(share) leaves one part of the \(source.count) samples empty",
          at: "--split", fix: "use a fraction between 0 and 1, such as 0.75, and more samples")
      }
      used = max(1, min(wanted / unit, most))
    }
    calibrating = used * unit
    let isDivided = units > 1
    let first = isDivided ? calibrating : 0
    judging = first..<first + max(unit, min(most / unit * unit, source.count - first))
    repeated =
      isDivided
      ? try source.part(0..<calibrating).shared(with: source.part(judging), progress: progress)
      : judging.count
    isHeldBack = repeated < judging.count
  }

  /// A division whose samples for judging come from another source.
  init(calibrating: Int, judgingOthers count: Int) {
    (self.calibrating, judging, isHeldBack, repeated) = (calibrating, 0..<count, true, 0)
  }

  /// A phrase that says how many samples were used for judging and for calibration.
  ///
  /// - Parameter repeated: Number of judging samples that are duplicates of calibration samples.
  package static func phrase(
    judging: Int, calibrating: Int, isHeldBack: Bool, repeated: Int = 0
  ) -> String {
    func count(_ number: Int) -> String { "\(number) sample\(number == 1 ? "" : "s")" }
    if !isHeldBack {
      return "on the \(count(judging)) that it was calibrated with: give more samples for an "
        + "independent comparison"
    }
    guard calibrating > 0 else { return "on \(count(judging))" }
    guard repeated == 0 else {
      return
        "on \(count(judging)), of which \(repeated) are duplicates of the \(calibrating) used for "
        + "calibration"
    }
    return "on \(count(judging)) held back, after calibration with "
      + (calibrating == 1 ? "another one" : "\(calibrating) others")
  }
}
