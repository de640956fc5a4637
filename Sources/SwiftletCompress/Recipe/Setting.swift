// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// The settings of a technique. Each is declared once, in ``settings``: recipes, command-line
/// options, validation, manifests, help and docs/settings.md all follow from that.
public protocol TechniqueSettings: Sendable, Equatable {
  /// Creates the default settings.
  init()
  /// The declarations, in the order of the help.
  static var settings: [Setting<Self>] { get }
}

/// The declaration of one setting: a property of the technique's settings and its description.
public struct Setting<Settings: TechniqueSettings>: Sendable {
  /// The description: name, kind, range, help.
  public let about: SettingDescription
  /// Returns the value; `nil` if it is not set.
  let get: @Sendable (Settings) -> SettingValue?
  /// Sets the value; returns `false` if it is of the wrong kind.
  let set: @Sendable (inout Settings, SettingValue) -> Bool

  /// Declares the setting that is stored in `path`.
  ///
  /// - Parameters:
  ///   - name: The name of the property: the key in recipes and, with dashes, the option.
  ///   - path: The property.
  ///   - range: The range of numbers allowed.
  ///   - values: The whole numbers allowed, if there are only a few.
  ///   - isFraction: Whether a number may also be given as a percentage, such as `95%`.
  ///   - help: What it does, as a phrase without a full stop and without the default.
  ///   - unset: What happens if it is `nil` or an empty list, for the help.
  ///   - aliases: Other names in recipes and options.
  ///   - keyAliases: Other names in recipes only.
  ///   - shorthands: Options without a value that stand for a value.
  package init<Value: SettingType>(
    _ name: String, _ path: any WritableKeyPath<Settings, Value> & Sendable,
    _ range: (any SettingBounds)? = nil, values: [Int] = [], isFraction: Bool = false,
    help: String, unset: String? = nil, aliases: [String] = [], keyAliases: [String] = [],
    shorthands: [SettingDescription.Shorthand] = []
  ) {
    let initial = Settings()[keyPath: path].settingValue
    let kind = isFraction ? SettingKind.fraction : Value.settingKind
    about = SettingDescription(
      name: name, aliases: aliases, keyAliases: keyAliases, shorthands: shorthands,
      kind: kind, range: range?.settingRange, values: values, help: help,
      initial: initial, unset: unset)
    get = { $0[keyPath: path].settingValue }
    set = { settings, value in
      var value = value
      if isFraction, case .text(let text) = value, let number = kind.parse(text) { value = number }
      guard let value = Value(settingValue: value) else { return false }
      settings[keyPath: path] = value
      return true
    }
  }
}

/// The description of a setting, independent of its technique's type.
public struct SettingDescription: Sendable, Equatable {
  /// An option without a value, such as `--plain` for `--no-data-aware`.
  public struct Shorthand: Sendable, Equatable {
    /// The name in camel case: `weightOnly` is the option `--weight-only`.
    public let name: String
    /// The value it stands for.
    public let value: SettingValue

    package init(_ name: String, _ value: SettingValue) {
      (self.name, self.value) = (name, value)
    }
  }

  /// The name of the property, which is the key in recipes.
  public let name: String
  /// Other names in recipes and options.
  public let aliases: [String]
  /// Other names in recipes only.
  let keyAliases: [String]
  /// Options without a value that stand for a value.
  public let shorthands: [Shorthand]
  /// The kind of value.
  public let kind: SettingKind
  /// The range of numbers allowed; `nil`: any.
  public let range: SettingRange?
  /// The whole numbers allowed; empty: see ``range``.
  let values: [Int]
  /// What the setting does, as a phrase without a full stop.
  public let help: String
  /// The default; `nil` if it is not set by default.
  let initial: SettingValue?
  /// What happens if it is not set, for the help.
  let unset: String?

  /// The command-line option, such as `--qat-epochs` for `qatEpochs`.
  public var option: String { Self.option(name) }

  /// The command-line option for a name.
  public static func option(_ name: String) -> String {
    "--" + name.map { $0.isUppercase ? "-\($0.lowercased())" : String($0) }.joined()
  }

  /// The option that turns it off: `--no-flip`.
  public var negation: String { Self.negation(name) }

  /// The option that turns off the setting of the given name.
  static func negation(_ name: String) -> String { "--no-\(option(name).dropFirst(2))" }

  /// Whether a recipe may use the given key for it.
  func isCalled(_ key: String) -> Bool {
    key == name || aliases.contains(key) || keyAliases.contains(key)
  }

  /// The default as text for the help; `nil` if it is off or an empty list without explanation.
  public var defaultText: String? {
    switch initial {
    case nil: unset
    case .truth(let truth): truth ? "on" : nil
    case .names([]): unset
    case .some(let value): value.text
    }
  }

  /// What the setting does, as a sentence.
  public var sentence: String { help.prefix(1).uppercased() + help.dropFirst() + "." }

  /// The allowed values as text, such as `whole number, 1 to 4096`.
  public var domain: String {
    if !values.isEmpty { return values.map(String.init).joined(separator: ", ") }
    switch kind {
    case .choice(let words): return words.joined(separator: ", ")
    case .choices(let words): return "some of \(words.joined(separator: ", "))"
    case .whole: return "whole number" + (range.map { ", \($0.text)" } ?? "")
    case .number: return "number" + (range.map { ", \($0.text)" } ?? "")
    case .fraction:
      return "number" + (range.map { ", \($0.text)" } ?? "") + ", or a percentage such as 95%"
    case .truth: return "true or false"
    case .path: return "path"
    case .names: return "list of names"
    }
  }

  /// - Throws: `badInput` if a number is out of range.
  func check(_ value: SettingValue, _ spelling: SettingSpelling) throws {
    guard let number = value.number else { return }
    let shown = "\(spelling(name)) \(plain(number))"
    if !values.isEmpty {
      guard values.contains(where: { Double($0) == number }) else {
        let words = values.map(String.init)
        let list = words.dropLast().joined(separator: ", ") + " or " + words[words.count - 1]
        throw SwiftletError(.badInput, "\(shown) is not \(list)", fix: "use \(list)")
      }
    } else if let range {
      guard range.contains(number) else {
        throw SwiftletError(
          .badInput, "\(shown) is not \(range.phrase)",
          fix: initial.map { "the default is \($0.text)" } ?? "leave it out")
      }
    }
  }

  /// The error for a value of the wrong kind, which `shown` describes.
  ///
  /// - Parameters:
  ///   - shown: The value as the error shows it.
  ///   - typed: The value as typed, for a suggestion.
  ///   - spelling: How the caller spells the names of settings.
  func wrongKind(
    _ shown: String, _ typed: String, _ spelling: SettingSpelling
  ) -> SwiftletError {
    switch kind {
    case .choice(let words), .choices(let words):
      SwiftletError(
        .badInput, "\(shown) is not a value of '\(spelling(name))'",
        fix: "use \(kind.isList ? "some" : "one") of \(words.joined(separator: ", "))"
          + kind.suggestion(for: typed))
    default:
      SwiftletError(.badInput, "'\(spelling(name))' is \(shown), not \(kind.noun)")
    }
  }
}

extension SettingKind {
  /// Whether values are lists.
  public var isList: Bool {
    switch self {
    case .names, .choices: true
    case .truth, .whole, .number, .fraction, .path, .choice: false
    }
  }
}

/// How errors spell names of settings.
public enum SettingSpelling: Sendable {
  /// As keys of a recipe: `qatEpochs`.
  case keys
  /// As command-line options: `--qat-epochs`.
  case options

  /// Spells the name of a setting.
  public func callAsFunction(_ name: String) -> String {
    self == .keys ? name : SettingDescription.option(name)
  }

  /// Spells that a setting is turned off: `dataAware: false`, `--no-data-aware`.
  func off(_ name: String) -> String {
    self == .keys ? "\(name): false" : SettingDescription.negation(name)
  }
}

extension TechniqueSettings {
  /// The values of all settings that are set, by name.
  package var values: [String: SettingValue] {
    var values: [String: SettingValue] = [:]
    for setting in Self.settings { values[setting.about.name] = setting.get(self) }
    return values
  }

  /// Sets a setting by name.
  ///
  /// - Returns: `false` if the value is of the wrong kind or the name is unknown.
  mutating func set(_ name: String, _ value: SettingValue) -> Bool {
    Self.settings.first { $0.about.name == name }?.set(&self, value) ?? false
  }

  /// - Throws: `badInput` naming a setting that is out of range.
  func checkRanges(_ spelling: SettingSpelling) throws {
    for setting in Self.settings {
      if let value = setting.get(self) { try setting.about.check(value, spelling) }
    }
  }
}
