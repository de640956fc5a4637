// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// A technique with its settings: `CompressionStep(.lowrank)`, or `.lowrank { $0.ratio = 0.3 }`.
public struct CompressionStep: Sendable, Equatable {
  /// The technique.
  public let technique: Technique
  /// The settings, of the technique's own type.
  package private(set) var settings: any StepSettings

  /// A step with the default settings.
  public init(_ technique: Technique) {
    self.technique = technique
    settings = technique.definition.defaults
  }

  /// A step with changed settings, which must be of the technique's type.
  init<Settings: StepSettings>(
    _ technique: Technique, _ change: (inout Settings) throws -> Void
  ) rethrows {
    self.init(technique)
    var own = Settings()
    try change(&own)
    self[Settings.self] = own
  }

  /// The settings as those of a certain type, such as ``QuantizationSettings``; `nil` if the
  /// technique has another type, in which case setting them is ignored.
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

  /// Checks the settings.
  ///
  /// - Parameter spelling: How errors spell names of settings.
  /// - Throws: `badInput` naming a setting that is out of range or conflicts with another one.
  public func validate(_ spelling: SettingSpelling = .keys) throws {
    try locating(technique.rawValue) {
      try settings.checkRanges(spelling)
      try settings.check(spelling, of: technique)
    }
  }

  /// Whether the step needs samples or labels.
  public var needsData: Bool { settings.needsSamples || settings.needsLabels }

  /// Whether the step trains, which needs labels.
  public var trains: Bool { settings.trains }

  /// The pass that applies the step.
  var pass: any CompressionPass { technique.definition.pass(settings) }

  /// The step at another strength; unchanged if its strength cannot vary.
  func varied(to ratio: Double) -> CompressionStep {
    var step = self
    step.update { $0 = $0.varied(to: ratio) }
    return step
  }

  /// The step as it is tried on its own, without earlier steps.
  var alone: CompressionStep {
    var step = self
    step.update { $0 = $0.alone }
    return step
  }

  /// The step without anything slow or dependent on answers; `nil` if nothing is left.
  func hasty(samples: Int) -> CompressionStep? {
    guard let settings = settings.hasty(samples: samples, of: technique) else { return nil }
    var step = self
    step.update { $0 = settings }
    return step
  }

  /// The settings that are paths of files or folders.
  package var paths: [(setting: SettingDescription, path: String)] {
    technique.settings.filter { $0.kind == .path }.compactMap { setting in
      guard case .text(let path)? = settings.values[setting.name] else { return nil }
      return (setting, path)
    }
  }

  /// Changes all paths among the settings.
  mutating func changePaths(_ change: (String) -> String) {
    for (setting, path) in paths { _ = settings.set(setting.name, .text(change(path))) }
  }
}

// MARK: Reading

extension CompressionStep {
  /// A step with settings by name.
  ///
  /// - Parameters:
  ///   - others: Other techniques that were given the same settings.
  ///   - before: The technique before this one, if the settings are shared.
  /// - Throws: `badInput` for an unknown setting, a value of the wrong kind, or a setting without
  ///   effect.
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
        throw setting.wrongKind(Self.shown(value, setting.kind), value.text, spelling)
      }
    }
    try settings.settle(
      GivenSettings(
        technique: technique, names: Set(given.keys),
        shared: Set(others.flatMap { $0.settings.map(\.name) }), others: others, before: before,
        spelling: spelling))
  }

  /// Refuses settings that were given although none of the steps reads them.
  ///
  /// - Parameters:
  ///   - given: The names of the settings that were given once for all steps.
  ///   - steps: The steps.
  ///   - spelling: How errors spell names of settings.
  ///
  /// - Throws: `badInput` naming the first one.
  static func refuseIdle(
    _ given: [String], in steps: [CompressionStep], _ spelling: SettingSpelling
  ) throws {
    let idle = steps.map { $0.settings.idle(spelling) }
    for name in given {
      let takers = steps.indices.filter { index in
        steps[index].technique.settings.contains { $0.name == name }
      }
      let found = takers.compactMap { index in idle[index].first { $0.name == name } }
      guard let first = found.first, found.count == takers.count else { continue }
      throw SwiftletError(
        .badInput, "'\(spelling(name))' does nothing \(first.place)", fix: first.fix)
    }
  }

  /// The offending value as text for an error.
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
  ///
  /// - Throws: `badInput` naming the technique or the setting.
  init(yaml entry: [String: Any]) throws {
    guard let name = entry["technique"] else {
      throw SwiftletError(
        .badInput, "the step has no technique",
        fix: "add 'technique: NAME', one of "
          + Technique.allCases.map(\.rawValue).joined(separator: ", "))
    }
    let technique = try Technique(named: name as? String ?? "\(name)")
    let given = try Self.settings(yaml: entry.filter { $0.key != "technique" }, of: [technique])
    try self.init(technique, given, .keys)
    try Self.refuseIdle(given.keys.sorted(), in: [self], .keys)
    try validate()
  }

  /// The settings in a mapping of a YAML document, by their own names.
  ///
  /// - Throws: `badInput` for a setting that none of the techniques has, or that is given twice, and
  ///   for a value that no setting takes.
  static func settings(
    yaml entry: [String: Any], of techniques: [Technique]
  ) throws -> [String: SettingValue] {
    var given: [String: SettingValue] = [:]
    for (key, value) in entry.sorted(by: { $0.key < $1.key }) {
      guard let setting = techniques.lazy.compactMap({ $0.setting(called: key) }).first else {
        throw Technique.unknown(key, of: techniques, .keys)
      }
      guard let value = SettingValue(yaml: value) else {
        let shown =
          switch value {
          case is [String: Any]: "a list of settings"
          case is [Any]: "a list"
          default: "empty"
          }
        throw setting.wrongKind(shown, "", .keys)
      }
      guard given.updateValue(value, forKey: setting.name) == nil else {
        throw SwiftletError(
          .badInput, "'\(setting.name)' is given twice under different names",
          at: techniques.map(\.rawValue).joined(separator: ", "), fix: "leave '\(key)' out")
      }
    }
    return given
  }
}

// MARK: Manifests

extension CompressionStep: Codable {
  private static let formerGroups = ["decomposition", "distillation", "quantization"]

  /// Reads the technique and its settings by name. Missing settings have their defaults; unknown
  /// ones are ignored. Manifests of earlier versions have the settings of all techniques.
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
      // Names of earlier versions give way to those of today, if a step has both.
      guard let setting = technique.setting(called: name),
        setting.name == name || values[setting.name] == nil
      else { continue }
      guard settings.set(setting.name, value) else {
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
