// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// One technique and its settings: `CompressionStep(.lowrank)`, or `.lowrank { $0.ratio = 0.3 }`.
public struct CompressionStep: Sendable, Equatable {
  public let technique: Technique
  /// Of the technique's own type.
  package private(set) var settings: any StepSettings

  /// With the default settings.
  public init(_ technique: Technique) {
    self.technique = technique
    settings = technique.definition.defaults
  }

  /// With settings of the technique's type.
  init<Settings: StepSettings>(
    _ technique: Technique, _ change: (inout Settings) throws -> Void
  ) rethrows {
    self.init(technique)
    var own = Settings()
    try change(&own)
    self[Settings.self] = own
  }

  /// The settings as those of some technique, such as ``QuantizationSettings``; `nil` if the step
  /// is of another one. What is set for another one is ignored.
  public subscript<Settings: TechniqueSettings>(_ type: Settings.Type) -> Settings? {
    get { settings as? Settings }
    set {
      if let own = newValue as? any StepSettings, Swift.type(of: own) == Swift.type(of: settings) {
        settings = own
      }
    }
  }

  /// Changes the settings, whatever their type.
  package mutating func update(_ change: (inout any StepSettings) throws -> Void) rethrows {
    let former = settings
    try change(&settings)
    precondition(type(of: settings) == type(of: former))
  }

  public static func == (a: CompressionStep, b: CompressionStep) -> Bool {
    a.technique == b.technique && a.settings.values == b.settings.values
  }

  /// - Throws: `badInput` naming the setting that is out of range, or does not go with another one.
  public func validate(_ spelling: SettingSpelling = .keys) throws {
    try locating(technique.rawValue) {
      try settings.checkRanges(spelling)
      try settings.check(spelling, of: technique)
    }
  }

  /// Whether it looks at samples or labels.
  public var needsData: Bool { settings.needsSamples || settings.needsLabels }

  /// What the step does to a graph.
  var pass: any CompressionPass { technique.definition.pass(settings) }

  /// The step at another strength, if it has any.
  func varied(to ratio: Double) -> CompressionStep {
    var step = self
    step.update { $0 = $0.varied(to: ratio) }
    return step
  }

  /// The step as it is tried without the earlier ones.
  var alone: CompressionStep {
    var step = self
    step.update { $0 = $0.alone }
    return step
  }

  /// The step without all that takes long or looks at answers; `nil` if nothing would be left.
  func hasty(samples: Int) -> CompressionStep? {
    guard let settings = settings.hasty(samples: samples, of: technique) else { return nil }
    var step = self
    step.update { $0 = settings }
    return step
  }

  /// The files and folders among the settings.
  package var paths: [(setting: SettingDescription, path: String)] {
    technique.settings.filter { $0.kind == .path }.compactMap { setting in
      guard case .text(let path)? = settings.values[setting.name] else { return nil }
      return (setting, path)
    }
  }

  /// Changes the paths of files and folders among the settings.
  mutating func changePaths(_ change: (String) -> String) {
    for (setting, path) in paths { _ = settings.set(setting.name, .text(change(path))) }
  }
}

// MARK: Reading

extension CompressionStep {
  /// Takes settings by name; `others` are techniques that were given the same ones.
  init(
    _ technique: Technique, _ given: [String: SettingValue], others: [Technique] = [],
    before: Technique? = nil, _ spelling: SettingSpelling
  ) throws {
    self.init(technique)
    let known = technique.settings
    for (name, value) in given.sorted(by: { $0.key < $1.key }) {
      guard settings.set(name, value) else {
        guard let setting = known.first(where: { $0.name == name }) else {
          throw Technique.unknown(name, of: [technique], spelling)
        }
        throw setting.wrongKind(Self.shown(value, setting.kind), spelling)
      }
    }
    try settings.settle(
      GivenSettings(
        technique: technique, names: Set(given.keys),
        shared: Set(others.flatMap { $0.settings.map(\.name) }), others: others, before: before,
        spelling: spelling))
  }

  /// What is wrong with a value, for a person.
  private static func shown(_ value: SettingValue, _ kind: SettingKind) -> String {
    switch (value, kind) {
    case (.text(let text), _): "'\(text)'"
    case (.names(let names), .choices(let words)):
      names.first { !words.contains($0) }.map { "'\($0)'" } ?? "a list"
    case (.names, _): "a list"
    case (.truth, _), (.whole, _), (.number, _): value.text
    }
  }

  /// Reads a step of a recipe.
  init(yaml entry: [String: Any]) throws {
    guard let name = entry["technique"] else {
      throw SwiftletError(
        .badInput, "the step names no technique",
        mend: "add 'technique: NAME', one of "
          + Technique.allCases.map(\.rawValue).joined(separator: ", "))
    }
    let technique = try Technique(named: name as? String ?? "\(name)")
    var given: [String: SettingValue] = [:]
    for (key, value) in entry.sorted(by: { $0.key < $1.key }) where key != "technique" {
      guard let setting = technique.setting(called: key) else {
        throw Technique.unknown(key, of: [technique], .keys)
      }
      guard let value = SettingValue(yaml: value) else {
        let shown =
          switch value {
          case is [String: Any]: "a list of settings"
          case is [Any]: "a list"
          default: "empty"
          }
        throw setting.wrongKind(shown, .keys)
      }
      guard given.updateValue(value, forKey: setting.name) == nil else {
        throw SwiftletError(
          .badInput, "'\(setting.name)' is given twice, once by another name",
          at: technique.rawValue, mend: "leave '\(key)' out")
      }
    }
    try self.init(technique, given, .keys)
    try validate()
  }
}

// MARK: Manifests

extension CompressionStep: Codable {
  private static let formerGroups = ["decomposition", "distillation", "quantization"]

  /// The technique beside its settings, by name. Settings that are not named have their defaults;
  /// names that the technique does not know are passed over. Steps of earlier versions had the
  /// settings of all techniques.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: SettingKey.self)
    self.init(try container.decode(Technique.self, forKey: SettingKey("technique")))
    var values: [String: SettingValue] = [:]
    for key in container.allKeys
    where key.stringValue != "technique" && !Self.formerGroups.contains(key.stringValue) {
      values[key.stringValue] = try container.decodeIfPresent(SettingValue.self, forKey: key)
    }
    if container.contains(SettingKey(Self.formerGroups[0])) {
      var former = FormerSettings(
        common: values,
        groups: try Self.formerGroups.reduce(into: [:]) { groups, name in
          groups[name] = try container.decodeIfPresent(
            [String: SettingValue].self, forKey: SettingKey(name))
        })
      type(of: settings).upgrade(&former)
      values = former.common
    }
    for (name, value) in values {
      guard technique.settings.contains(where: { $0.name == name }) else { continue }
      guard settings.set(name, value) else {
        throw DecodingError.dataCorruptedError(
          forKey: SettingKey(name), in: container, debugDescription: "not a value of \(name)")
      }
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: SettingKey.self)
    try container.encode(technique, forKey: SettingKey("technique"))
    for (name, value) in settings.values { try container.encode(value, forKey: SettingKey(name)) }
  }
}
