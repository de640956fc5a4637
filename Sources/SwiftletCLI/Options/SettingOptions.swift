// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Swiftlet

/// Selects the settings of techniques that a command has as options.
protocol SettingScope: Sendable {
  /// The techniques whose settings are options.
  static var techniques: [Technique] { get }
  /// Whether a setting is an option.
  static func has(_ setting: SettingDescription) -> Bool
  /// Whether `--help` lists them.
  static var isListed: Bool { get }
}

/// Options generated from the settings that techniques declare: one for each name, even if several
/// techniques have it.
///
/// ArgumentParser finds options by reflection, so a mirror can declare them like properties;
/// parsing, help and completions follow.
struct SettingOptions<Scope: SettingScope>: ParsableArguments, CustomReflectable {
  /// The values given, by the names of settings.
  private(set) var values: [String: SettingValue] = [:]
  /// The first error in the values given.
  private var mistake: String?

  init() {}

  /// The settings, each name once.
  private static var settings: [SettingDescription] {
    Scope.techniques.flatMap(\.settings).reduce(into: []) { settings, setting in
      guard Scope.has(setting), !settings.contains(where: { $0.name == setting.name }) else {
        return
      }
      settings.append(setting)
    }
  }

  /// The techniques that have the setting, as a prefix for help; empty if all have it.
  private static func owners(_ name: String) -> String {
    let owners = Scope.techniques.filter { $0.settings.contains { $0.name == name } }
    return owners.count == Scope.techniques.count
      ? "" : owners.map(\.rawValue).joined(separator: ", ") + ": "
  }

  // MARK: Declaring

  var customMirror: Mirror {
    Mirror(self, children: Self.settings.flatMap(Self.children))
  }

  private static func children(_ setting: SettingDescription) -> [(label: String?, value: Any)] {
    let visibility: ArgumentVisibility = Scope.isListed || !Help.isWanted ? .default : .hidden
    func names(_ words: [String]) -> NameSpecification {
      .listing(words.map { String(SettingDescription.option($0).dropFirst(2)) })
    }
    let standard = setting.defaultText.map { " Default: \($0)." } ?? ""
    let help = ArgumentHelp(
      "\(owners(setting.name))\(setting.sentence)\(standard)", valueName: setting.valueName,
      visibility: visibility)
    let own: Any =
      switch setting.kind {
      case .truth:
        Flag<Bool?>(
          name: names([setting.name] + setting.aliases), inversion: .prefixedNo, help: help)
      case .names:
        Option<[String]>(
          wrappedValue: [], name: names([setting.name] + setting.aliases), parsing: .singleValue,
          help: help)
      case .choice(let words):
        Option<String?>(
          name: names([setting.name] + setting.aliases), help: help, completion: .list(words))
      case .path:
        Option<String?>(
          name: names([setting.name] + setting.aliases), help: help, completion: .file())
      case .whole, .number, .fraction, .choices:
        Option<String?>(name: names([setting.name] + setting.aliases), help: help)
      }
    let shorthands = setting.shorthands.map { shorthand in
      (
        label: String?("_\(shorthand.name)"),
        value: Flag<Bool>(
          wrappedValue: false, name: names([shorthand.name]),
          help: ArgumentHelp(
            "\(owners(setting.name))short for \(setting.spelled(shorthand.value)).",
            visibility: visibility)) as Any
      )
    }
    return [(label: "_\(setting.name)", value: own)] + shorthands
  }

  // MARK: Reading

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: SettingKey.self)
    for setting in Self.settings {
      let key = SettingKey(setting.name)
      switch setting.kind {
      case .truth:
        let given = try container.decode(Flag<Bool?>.self, forKey: key).wrappedValue
        take(given.map(SettingValue.truth), for: setting)
      case .names:
        let given = try container.decode(Option<[String]>.self, forKey: key).wrappedValue
        take(given.isEmpty ? nil : .names(given), for: setting)
      case .whole, .number, .fraction, .path, .choice, .choices:
        guard let text = try container.decode(Option<String?>.self, forKey: key).wrappedValue else {
          break
        }
        guard let value = setting.kind.parse(text) else {
          mistake =
            mistake
            ?? "'\(setting.option)' is '\(text)', not \(setting.kind.noun)"
            + setting.kind.suggestion(for: text)
          break
        }
        take(value, for: setting)
      }
      for shorthand in setting.shorthands
      where try container.decode(Flag<Bool>.self, forKey: SettingKey(shorthand.name)).wrappedValue {
        take(shorthand.value, for: setting)
      }
    }
  }

  private mutating func take(_ value: SettingValue?, for setting: SettingDescription) {
    guard let value else { return }
    if let other = values.updateValue(value, forKey: setting.name), other != value {
      mistake =
        mistake ?? "give either \(setting.spelled(other)) or \(setting.spelled(value))"
    }
  }

  func validate() throws {
    if let mistake { throw ValidationError(mistake) }
  }
}

extension SettingDescription {
  /// The option with a value, or its shorthand: `--bits 4`, `--no-data-aware`.
  fileprivate func spelled(_ value: SettingValue) -> String {
    if let shorthand = shorthands.first(where: { $0.value == value }), kind != .truth {
      return Self.option(shorthand.name)
    }
    return switch value {
    case .truth(true): option
    case .truth(false): negation
    default: "\(option) \(value.text)"
    }
  }

  /// The placeholder for values in help.
  var valueName: String {
    switch kind {
    case .truth, .number, .fraction: "number"
    case .whole: "n"
    case .path: "path"
    case .choice: "name"
    case .names: "name"
    case .choices: "names"
    }
  }
}

extension NameSpecification {
  /// The long names of an option. Help shows only the first one.
  static func listing(_ names: [String]) -> NameSpecification {
    NameSpecification((Help.isWanted ? Array(names.prefix(1)) : names).map { .customLong($0) })
  }
}

/// Whether help was requested. Help leaves many options to `swiftlet help techniques`, but
/// completions and suggestions need all of them.
private enum Help {
  static let isWanted =
    CommandLine.arguments.dropFirst().first == "help"
    || !Set(CommandLine.arguments).isDisjoint(with: ["-h", "--help"])
}
