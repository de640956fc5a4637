// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// A compression technique, identified by its name.
///
/// Each technique has a folder with its `TechniqueDefinition`, settings and pass, and its constant.
/// ``allCases`` is the registry that recipes, options, help and reports follow.
public struct Technique: RawRepresentable, Sendable, Codable, Hashable, CaseIterable,
  CustomStringConvertible
{
  /// The name used in recipes, options and reports.
  public let rawValue: String
  package let definition: any TechniqueDefinition.Type

  /// All techniques, in the order of help and reference.
  public static let allCases: [Technique] = [.svd, .lowrank, .eigen, .prune, .quantize, .distill]

  init(_ definition: any TechniqueDefinition.Type) {
    rawValue = definition.name
    self.definition = definition
  }

  /// The technique of the given name; `nil` if there is none.
  public init?(rawValue: String) {
    guard let known = Self.allCases.first(where: { $0.rawValue == rawValue }) else { return nil }
    self = known
  }

  /// The technique of the given name.
  ///
  /// - Throws: `badInput` if there is none, with a suggestion.
  public init(named name: String) throws {
    guard let known = Technique(rawValue: name) else {
      let words = Self.allCases.map(\.rawValue)
      throw SwiftletError(
        .badInput, "unknown technique '\(name)'",
        fix: "use one of \(words.joined(separator: ", "))"
          + (Nearest.word(to: name, among: words).map { "; did you mean '\($0)'?" } ?? ""))
    }
    self = known
  }

  public var description: String { rawValue }

  /// What the technique does, in one line.
  public var summary: String { definition.summary }

  /// Whether goals can vary the strength of the technique.
  public var canVary: Bool { definition.defaults.strength != nil }

  /// Descriptions of all settings, in order of declaration.
  public var settings: [SettingDescription] { definition.descriptions }

  /// The setting with the given name or alias.
  func setting(called key: String) -> SettingDescription? {
    settings.first { $0.isCalled(key) }
  }

  public static func == (a: Technique, b: Technique) -> Bool { a.rawValue == b.rawValue }

  public func hash(into hasher: inout Hasher) { hasher.combine(rawValue) }
}

/// Defines a technique: its name, its settings, and the pass that applies it.
package protocol TechniqueDefinition: Sendable {
  /// The type of its settings.
  associatedtype Settings: StepSettings
  /// The name used in recipes, options and reports.
  static var name: String { get }
  /// What the technique does, in one line, as a phrase without a full stop.
  static var summary: String { get }
  /// The pass that applies the technique.
  static func makePass(_ settings: Settings) -> any CompressionPass
}

extension TechniqueDefinition {
  static var descriptions: [SettingDescription] { Settings.settings.map(\.about) }

  static var defaults: any StepSettings { Settings() }

  /// The pass for settings, which are always of this technique's type.
  static func pass(_ settings: any StepSettings) -> any CompressionPass {
    guard let own = settings as? Settings else {
      preconditionFailure("a step of \(name) has settings of another technique")
    }
    return makePass(own)
  }
}

extension Technique {
  /// The error for a setting that none of the techniques has.
  static func unknown(
    _ name: String, of techniques: [Technique], _ spelling: SettingSpelling
  ) -> SwiftletError {
    let takers = techniques.map(\.rawValue).joined(separator: ", ")
    let owners = allCases.filter { technique in
      technique.settings.contains { $0.isCalled(name) }
    }
    guard owners.isEmpty else {
      return SwiftletError(
        .badInput,
        (techniques.count == 1 ? "\(takers) has no setting " : "none of \(takers) has the setting ")
          + "'\(spelling(name))' (it belongs to \(owners.map(\.rawValue).joined(separator: ", ")))",
        fix: "leave it out, or add a technique that has it")
    }
    let own = techniques.flatMap { $0.settings.map(\.name) }
    if let near = Nearest.word(to: name, among: own) {
      return SwiftletError(
        .badInput, "unknown setting '\(spelling(name))'",
        fix: "did you mean '\(spelling(near))'?")
    }
    for other in allCases {
      guard let near = Nearest.word(to: name, among: other.settings.map(\.name)) else { continue }
      return SwiftletError(
        .badInput, "unknown setting '\(spelling(name))'",
        fix: "did you mean '\(spelling(near))', a setting of \(other.rawValue)?")
    }
    return SwiftletError(
      .badInput, "unknown setting '\(spelling(name))'",
      fix: "the settings of \(takers) are \(own.map { spelling($0) }.joined(separator: ", "))")
  }
}
