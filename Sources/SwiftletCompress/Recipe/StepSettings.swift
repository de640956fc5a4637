// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
package import SwiftletGraph

/// What the pipeline needs to know about the settings of a step, besides their values.
package protocol StepSettings: TechniqueSettings {
  /// Maximum number of calibration samples.
  var calibrationImages: Int { get set }
  /// The most important settings, for progress messages; `samples` is the number of samples as
  /// text.
  func summary(_ samples: String) -> String

  /// A label that distinguishes strengths of the step; `nil` if goals cannot vary it.
  var strength: String? { get }
  /// The settings at another strength: the fraction of the cost that remains, 0 to 1.
  func varied(to ratio: Double) -> Self

  /// Whether the step needs samples.
  var needsSamples: Bool { get }
  /// Whether the step trains.
  var trains: Bool { get }
  /// What the step needs labels for, as a clause; `nil` if it needs none.
  var labelUse: String? { get }
  /// Whether the step can change models that already compute with integers.
  var takesIntegers: Bool { get }
  /// Bits of the integers that the step produces; `nil` if it produces none.
  var integerBits: Int? { get }
  /// Confidence level for the bound on the accuracy drop, as a fraction; `nil` if not set.
  var confidence: Double? { get }

  /// Adjusts defaults to the settings that were given, and refuses combinations that exclude each
  /// other.
  ///
  /// - Throws: `badInput` naming the setting.
  mutating func settle(_ given: GivenSettings) throws
  /// The settings that nothing reads, whatever their values, given the values of the others.
  ///
  /// Such a setting is refused in a recipe or on the command line if it was given, unless its value
  /// describes what happens anyway, as `equalize: false` does where nothing is equalized.
  /// Manifests, which list all settings, are not checked.
  func idle(_ spelling: SettingSpelling) -> [IdleSetting]
  /// - Throws: `badInput` naming settings that conflict.
  func check(_ spelling: SettingSpelling, of technique: Technique) throws
  /// Resolves names of layers in the original model and the model after the earlier steps.
  ///
  /// - Throws: `badInput` for a name that matches no layer in any of the graphs.
  mutating func resolve(for graphs: [Graph]) throws
  /// - Throws: `badInput` if settings do not fit the number of training images.
  func check(trainingImages: Int) throws

  /// Tells the step the bits that a later step will quantize weights to; `nil`: none will.
  mutating func expect(integerBits: Int?)
  /// Adopts what earlier steps chose for layers.
  mutating func follow(_ layers: [LayerReport])
  /// The step as it is tried on its own, to find out whether the earlier steps help.
  var alone: Self { get }
  /// The settings without anything slow or dependent on answers, for plans; `nil` if nothing is
  /// left.
  func hasty(samples: Int, of technique: Technique) -> Self?
  /// Digests of whatever else determines the result, such as the content of files.
  ///
  /// - Throws: The errors of reading these files.
  func dependencies() throws -> [String]

  /// Converts settings from manifests of earlier versions.
  static func upgrade(_ former: inout FormerSettings)
}

/// A setting that nothing reads.
package struct IdleSetting {
  /// Its name.
  let name: String
  /// Where it does nothing, such as `in dynamic quantization`.
  let place: String
  /// What to do about it.
  let fix: String
}

/// The settings that were given for a step, and for which other techniques.
package struct GivenSettings {
  /// The technique of the step.
  package let technique: Technique
  /// Names of the settings given for this step.
  let names: Set<String>
  /// Names of the settings that the other techniques have too.
  let shared: Set<String>
  /// The other techniques that share the settings.
  let others: [Technique]
  /// The technique before this one, if the settings are shared.
  let before: Technique?
  /// How errors spell names of settings.
  let spelling: SettingSpelling

  /// Whether a setting was given.
  func has(_ name: String) -> Bool { names.contains(name) }

  /// Whether a setting was given and no other technique has it.
  func isOwn(_ name: String) -> Bool { has(name) && !shared.contains(name) }

  /// The error for a setting that was given but has no effect.
  func idle(_ name: String, _ place: String, _ fix: String) -> SwiftletError {
    SwiftletError(.badInput, "'\(spelling(name))' does nothing \(place)", fix: fix)
  }
}

/// Settings from the manifest of an earlier version, where every step had those of all techniques,
/// most of them in three groups.
package struct FormerSettings {
  package var common: [String: SettingValue]
  package let groups: [String: [String: SettingValue]]

  /// Moves the settings of a group to the common ones, overriding those of the same name.
  package mutating func take(_ group: String) {
    common.merge(groups[group] ?? [:]) { $1 }
  }

  /// Renames a setting.
  package mutating func rename(_ old: String, to new: String) {
    common[new] = common.removeValue(forKey: old)
  }
}

extension StepSettings {
  package var strength: String? { nil }
  package func varied(to ratio: Double) -> Self { self }
  package var needsSamples: Bool { true }
  package var trains: Bool { false }
  package var labelUse: String? { nil }
  package var needsLabels: Bool { labelUse != nil }
  package var takesIntegers: Bool { true }
  package var integerBits: Int? { nil }
  package var confidence: Double? { nil }
  package mutating func settle(_ given: GivenSettings) throws {}
  package func idle(_ spelling: SettingSpelling) -> [IdleSetting] { [] }
  package func check(_ spelling: SettingSpelling, of technique: Technique) throws {}
  package mutating func resolve(for graphs: [Graph]) throws {}
  package func check(trainingImages: Int) throws {}
  package mutating func expect(integerBits: Int?) {}
  package mutating func follow(_ layers: [LayerReport]) {}
  package var alone: Self { self }
  package func dependencies() throws -> [String] { [] }
}
