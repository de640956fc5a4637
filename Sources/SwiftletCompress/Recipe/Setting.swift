// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Settings of a technique, each declared once: recipes, options of the command, validation,
/// manifests, help and docs/settings.md all follow from ``settings``.
public protocol TechniqueSettings: Sendable, Equatable {
  /// The defaults.
  init()
  static var settings: [Setting<Self>] { get }
}

/// One setting: a property of its technique's settings, and all there is to say about it.
public struct Setting<Settings: TechniqueSettings>: Sendable {
  public let about: SettingDescription
  let get: @Sendable (Settings) -> SettingValue?
  /// Returns whether the value is of the right kind.
  let set: @Sendable (inout Settings, SettingValue) -> Bool

  /// Declares the setting that is stored in `path`.
  ///
  /// - Parameters:
  ///   - name: The name of the property, which is the key in recipes and, with dashes, the option.
  ///   - path: The property.
  ///   - range: The numbers that it may be.
  ///   - values: The whole numbers that it may be, where they are few.
  ///   - help: What it does, as a phrase without a full stop and without the default.
  ///   - unset: What happens while it is `nil`, for the help.
  ///   - aliases: Other names, of recipes and options.
  ///   - keyAliases: Other names in recipes alone.
  ///   - shorthands: Options without a value that stand for one.
  package init<Value: SettingType>(
    _ name: String, _ path: any WritableKeyPath<Settings, Value> & Sendable,
    _ range: (any SettingBounds)? = nil, values: [Int] = [], help: String, unset: String? = nil,
    aliases: [String] = [], keyAliases: [String] = [],
    shorthands: [SettingDescription.Shorthand] = []
  ) {
    let initial = Settings()[keyPath: path].settingValue
    about = SettingDescription(
      name: name, aliases: aliases, keyAliases: keyAliases, shorthands: shorthands,
      kind: Value.settingKind, range: range?.settingRange, values: values, help: help,
      initial: initial, unset: unset)
    get = { $0[keyPath: path].settingValue }
    set = { settings, value in
      guard let value = Value(settingValue: value) else { return false }
      settings[keyPath: path] = value
      return true
    }
  }
}

/// What there is to know about a setting, whatever its technique.
public struct SettingDescription: Sendable, Equatable {
  /// An option without a value, such as `--plain` for `--no-data-aware`.
  public struct Shorthand: Sendable, Equatable {
    public let name: String
    public let value: SettingValue

    package init(_ name: String, _ value: SettingValue) {
      (self.name, self.value) = (name, value)
    }
  }

  /// The property, and the key in recipes.
  public let name: String
  public let aliases: [String]
  /// Other names in recipes alone.
  let keyAliases: [String]
  public let shorthands: [Shorthand]
  public let kind: SettingKind
  public let range: SettingRange?
  let values: [Int]
  /// What it does, as a phrase without a full stop.
  public let help: String
  /// The default; `nil`: not set.
  let initial: SettingValue?
  let unset: String?

  /// The option: `qatEpochs` is `--qat-epochs`.
  public var option: String { Self.option(name) }

  /// The option of a name.
  public static func option(_ name: String) -> String {
    "--" + name.map { $0.isUppercase ? "-\($0.lowercased())" : String($0) }.joined()
  }

  /// Whether recipes may call it so.
  func isCalled(_ key: String) -> Bool {
    key == name || aliases.contains(key) || keyAliases.contains(key)
  }

  /// The default as the help tells it; `nil` where there is nothing to tell: off, or an empty list.
  public var defaultText: String? {
    switch initial {
    case nil: unset
    case .truth(let truth): truth ? "on" : nil
    case .names([]): unset
    case .some(let value): value.text
    }
  }

  /// What it does, as a sentence.
  public var sentence: String { help.prefix(1).uppercased() + help.dropFirst() + "." }

  /// The values that it takes, for the reference.
  public var domain: String {
    if !values.isEmpty { return values.map(String.init).joined(separator: ", ") }
    switch kind {
    case .choice(let words): return words.joined(separator: ", ")
    case .choices(let words): return "some of \(words.joined(separator: ", "))"
    case .whole: return "whole number" + (range.map { ", \($0.text)" } ?? "")
    case .number: return "number" + (range.map { ", \($0.text)" } ?? "")
    case .truth: return "true or false"
    case .path: return "path"
    case .names: return "list of names"
    }
  }

  /// - Throws: `badInput` if the value is out of range.
  func check(_ value: SettingValue, _ spelling: SettingSpelling) throws {
    guard let number = value.number else { return }
    let shown = "\(spelling(name)) \(plain(number))"
    if !values.isEmpty {
      guard values.contains(where: { Double($0) == number }) else {
        let words = values.map(String.init)
        let list = words.dropLast().joined(separator: ", ") + " or " + words[words.count - 1]
        throw SwiftletError(.badInput, "\(shown) is not \(list)", mend: "use \(list)")
      }
    } else if let range {
      guard range.contains(number) else {
        throw SwiftletError(
          .badInput, "\(shown) is not \(range.phrase)",
          mend: initial.map { "the default is \($0.text)" } ?? "leave it out")
      }
    }
  }

  /// The error for a value of another kind; `shown` is how a person would say what it is.
  func wrongKind(_ shown: String, _ spelling: SettingSpelling) -> SwiftletError {
    switch kind {
    case .choice(let words), .choices(let words):
      SwiftletError(
        .badInput, "\(shown) is not a value of '\(spelling(name))'",
        mend: "use \(kind.isList ? "some" : "one") of \(words.joined(separator: ", "))")
    default:
      SwiftletError(.badInput, "'\(spelling(name))' is \(shown), not \(kind.noun)")
    }
  }
}

extension SettingKind {
  /// Whether its values are lists.
  public var isList: Bool {
    switch self {
    case .names, .choices: true
    case .truth, .whole, .number, .path, .choice: false
    }
  }
}

/// How an interface spells the names of settings in errors.
public enum SettingSpelling: Sendable {
  /// As keys of recipes.
  case keys
  /// As options of the command.
  case options

  /// The spelling of a name.
  public func callAsFunction(_ name: String) -> String {
    self == .keys ? name : SettingDescription.option(name)
  }
}

extension TechniqueSettings {
  /// The values of all settings that have one, by name.
  package var values: [String: SettingValue] {
    var values: [String: SettingValue] = [:]
    for setting in Self.settings { values[setting.about.name] = setting.get(self) }
    return values
  }

  /// Takes a value for a setting.
  ///
  /// - Returns: Whether it is of the right kind; `false` for an unknown name, too.
  mutating func set(_ name: String, _ value: SettingValue) -> Bool {
    Self.settings.first { $0.about.name == name }?.set(&self, value) ?? false
  }

  /// - Throws: `badInput` naming the setting that is out of range.
  func checkRanges(_ spelling: SettingSpelling) throws {
    for setting in Self.settings {
      if let value = setting.get(self) { try setting.about.check(value, spelling) }
    }
  }
}
