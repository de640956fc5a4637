// SPDX-License-Identifier: Apache-2.0

import Swiftlet

extension Agreement {
  /// What a person reads about answers: the worst output first, and each by itself if there are
  /// several.
  func text(_ samples: String) -> String {
    var lines: [String]
    if outputs.count == 1 {
      lines = ["answers: \(outputs[0].text) \(samples)"]
    } else {
      lines = ["answers: \(likeness) at worst, \(samples)"]
      lines += outputs.map { "  \($0.name): \($0.text)" }
    }
    if let brokenBy { lines.append("  first made by \(brokenBy)") }
    return lines.joined(separator: "\n")
  }
}

extension Agreement {
  /// `42.1 dB`, or of integers `97.92 % equal`.
  var likeness: String { Self.likeness(decibels, equals: equal != nil) }

  /// A ratio in dB for a person; where answers are integers it is one of elements that differ.
  static func likeness(_ decibels: Double, equals: Bool) -> String {
    guard decibels.isFinite else { return "not finite" }
    guard equals else { return "\(fixed(decibels, 1)) dB" }
    return "\(fixed(100 * (1 - SignalToNoise.noiseToSignal(decibels)), 2)) % equal"
  }
}

extension Agreement.Output {
  fileprivate var text: String {
    guard elements > 0 else {
      return reshaped > 0 ? "other shapes than the original's, not compared," : "no elements"
    }
    var parts: [String] = []
    if let equal {
      parts.append("\(fixed(equal * 100, 2)) % of the elements are equal")
    } else if broken > 0 {
      let finite = elements - undefined
      parts.append("NaN or infinite in \(broken) of \(finite) elements that were finite")
      if finiteDecibels.isFinite { parts.append("the others \(fixed(finiteDecibels, 1)) dB") }
    } else if undefined == elements {
      parts.append("NaN or infinite in the original, nothing to compare")
    } else {
      parts.append("\(fixed(decibels, 1)) dB")
    }
    if undefined > 0 && undefined < elements {
      parts.append(
        "without \(undefined) of \(elements) elements that are NaN or infinite in the original")
    }
    if reshaped > 0 { parts.append("without \(reshaped) runs whose results have other shapes") }
    if let top1 { parts.append("the same first choice in \(fixed(top1 * 100, 2)) %") }
    return parts.joined(separator: ", ")
  }
}
