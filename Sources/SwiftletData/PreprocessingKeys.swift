// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SwiftletCore
import SwiftletFormats
import SwiftletImages

/// The keys and values of a file that describes preprocessing. Errors name the key.
struct PreprocessingKeys {
  /// As ``YAML`` parses them, also of JSON.
  let values: [String: Any]

  /// Whether the file has a value for the key.
  func has(_ key: String) -> Bool { value(key) != nil }

  private func value(_ key: String) -> Any? {
    guard let value = values[key], !(value is YAML.Null) else { return nil }
    return value
  }

  /// An error about a key's value.
  func wrong(_ key: String, _ what: String, fix: String) -> SwiftletError {
    SwiftletError(.badInput, what, at: "key '\(key)'", fix: fix)
  }

  func keys(_ key: String) throws -> PreprocessingKeys? {
    try typed(key, "a mapping") { $0 as? [String: Any] }.map(PreprocessingKeys.init)
  }

  func truth(_ key: String) throws -> Bool? {
    try typed(key, "true or false") { $0 as? Bool }
  }

  func text(_ key: String) throws -> String? { try typed(key, "a word") { $0 as? String } }

  func whole(_ key: String) throws -> Int? {
    try typed(key, "a whole number") { $0 as? Int }
  }

  func number(_ key: String) throws -> Double? { try typed(key, "a number", Self.number) }

  /// One of some words.
  func choice<C>(_ key: String, _ choices: [(word: String, value: C)]) throws -> C? {
    guard let text = try text(key) else { return nil }
    if let choice = choices.first(where: { $0.word == text.lowercased() }) { return choice.value }
    let words = choices.map(\.word)
    throw wrong(
      key, "there is no '\(text)'",
      fix: Nearest.word(to: text, among: words).map { "did you mean '\($0)'?" }
        ?? "it is one of \(words.joined(separator: ", "))")
  }

  /// A list of numbers, or one number.
  func numbers(_ key: String) throws -> [Float]? {
    try typed(key, "a number, or a list of numbers") { value in
      let list = value as? [Any] ?? [value]
      let numbers = list.compactMap { Self.number($0).map { Float($0) } }
      return numbers.count == list.count && !list.isEmpty && numbers.allSatisfy(\.isFinite)
        ? numbers : nil
    }
  }

  /// A list of whole numbers, or one.
  func wholes(_ key: String) throws -> [Int]? {
    try typed(key, "a whole number, or a list of them") { value in
      let list = value as? [Any] ?? [value]
      let numbers = list.compactMap { $0 as? Int }
      return numbers.count == list.count && !list.isEmpty ? numbers : nil
    }
  }

  /// Numbers that pixels are divided by.
  func deviations(_ key: String) throws -> [Float]? {
    guard let numbers = try numbers(key) else { return nil }
    guard numbers.allSatisfy({ $0 > 0 }) else {
      throw wrong(key, "a deviation is not above 0", fix: "leave it out, or give 1")
    }
    return numbers
  }

  /// A part of a picture, above 0 to 1.
  func fraction(_ key: String) throws -> Double? {
    guard let number = try number(key) else { return nil }
    guard number > 0, number <= 1 else {
      throw wrong(key, "\(number) is not above 0 to 1", fix: "0.875 is usual")
    }
    return number
  }

  /// A height and a width: one number for both, or a list of the two.
  func size(_ key: String) throws -> Image.Size? {
    guard let numbers = try wholes(key) else { return nil }
    guard numbers.count <= 2, numbers.allSatisfy({ 1...1 << 14 ~= $0 }) else {
      throw wrong(
        key, "this is not a size in pixels", fix: "give one number, or [height, width]")
    }
    return Image.Size(width: numbers[numbers.count - 1], height: numbers[0])
  }

  private func typed<T>(_ key: String, _ noun: String, _ read: (Any) -> T?) throws -> T? {
    guard let value = value(key) else { return nil }
    guard let typed = read(value) else {
      throw wrong(key, "the value is not \(noun)", fix: "give \(noun)")
    }
    return typed
  }

  private static func number(_ value: Any) -> Double? {
    (value as? Int).map { Double($0) } ?? value as? Double
  }
}

extension PreprocessingKeys {
  /// The keys of a JSON object; `nil` for other text.
  init?(json text: String) {
    guard let value = try? JSONDecoder().decode(JSONValue.self, from: Data(text.utf8)),
      let values = value.value as? [String: Any]
    else { return nil }
    self.values = values
  }

  /// Any value of JSON, as ``YAML`` has them.
  private struct JSONValue: Decodable {
    let value: Any

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if container.decodeNil() {
        value = YAML.Null()
      } else if let truth = try? container.decode(Bool.self) {
        value = truth
      } else if let whole = try? container.decode(Int.self) {
        value = whole
      } else if let number = try? container.decode(Double.self) {
        value = number
      } else if let text = try? container.decode(String.self) {
        value = text
      } else if let list = try? container.decode([JSONValue].self) {
        value = list.map(\.value)
      } else {
        value = try container.decode([String: JSONValue].self).mapValues(\.value)
      }
    }
  }
}
