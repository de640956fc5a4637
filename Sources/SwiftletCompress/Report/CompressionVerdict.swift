// SPDX-License-Identifier: Apache-2.0

import SwiftletCharts

/// The overall result of a compression, and the reasons for concern.
public struct CompressionVerdict: Sendable, Codable, Equatable {
  /// A reason for concern about a compressed model.
  public enum Concern: String, Sendable, Codable, CaseIterable {
    /// No layer was changed.
    case unchanged
    /// The model is slower than the original, beyond measurement noise.
    case slower
    /// The file is larger.
    case larger
    /// Answers with a signal-to-noise ratio below 20 dB or elements that are not finite, or an
    /// accuracy drop of more than 2 points.
    case inaccurate
  }

  /// The reasons for concern; empty if there are none.
  public let concerns: [Concern]
  /// The result in one line.
  public let text: String

  /// The lowest acceptable signal-to-noise ratio of answers, in dB.
  public static let leastDecibels = 20.0
  /// The largest acceptable drop in accuracy, in percentage points.
  public static let mostDrop = 2.0
  /// Relative difference below which times count as equal.
  private static let noise = 0.03

  /// The text as a sentence.
  var sentence: String { text.prefix(1).uppercased() + text.dropFirst() + "." }

  /// Whether a speedup means slower than the original, beyond measurement noise.
  static func isSlower(_ speedup: Double) -> Bool { speedup < 1 - noise }

  /// Judges a compression by its measurements.
  ///
  /// - Parameters:
  ///   - layers: What was done to each layer.
  ///   - bytes: File sizes before and after.
  ///   - speedup: The original's time divided by the new one; `nil` if not measured.
  ///   - decibels: Signal-to-noise ratio of the answers; `nil` if not measured.
  ///   - equal: For integer answers, the fraction that is equal, which is shown instead of
  ///     decibels.
  ///   - drop: Drop in accuracy, in percentage points; `nil` without labels.
  public init(
    layers: [LayerReport], bytes: (before: Int, after: Int), speedup: Double?, decibels: Double?,
    equal: Double? = nil, drop: Double?
  ) {
    var concerns: [Concern] = []
    var good: [String] = []
    var bad: [String] = []
    func short(_ value: Double, _ decimals: Int = 2) -> String {
      // Adding 0 turns −0 into 0.
      "\(rounded(value, decimals) + 0)"
    }
    let isChanged = layers.contains(where: \.changed)
    if !isChanged {
      concerns.append(.unchanged)
      bad.append("nothing changed")
    }
    // An unchanged model is neither faster nor slower: differences come from timing and writing.
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
        ?? (decibels.isFinite ? "\(short(decibels, 1)) dB" : "answers that are not finite")
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
