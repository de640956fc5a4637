// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Reads strict JSON (RFC 8259) incrementally, in place, without building a tree.
///
/// The caller requests the next expected element. Objects with duplicate keys, numbers other than
/// the requested natural numbers, invalid UTF-8 and text beyond the limits are rejected.
struct JSONScanner {
  static let nestingLimit = 64
  /// The total number of keys in all objects. It bounds the memory that a few bytes of text can
  /// request.
  static let keyLimit = 1_000_000

  private let bytes: [UInt8]
  private let end: Int
  private let file: String
  private var position: Int
  private var depth = 0
  private var keyCount = 0

  /// - Parameter range: The range of the text in `bytes`.
  init(_ bytes: [UInt8], in range: Range<Int>, file: String) {
    self.bytes = bytes
    self.file = file
    position = range.lowerBound
    end = range.upperBound
  }

  /// A `badInput` error at the current byte.
  func error(_ what: String) -> SwiftletError {
    SwiftletError(.badInput, what, at: "\(file), byte \(position)")
  }

  // MARK: Structure

  /// Reads an object. `member` is called after each key and must read its value.
  mutating func object(_ member: (inout JSONScanner, String) throws -> Void) throws {
    var keys: Set<String> = []
    try list(from: "{", to: "}") { scanner in
      let key = try scanner.string()
      scanner.keyCount += 1
      guard scanner.keyCount <= Self.keyLimit else {
        throw scanner.error("the JSON text has more than \(Self.keyLimit) keys")
      }
      guard keys.insert(key).inserted else {
        throw scanner.error("the key '\(key.prefix(80))' occurs twice")
      }
      try scanner.expect(":")
      try member(&scanner, key)
    }
  }

  /// Reads an array. `element` is called before each element and must read it.
  mutating func array(_ element: (inout JSONScanner) throws -> Void) throws {
    try list(from: "[", to: "]", element)
  }

  /// Checks that only white space is left.
  mutating func finish() throws {
    skipSpace()
    guard position == end else { throw error("there are bytes after the JSON text") }
  }

  private mutating func list(
    from open: Unicode.Scalar, to close: Unicode.Scalar,
    _ item: (inout JSONScanner) throws -> Void
  ) throws {
    try expect(open)
    depth += 1
    guard depth <= Self.nestingLimit else {
      throw error("the JSON text is nested deeper than \(Self.nestingLimit)")
    }
    if peek() == UInt8(ascii: close) {
      position += 1
    } else {
      repeat { try item(&self) } while try separator(or: close)
    }
    depth -= 1
  }

  /// Whether a comma follows rather than the end of the list.
  private mutating func separator(or close: Unicode.Scalar) throws -> Bool {
    let byte = peek()
    guard byte == UInt8(ascii: ",") || byte == UInt8(ascii: close) else {
      throw error("expected ',' or '\(close)'")
    }
    position += 1
    return byte == UInt8(ascii: ",")
  }

  // MARK: Values

  /// Reads a natural number, which consists of digits only.
  mutating func natural() throws -> Int {
    _ = peek()
    let start = position
    while position < end, "0"..."9" ~= Unicode.Scalar(bytes[position]) { position += 1 }
    let digits = String(decoding: bytes[start..<position], as: UTF8.self)
    guard let number = Int(digits), digits == "0" || digits.first != "0" else {
      throw error("expected a natural number below 2⁶³")
    }
    return number
  }

  /// Reads a string.
  mutating func string() throws -> String {
    try expect("\"")
    var text: [UInt8] = []
    while true {
      let start = position
      while position < end, bytes[position] >= 0x20, bytes[position] != UInt8(ascii: "\""),
        bytes[position] != UInt8(ascii: "\\")
      { position += 1 }
      text += bytes[start..<position]
      guard position < end, bytes[position] >= 0x20 else {
        throw error("a string is not terminated")
      }
      position += 1
      if bytes[position - 1] == UInt8(ascii: "\"") { break }
      text += String(try escape()).utf8
    }
    guard let string = String(validating: text, as: UTF8.self) else {
      throw error("a string is not valid UTF-8")
    }
    return string
  }

  /// Skips any value.
  mutating func skipValue() throws {
    switch peek().map(Unicode.Scalar.init) {
    case "{": try object { scanner, _ in try scanner.skipValue() }
    case "[": try array { try $0.skipValue() }
    case "\"": _ = try string()
    case "t": try word("true")
    case "f": try word("false")
    case "n": try word("null")
    default: try skipNumber()
    }
  }

  // MARK: Pieces

  private mutating func skipSpace() {
    while position < end {
      switch bytes[position] {
      case 0x20, 0x09, 0x0A, 0x0D: position += 1
      default: return
      }
    }
  }

  /// The next byte that is not white space.
  private mutating func peek() -> UInt8? {
    skipSpace()
    return position < end ? bytes[position] : nil
  }

  private mutating func expect(_ scalar: Unicode.Scalar) throws {
    guard peek() == UInt8(ascii: scalar) else { throw error("expected '\(scalar)'") }
    position += 1
  }

  private mutating func word(_ word: String) throws {
    guard bytes[position..<end].starts(with: word.utf8) else { throw error("expected a value") }
    position += word.utf8.count
  }

  /// Reads the rest of an escape sequence after the backslash.
  private mutating func escape() throws -> Unicode.Scalar {
    guard position < end else { throw error("a string is not terminated") }
    position += 1
    switch Unicode.Scalar(bytes[position - 1]) {
    case "\"": return "\""
    case "\\": return "\\"
    case "/": return "/"
    case "b": return "\u{8}"
    case "f": return "\u{C}"
    case "n": return "\n"
    case "r": return "\r"
    case "t": return "\t"
    case "u":
      let unit = try hexUnit()
      if let scalar = Unicode.Scalar(unit) { return scalar }
      guard bytes[position..<end].starts(with: "\\u".utf8) else { break }
      position += 2
      var units = [unit, try hexUnit()].makeIterator()
      var decoder = UTF16()
      if case .scalarValue(let scalar) = decoder.decode(&units) { return scalar }
    default: break
    }
    throw error("a string has an invalid escape")
  }

  /// Four hexadecimal digits.
  private mutating func hexUnit() throws -> UInt16 {
    let digits = bytes[position..<min(position + 4, end)]
    let values = digits.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
    guard values.count == 4 else { throw error("a string has an invalid escape") }
    position += 4
    return values.reduce(0) { $0 << 4 | UInt16($1) }
  }

  private mutating func skipNumber() throws {
    func digits() throws {
      let start = position
      while position < end, "0"..."9" ~= Unicode.Scalar(bytes[position]) { position += 1 }
      guard position > start else { throw error("expected a value") }
    }
    func accept(_ scalars: Unicode.Scalar...) -> Bool {
      guard position < end, scalars.contains(Unicode.Scalar(bytes[position])) else { return false }
      position += 1
      return true
    }
    _ = accept("-")
    if !accept("0") { try digits() }
    if accept(".") { try digits() }
    if accept("e", "E") {
      _ = accept("+", "-")
      try digits()
    }
  }
}
