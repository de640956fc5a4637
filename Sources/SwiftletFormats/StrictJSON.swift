import SwiftletCore

/// A JSON text in which every key is seen: unlike common decoders, this one refuses duplicate keys,
/// which have been used to make two readers see two different files.
enum StrictJSON: Equatable {
  case object([String: StrictJSON])
  case array([StrictJSON])
  case string(String)
  /// A number without fraction and exponent that fits in `Int`.
  case integer(Int)
  /// Any other number; nothing here needs its value.
  case number
  case bool(Bool)
  case null

  static let nestingLimit = 64

  /// - Throws: `badInput` with the byte offset for anything that RFC 8259 does not allow, for
  ///   duplicate keys, and for nesting beyond ``nestingLimit``.
  init(parsing bytes: Span<UInt8>) throws {
    var parser = Parser(bytes: bytes)
    self = try parser.value(depth: 0)
    parser.skipSpace()
    guard parser.position == bytes.count else { throw parser.error("text after the end") }
  }

  private struct Parser: ~Escapable {
    let bytes: Span<UInt8>
    var position = 0

    @_lifetime(copy bytes)
    init(bytes: Span<UInt8>) { self.bytes = bytes }

    func error(_ what: String) -> SwiftletError {
      SwiftletError(.badInput, "JSON: \(what)", at: "byte \(position)")
    }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    @_lifetime(self: copy self)
    mutating func skipSpace() {
      while let byte = next, [0x20, 0x09, 0x0a, 0x0d].contains(byte) { position += 1 }
    }

    @_lifetime(self: copy self)
    private mutating func take(_ byte: Character) throws {
      guard next == byte.asciiValue else { throw error("expected '\(byte)'") }
      position += 1
    }

    @_lifetime(self: copy self)
    private mutating func takeIf(_ byte: Character) -> Bool {
      guard next == byte.asciiValue else { return false }
      position += 1
      return true
    }

    @_lifetime(self: copy self)
    mutating func value(depth: Int) throws -> StrictJSON {
      guard depth < StrictJSON.nestingLimit else { throw error("nested too deeply") }
      skipSpace()
      switch next.map({ Character(UnicodeScalar($0)) }) {
      case "{": return try object(depth)
      case "[": return try array(depth)
      case "\"": return .string(try string())
      case "t": return try word("true", .bool(true))
      case "f": return try word("false", .bool(false))
      case "n": return try word("null", .null)
      default: return try number()
      }
    }

    @_lifetime(self: copy self)
    private mutating func object(_ depth: Int) throws -> StrictJSON {
      try take("{")
      var members: [String: StrictJSON] = [:]
      skipSpace()
      if takeIf("}") { return .object(members) }
      while true {
        skipSpace()
        let key = try string()
        skipSpace()
        try take(":")
        let member = try value(depth: depth + 1)
        guard members.updateValue(member, forKey: key) == nil else {
          throw error("duplicate key '\(key)'")
        }
        skipSpace()
        if takeIf("}") { return .object(members) }
        try take(",")
      }
    }

    @_lifetime(self: copy self)
    private mutating func array(_ depth: Int) throws -> StrictJSON {
      try take("[")
      var elements: [StrictJSON] = []
      skipSpace()
      if takeIf("]") { return .array(elements) }
      while true {
        elements.append(try value(depth: depth + 1))
        skipSpace()
        if takeIf("]") { return .array(elements) }
        try take(",")
      }
    }

    @_lifetime(self: copy self)
    private mutating func word(_ word: String, _ value: StrictJSON) throws -> StrictJSON {
      for character in word { try take(character) }
      return value
    }

    @_lifetime(self: copy self)
    private mutating func number() throws -> StrictJSON {
      let start = position
      _ = takeIf("-")
      let digitsStart = position
      skipDigits()
      let digits = position - digitsStart
      guard digits > 0, digits == 1 || bytes[digitsStart] != UInt8(ascii: "0") else {
        throw error("expected a value")
      }
      var isInteger = true
      if takeIf(".") {
        isInteger = false
        try requireDigits()
      }
      if takeIf("e") || takeIf("E") {
        isInteger = false
        if !takeIf("+") { _ = takeIf("-") }
        try requireDigits()
      }
      guard isInteger else { return .number }
      var text = ""
      for i in start..<position { text.unicodeScalars.append(UnicodeScalar(bytes[i])) }
      return Int(text).map(StrictJSON.integer) ?? .number
    }

    @_lifetime(self: copy self)
    private mutating func skipDigits() {
      while let byte = next, UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte { position += 1 }
    }

    @_lifetime(self: copy self)
    private mutating func requireDigits() throws {
      let start = position
      skipDigits()
      guard position > start else { throw error("expected a digit") }
    }

    @_lifetime(self: copy self)
    private mutating func string() throws -> String {
      try take("\"")
      var text: [UInt8] = []
      while let byte = next {
        position += 1
        switch byte {
        case UInt8(ascii: "\""):
          guard let string = String(validating: text, as: UTF8.self) else {
            throw error("a string is not UTF-8")
          }
          return string
        case UInt8(ascii: "\\"): text += Array(String(try escape()).utf8)
        case ..<0x20: throw error("a control character in a string")
        default: text.append(byte)
        }
      }
      throw error("a string without an end")
    }

    @_lifetime(self: copy self)
    private mutating func escape() throws -> UnicodeScalar {
      guard let byte = next else { throw error("a string without an end") }
      position += 1
      switch UnicodeScalar(byte) {
      case "\"": return "\""
      case "\\": return "\\"
      case "/": return "/"
      case "b": return "\u{8}"
      case "f": return "\u{c}"
      case "n": return "\n"
      case "r": return "\r"
      case "t": return "\t"
      case "u":
        let unit = try hexUnit()
        if let scalar = UnicodeScalar(unit) { return scalar }
        // The first half of a surrogate pair: the second must follow.
        guard 0xd800..<0xdc00 ~= unit, takeIf("\\"), takeIf("u") else {
          throw error("half a surrogate pair")
        }
        let low = try hexUnit()
        guard 0xdc00..<0xe000 ~= low,
          let scalar = UnicodeScalar(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00))
        else { throw error("half a surrogate pair") }
        return scalar
      default: throw error("an unknown escape")
      }
    }

    @_lifetime(self: copy self)
    private mutating func hexUnit() throws -> UInt32 {
      var unit: UInt32 = 0
      for _ in 0..<4 {
        guard let byte = next, let digit = Character(UnicodeScalar(byte)).hexDigitValue else {
          throw error("four hexadecimal digits are missing")
        }
        unit = unit << 4 | UInt32(digit)
        position += 1
      }
      return unit
    }
  }
}
