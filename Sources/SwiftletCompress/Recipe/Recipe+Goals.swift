// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFormats

extension Recipe {
  /// The settings that techniques share, from a YAML mapping such as `{ratio: 0.5}`.
  ///
  /// - Parameters:
  ///   - text: The document; empty for no settings.
  ///   - techniques: Those that may have the settings.
  /// - Throws: `badInput` naming a setting that none of the techniques has, or a wrong value.
  public static func settings(
    parsing text: String, of techniques: [Technique]
  ) throws -> [String: SettingValue] {
    let document = try YAML.parse(text)
    if document is YAML.Null { return [:] }
    guard let entry = document as? [String: Any] else {
      throw SwiftletError(
        .badInput, "the settings are not a mapping", fix: "give them as in {ratio: 0.5}")
    }
    return try CompressionStep.settings(yaml: entry, of: techniques)
  }

  /// A recipe of techniques that share settings, where a goal for the accuracy applies to the
  /// settings too: for `quantize` alone, layers that stay in floating point are the way to stay
  /// within a drop.
  ///
  /// - Parameters:
  ///   - techniques: The techniques, in order of application.
  ///   - given: The settings, by name.
  ///   - maxDrop: Largest acceptable drop; `nil`: any. Layers are chosen by absolute drops only.
  ///   - confidence: Confidence level for it, as a fraction; `nil`: the drop that was measured
  ///     counts.
  ///   - spelling: How errors spell names of settings.
  /// - Throws: As ``init(_:sharing:spelling:)``.
  public init(
    _ techniques: [Technique], sharing given: [String: SettingValue], maxDrop: Goals.Drop?,
    confidence: Double?, spelling: SettingSpelling = .options
  ) throws {
    try self.init(techniques, sharing: given, spelling: spelling)
    for index in steps.indices {
      guard var quantization = steps[index][QuantizationSettings.self] else { continue }
      if techniques == [.quantize], quantization.canMix, case .absolute(let drop)? = maxDrop {
        quantization.mixedDrop = quantization.mixedDrop ?? drop
      }
      if quantization.mixedDrop != nil {
        quantization.mixedConfidence = quantization.mixedConfidence ?? confidence
      }
      steps[index][QuantizationSettings.self] = quantization
    }
    try validate(spelling)
  }
}
