// SPDX-License-Identifier: Apache-2.0

/// What a compression came to, and what there is to worry about before the model is used.
public struct CompressionVerdict: Sendable, Codable, Equatable {
  /// What one would not want of a compressed model.
  public enum Concern: String, Sendable, Codable, CaseIterable {
    /// No layer was changed.
    case unchanged
    /// It takes longer than the original.
    case slower
    /// The file is larger.
    case larger
    /// Less than 20 dB of signal to noise, more than 2 points of accuracy lost, or numbers that are
    /// not finite.
    case inaccurate
  }

  public let concerns: [Concern]
  /// One line.
  public let text: String

  /// Below this, in dB, answers are worth little.
  public static let leastDecibels = 20.0
  /// Points of accuracy, in percent.
  public static let mostDrop = 2.0
  /// Times that differ by less, as a fraction, are the same.
  private static let noise = 0.03

  /// Whether a model with this speedup takes longer than the original, beyond what timings differ
  /// by.
  static func isSlower(_ speedup: Double) -> Bool { speedup < 1 - noise }

  /// - Parameters:
  ///   - layers: What became of the layers.
  ///   - bytes: Of the files before and after.
  ///   - speedup: The original's time over the new one; `nil`: not measured.
  ///   - decibels: Signal to noise of the answers; `nil`: not measured.
  ///   - equal: Of answers that are integers, the fraction that is equal: it is told in place of
  ///     decibels.
  ///   - drop: Points of accuracy lost, in percent; `nil` without labels.
  public init(
    layers: [LayerReport], bytes: (before: Int, after: Int), speedup: Double?, decibels: Double?,
    equal: Double? = nil, drop: Double?
  ) {
    var concerns: [Concern] = []
    var good: [String] = []
    var bad: [String] = []
    func short(_ value: Double, _ digits: Double = 100) -> String {
      // −0 is written as 0.
      "\((value * digits).rounded() / digits + 0)"
    }
    let isChanged = layers.contains(where: \.changed)
    if !isChanged {
      concerns.append(.unchanged)
      bad.append("nothing was changed")
    }
    // The same model is neither faster nor slower; what differs is how it was timed and written.
    if isChanged, let speedup {
      if Self.isSlower(speedup) {
        concerns.append(.slower)
        bad.append("slower than the original (\(short(speedup)) times its speed)")
      } else {
        good.append("\(short(speedup)) times as fast")
      }
    }
    if isChanged, bytes.after > bytes.before {
      concerns.append(.larger)
      bad.append("a larger file (\(bytes.before) to \(bytes.after) bytes)")
    } else if isChanged {
      good.append("\(short(Double(bytes.after) / Double(max(1, bytes.before)))) of the size")
    }
    if let decibels {
      let text =
        equal.map { "\(short($0 * 100)) % of the answers equal" }
        ?? (decibels.isFinite ? "\(short(decibels, 10)) dB" : "answers that are not finite")
      if decibels < Self.leastDecibels {
        concerns.append(.inaccurate)
        bad.append(decibels.isFinite ? "poor answers (\(text))" : text)
      } else {
        good.append(text)
      }
    }
    if let drop {
      if drop > Self.mostDrop {
        concerns.append(.inaccurate)
        bad.append("\(short(drop)) points of accuracy lost")
      } else {
        good.append("accuracy changed by \(short(-drop)) points")
      }
    }
    self.concerns = concerns
    text = [bad, good].filter { !$0.isEmpty }.map { $0.joined(separator: ", ") }
      .joined(separator: "; ")
  }
}
