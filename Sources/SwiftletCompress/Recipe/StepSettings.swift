// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
package import SwiftletGraph

/// What the pipeline asks the settings of a step, besides their values.
package protocol StepSettings: TechniqueSettings {
  /// The most samples to calibrate with.
  var calibrationImages: Int { get set }
  /// The settings that matter most, for progress; `samples` says how many there are.
  func summary(_ samples: String) -> String

  /// What tells the step from the same one at other strengths; `nil` if goals cannot vary it.
  var strength: String? { get }
  /// The settings at another strength: what is left of the cost, 0 to 1.
  func varied(to ratio: Double) -> Self

  /// Whether samples are looked at.
  var needsSamples: Bool { get }
  var trains: Bool { get }
  /// What it needs labels for, as a sentence; `nil` if it needs none.
  var labelUse: String? { get }
  /// Whether models that already compute with integers can be changed.
  var takesIntegers: Bool { get }
  /// The bits of the integers that it makes; `nil`: none.
  var integerBits: Int? { get }
  /// How sure it is to be that accuracy drops no further than it may; `nil`: nothing was said.
  var confidence: Double? { get }

  /// Fills in what follows from which settings were given, and refuses those that do nothing.
  ///
  /// - Throws: `badInput` naming the setting.
  mutating func settle(_ given: GivenSettings) throws
  /// - Throws: `badInput` naming settings that do not go together.
  func check(_ spelling: SettingSpelling, of technique: Technique) throws
  /// Resolves names of layers, in the model before or after the earlier steps.
  ///
  /// - Throws: `badInput` for a name that is no layer's in any of the graphs.
  mutating func resolve(for graphs: [Graph]) throws
  /// - Throws: `badInput` for what does not fit the training images.
  func check(trainingImages: Int) throws

  /// Takes notice of the integers that a later step will make of the weights.
  mutating func expect(integerBits: Int?)
  /// Follows what earlier steps chose for layers.
  mutating func follow(_ layers: [LayerReport])
  /// The step as it is tried without the earlier ones, to see what those are good for.
  var alone: Self { get }
  /// The same without all that takes long or looks at answers, for plans; `nil` if nothing would be
  /// left.
  func hasty(samples: Int, of technique: Technique) -> Self?
  /// Digests of what decides the result besides the settings: the content of files, for example.
  ///
  /// - Throws: As reading the files does, naming them.
  func dependencies() throws -> [String]

  /// Changes settings as earlier versions wrote them to manifests into those of today.
  static func upgrade(_ former: inout FormerSettings)
}

/// Which settings were given for a step, and in what company.
package struct GivenSettings {
  package let technique: Technique
  /// Of this step.
  let names: Set<String>
  /// Those that other techniques of the list were given at once.
  let shared: Set<String>
  /// The other techniques that share the settings.
  let others: [Technique]
  /// The technique before this one, if the settings are shared.
  let before: Technique?
  let spelling: SettingSpelling

  func has(_ name: String) -> Bool { names.contains(name) }

  /// Whether it was given, and meant for this step alone.
  func isOwn(_ name: String) -> Bool { has(name) && !shared.contains(name) }

  /// The error for a setting that was given and does nothing.
  func idle(_ name: String, _ place: String, _ fix: String) -> SwiftletError {
    SwiftletError(.badInput, "'\(spelling(name))' does nothing \(place)", mend: fix)
  }
}

/// Settings of an earlier manifest, where every step had those of all techniques, most of them in
/// three groups.
package struct FormerSettings {
  package var common: [String: SettingValue]
  package let groups: [String: [String: SettingValue]]

  /// Takes the settings of a group, instead of common ones of the same name.
  package mutating func take(_ group: String) {
    common.merge(groups[group] ?? [:]) { $1 }
  }

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
  package func check(_ spelling: SettingSpelling, of technique: Technique) throws {}
  package mutating func resolve(for graphs: [Graph]) throws {}
  package func check(trainingImages: Int) throws {}
  package mutating func expect(integerBits: Int?) {}
  package mutating func follow(_ layers: [LayerReport]) {}
  package var alone: Self { self }
  package func dependencies() throws -> [String] { [] }
}
