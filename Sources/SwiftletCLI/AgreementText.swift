// SPDX-License-Identifier: Apache-2.0

import Swiftlet

extension Agreement {
  /// The comparison as text: the worst output first, then each output if there are several.
  ///
  /// - Parameter samples: A phrase about the samples: `on 12 samples`.
  func text(_ samples: String) -> String {
    var lines: [String]
    if outputs.count == 1 {
      lines = ["answers: \(outputs[0].text) \(samples)"]
    } else {
      lines = ["answers: \(likeness) at worst, \(samples)"]
      lines += outputs.map { "  \($0.name): \($0.text)" }
    }
    if let brokenBy { lines.append("  first caused by \(brokenBy)") }
    return lines.joined(separator: "\n")
  }
}

extension Agreement {
  /// `42.1 dB`, or for integers `97.92 % equal`.
  var likeness: String { Self.likeness(decibels, equals: equal != nil) }

  /// A signal-to-noise ratio as text. For integer answers it encodes the fraction of elements that
  /// differ.
  static func likeness(_ decibels: Double, equals: Bool) -> String {
    guard decibels.isFinite else { return "not finite" }
    guard equals else { return "\(fixed(decibels, 1)) dB" }
    return "\(fixed(equality(decibels), 2)) % equal"
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
    if reshaped > 0 { parts.append("without \(reshaped) runs with results of other shapes") }
    if let top1 { parts.append("the same top-1 class in \(fixed(top1 * 100, 2)) %") }
    if let cosine { parts.append("cosine \(fixed(cosine, 4))") }
    return parts.joined(separator: ", ")
  }
}
