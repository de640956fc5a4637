// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// The value of a setting as given in a recipe, an option or a manifest.
public enum SettingValue: Sendable, Equatable {
  /// True or false.
  case truth(Bool)
  /// A whole number.
  case whole(Int)
  /// A number.
  case number(Double)
  /// One word, such as a choice or a path.
  case text(String)
  /// A list of words.
  case names([String])

  /// A value of a YAML document; `nil` for null, mappings and mixed lists, which no setting takes.
  init?(yaml value: Any) {
    switch value {
    case let truth as Bool: self = .truth(truth)
    case let whole as Int: self = .whole(whole)
    case let number as Double: self = .number(number)
    case let text as String: self = .text(text)
    case let names as [String]: self = .names(names)
    default: return nil
    }
  }

  /// The value as text; lists are separated by commas.
  public var text: String {
    switch self {
    case .truth(let truth): "\(truth)"
    case .whole(let whole): "\(whole)"
    case .number(let number): plain(number)
    case .text(let text): text
    case .names(let names): names.joined(separator: ",")
    }
  }

  /// The value as a number, if it is one.
  var number: Double? {
    switch self {
    case .whole(let whole): Double(whole)
    case .number(let number): number
    case .truth, .text, .names: nil
    }
  }
}

extension SettingValue: Codable {
  /// Reads a JSON value; the type that fits first wins.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let truth = try? container.decode(Bool.self) {
      self = .truth(truth)
    } else if let whole = try? container.decode(Int.self) {
      self = .whole(whole)
    } else if let number = try? container.decode(Double.self) {
      self = .number(number)
    } else if let text = try? container.decode(String.self) {
      self = .text(text)
    } else {
      self = .names(try container.decode([String].self))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .truth(let truth): try container.encode(truth)
    case .whole(let whole): try container.encode(whole)
    case .number(let number): try container.encode(number)
    case .text(let text): try container.encode(text)
    case .names(let names): try container.encode(names)
    }
  }
}

/// The kind of values of a setting.
public enum SettingKind: Sendable, Equatable {
  /// True or false.
  case truth
  /// A whole number.
  case whole
  /// A number.
  case number
  /// A number that may also be given as a percentage, such as `95%`.
  case fraction
  /// The path of a file or folder.
  case path
  /// One of the given words.
  case choice([String])
  /// Any number of names, such as those of layers.
  case names
  /// A list of some of the given words.
  case choices([String])

  /// The kind as a noun phrase for errors: `a whole number`.
  public var noun: String {
    switch self {
    case .truth: "true or false"
    case .whole: "a whole number"
    case .number: "a number"
    case .fraction: "a number, or a percentage such as 95%"
    case .path: "a path"
    case .choice(let words): "one of \(words.joined(separator: ", "))"
    case .names: "a list of names"
    case .choices(let words): "a list of some of \(words.joined(separator: ", "))"
    }
  }

  /// Parses a command-line argument. Lists of words are separated by commas; a name is a list of
  /// one.
  ///
  /// - Returns: `nil` if the text is not a value of this kind.
  public func parse(_ text: String) -> SettingValue? {
    switch self {
    case .truth: Bool(text).map(SettingValue.truth)
    case .whole: Int(text).map(SettingValue.whole)
    case .number: Double(text).map(SettingValue.number)
    case .fraction: Self.fraction(text).map(SettingValue.number)
    case .path: .text(text)
    case .choice(let words): words.contains(text) ? .text(text) : nil
    case .names: .names([text])
    case .choices(let words): Self.list(text, of: words)
    }
  }

  /// The nearest word to one that is not allowed, as the end of an error: `; did you mean
  /// 'tucker'?`. Empty if all words are allowed, or none is similar.
  public func suggestion(for text: String) -> String {
    switch self {
    case .choice(let words), .choices(let words):
      text.split(separator: ",").map(String.init).first { !words.contains($0) }
        .flatMap { Nearest.word(to: $0, among: words) }.map { "; did you mean '\($0)'?" } ?? ""
    case .truth, .whole, .number, .fraction, .path, .names: ""
    }
  }

  /// The exponent divides without rounding: `99.9%` is 0.999.
  private static func fraction(_ text: String) -> Double? {
    Double(text.hasSuffix("%") ? "\(text.dropLast())e-2" : text)
  }

  private static func list(_ text: String, of words: [String]) -> SettingValue? {
    let names = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    return names.allSatisfy(words.contains) ? .names(names) : nil
  }
}

/// The range of a number.
public struct SettingRange: Sendable, Equatable {
  let lower: Double
  let upper: Double
  let includesUpper: Bool

  func contains(_ number: Double) -> Bool {
    number >= lower && (includesUpper ? number <= upper : number < upper)
  }

  /// The range as text: `0.5 to below 1`.
  public var text: String {
    "\(plain(lower)) to \(includesUpper ? "" : "below ")\(plain(upper))"
  }

  /// The range as text for errors: `between 0.5 and 1`.
  var phrase: String {
    "between \(plain(lower)) and \(includesUpper ? "" : "below ")\(plain(upper))"
  }
}

/// A Swift range in the declaration of a setting.
package protocol SettingBounds {
  var settingRange: SettingRange { get }
}

/// A bound of a setting's range.
package protocol SettingNumber: Comparable {
  var settingNumber: Double { get }
}

extension Int: SettingNumber {
  package var settingNumber: Double { Double(self) }
}

extension Double: SettingNumber {
  package var settingNumber: Double { self }
}

extension ClosedRange: SettingBounds where Bound: SettingNumber {
  package var settingRange: SettingRange {
    SettingRange(
      lower: lowerBound.settingNumber, upper: upperBound.settingNumber, includesUpper: true)
  }
}

extension Range: SettingBounds where Bound: SettingNumber {
  package var settingRange: SettingRange {
    SettingRange(
      lower: lowerBound.settingNumber, upper: upperBound.settingNumber, includesUpper: false)
  }
}

/// A type of property that can be a setting.
package protocol SettingType: Sendable {
  /// The kind of values.
  static var settingKind: SettingKind { get }
  /// Converts a value; `nil` if it is of another kind.
  init?(settingValue: SettingValue)
  /// The value; `nil` if it is not set.
  var settingValue: SettingValue? { get }
}

/// A type of setting whose values are words.
package protocol SettingChoice: SettingType, RawRepresentable, CaseIterable
where RawValue == String {}

extension SettingChoice {
  package static var settingKind: SettingKind { .choice(allCases.map(\.rawValue)) }

  package init?(settingValue: SettingValue) {
    guard case .text(let text) = settingValue else { return nil }
    self.init(rawValue: text)
  }

  package var settingValue: SettingValue? { .text(rawValue) }
}

extension Bool: SettingType {
  package static var settingKind: SettingKind { .truth }

  package init?(settingValue: SettingValue) {
    guard case .truth(let truth) = settingValue else { return nil }
    self = truth
  }

  package var settingValue: SettingValue? { .truth(self) }
}

extension Int: SettingType {
  package static var settingKind: SettingKind { .whole }

  package init?(settingValue: SettingValue) {
    guard let whole = settingValue.number.flatMap(Int.init(exactly:)) else { return nil }
    self = whole
  }

  package var settingValue: SettingValue? { .whole(self) }
}

extension Double: SettingType {
  package static var settingKind: SettingKind { .number }

  package init?(settingValue: SettingValue) {
    guard let number = settingValue.number else { return nil }
    self = number
  }

  package var settingValue: SettingValue? { .number(self) }
}

extension String: SettingType {
  package static var settingKind: SettingKind { .path }

  package init?(settingValue: SettingValue) {
    guard case .text(let text) = settingValue else { return nil }
    self = text
  }

  package var settingValue: SettingValue? { .text(self) }
}

extension Array: SettingType where Element: SettingType {
  package static var settingKind: SettingKind {
    if case .choice(let words) = Element.settingKind { .choices(words) } else { .names }
  }

  package init?(settingValue: SettingValue) {
    guard case .names(let names) = settingValue else { return nil }
    let elements = names.compactMap { Element(settingValue: .text($0)) }
    guard elements.count == names.count else { return nil }
    self = elements
  }

  package var settingValue: SettingValue? { .names(compactMap { $0.settingValue?.text }) }
}

extension Optional: SettingType where Wrapped: SettingType {
  package static var settingKind: SettingKind { Wrapped.settingKind }

  package init?(settingValue: SettingValue) {
    guard let wrapped = Wrapped(settingValue: settingValue) else { return nil }
    self = wrapped
  }

  package var settingValue: SettingValue? { flatMap(\.settingValue) }
}
