import SwiftletCore

/// Reads the part of YAML that recipes are written in: mappings and sequences in blocks or in
/// brackets, plain and quoted scalars, comments. No anchors, tags, block scalars or several documents:
/// these are refused. A library for all of YAML brings Foundation with it, which is larger than the
/// rest of Swiftlet.
///
/// Values are `[String: Any]`, `[Any]`, `Int`, `Double`, `Bool`, `String` or ``Null``.
///
/// - Source: YAML 1.2.2, core schema.
package struct YAML {
  package struct Null {}

  private struct Line {
    let number: Int
    let indent: Int
    var text: Substring
  }

  private var lines: [Line] = []
  private var position = 0
  /// Documents nest no deeper.
  private static let depthLimit = 32

  /// - Throws: `badInput` naming the line.
  package static func parse(_ text: String) throws -> Any {
    var yaml = try YAML(text)
    guard let first = yaml.lines.first else { return Null() }
    let value = try yaml.block(indent: first.indent, depth: 0)
    if yaml.position < yaml.lines.count { throw yaml.wrong("the indentation does not fit") }
    return value
  }

  private init(_ text: String) throws {
    var number = 0
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      number += 1
      var line = line.last == "\r" ? line.dropLast() : line
      if line.first == "\u{FEFF}" && number == 1 { line = line.dropFirst() }
      let content = line.drop { $0 == " " }
      if content.first == "\t" {
        throw SwiftletError(
          .badInput, "this is no YAML: a tab in the indentation", at: "line \(number)")
      }
      let bare = Self.withoutComment(content)
      if bare.isEmpty || number == 1 && bare == "---" { continue }
      lines.append(Line(number: number, indent: line.count - content.count, text: bare))
    }
  }

  private func wrong(_ what: String) -> SwiftletError {
    let number = lines.indices.contains(position) ? lines[position].number : lines.last?.number ?? 1
    return SwiftletError(
      .badInput, "this is no YAML that recipes are written in: \(what)", at: "line \(number)")
  }

  /// The text without a comment and the blanks before it.
  private static func withoutComment(_ text: Substring) -> Substring {
    var quote: Character?
    var previous: Character = " "
    var end = text.endIndex
    for index in text.indices {
      let character = text[index]
      if let open = quote {
        if character == open && previous != "\\" { quote = nil }
      } else if character == "#" && previous == " " {
        end = index
        break
      } else if (character == "\"" || character == "'") && " [{,:".contains(previous) {
        quote = character
      }
      previous = character
    }
    var result = text[..<end]
    while let last = result.last, last == " " || last == "\t" { result = result.dropLast() }
    return result
  }

  // MARK: Blocks

  /// The mapping, sequence or scalar that starts at the current line.
  private mutating func block(indent: Int, depth: Int) throws -> Any {
    guard depth < Self.depthLimit else { throw wrong("it nests too deeply") }
    let text = lines[position].text
    if text == "-" || text.hasPrefix("- ") { return try sequence(indent: indent, depth: depth) }
    if Self.key(text) != nil { return try mapping(indent: indent, depth: depth) }
    return try flow(depth: depth)
  }

  private mutating func sequence(indent: Int, depth: Int) throws -> [Any] {
    var values: [Any] = []
    while position < lines.count, lines[position].indent == indent,
      lines[position].text == "-" || lines[position].text.hasPrefix("- ")
    {
      let rest = lines[position].text.dropFirst().drop { $0 == " " }
      if rest.isEmpty {
        values.append(try nested(deeperThan: indent, depth: depth))
      } else {
        // What follows the dash is a block that starts in its own column.
        let own = indent + lines[position].text.count - rest.count
        lines[position] = Line(number: lines[position].number, indent: own, text: rest)
        values.append(try block(indent: own, depth: depth + 1))
      }
    }
    return values
  }

  private mutating func mapping(indent: Int, depth: Int) throws -> [String: Any] {
    var values: [String: Any] = [:]
    while position < lines.count, lines[position].indent == indent {
      guard let (key, rest) = Self.key(lines[position].text) else {
        throw wrong("a key is missing")
      }
      guard values[key] == nil else { throw wrong("'\(key)' is there twice") }
      if rest.isEmpty {
        let next = position + 1
        // A sequence may stand below its key without indentation.
        let isSequence =
          next < lines.count && lines[next].indent == indent
          && (lines[next].text == "-" || lines[next].text.hasPrefix("- "))
        if isSequence {
          position = next
          values[key] = try sequence(indent: indent, depth: depth + 1)
        } else {
          values[key] = try nested(deeperThan: indent, depth: depth)
        }
      } else {
        lines[position].text = rest
        values[key] = try flow(depth: depth + 1)
      }
    }
    return values
  }

  /// What stands in the lines below this one, further to the right.
  private mutating func nested(deeperThan indent: Int, depth: Int) throws -> Any {
    position += 1
    guard position < lines.count, lines[position].indent > indent else { return Null() }
    let own = lines[position].indent
    return try block(indent: own, depth: depth + 1)
  }

  /// A key with what follows it on its line.
  private static func key(_ text: Substring) -> (String, Substring)? {
    guard let first = text.first, !"[{\"'#&*!|>%@`".contains(first) else { return nil }
    var previous: Character = " "
    for index in text.indices {
      let next = text.index(after: index)
      if text[index] == ":" && (next == text.endIndex || text[next] == " ") {
        let rest = text[next...].drop { $0 == " " }
        return previous == " " ? nil : (String(text[..<index]), rest)
      }
      previous = text[index]
    }
    return nil
  }

  // MARK: Brackets and scalars

  /// The rest of the current line, and as many lines more as open brackets need.
  private mutating func flow(depth: Int) throws -> Any {
    var text = lines[position].text
    var reader = FlowReader(text)
    while try reader.isOpen() && position + 1 < lines.count {
      position += 1
      text = text + " " + lines[position].text
      reader = FlowReader(text)
    }
    let value: Any
    do { value = try reader.document(depth: depth, Self.depthLimit) } catch let error
      as FlowReader.Failure
    {
      throw wrong(error.what)
    }
    position += 1
    return value
  }
}

/// Reads values in brackets, and scalars.
private struct FlowReader {
  struct Failure: Error { let what: String }

  private var rest: Substring

  init(_ text: Substring) { rest = text }

  /// Whether brackets are opened that are not closed.
  func isOpen() throws -> Bool {
    guard let first = rest.first, first == "[" || first == "{" else { return false }
    var depth = 0
    var quote: Character?
    for character in rest {
      if let open = quote {
        if character == open { quote = nil }
      } else if character == "\"" || character == "'" {
        quote = character
      } else if character == "[" || character == "{" {
        depth += 1
      } else if character == "]" || character == "}" {
        depth -= 1
      }
    }
    return depth > 0
  }

  mutating func document(depth: Int, _ limit: Int) throws -> Any {
    let value = try value(depth: depth, limit, isInBrackets: false)
    skipBlanks()
    guard rest.isEmpty else { throw Failure(what: "'\(rest)' is left over") }
    return value
  }

  private mutating func skipBlanks() { rest = rest.drop { $0 == " " || $0 == "\t" } }

  private mutating func value(depth: Int, _ limit: Int, isInBrackets: Bool) throws -> Any {
    guard depth < limit else { throw Failure(what: "it nests too deeply") }
    skipBlanks()
    switch rest.first {
    case nil: throw Failure(what: "a value is missing")
    case "[": return try list(depth: depth, limit)
    case "{": return try map(depth: depth, limit)
    case "\"", "'": return try quoted()
    case let first? where "&*!|>%@`".contains(first):
      throw Failure(what: "'\(first)' is not supported at the start of a value")
    default: return Self.scalar(plain(isInBrackets: isInBrackets))
    }
  }

  private mutating func list(depth: Int, _ limit: Int) throws -> [Any] {
    rest = rest.dropFirst()
    var values: [Any] = []
    while try !closes("]") {
      values.append(try value(depth: depth + 1, limit, isInBrackets: true))
      try separator("]")
    }
    return values
  }

  private mutating func map(depth: Int, _ limit: Int) throws -> [String: Any] {
    rest = rest.dropFirst()
    var values: [String: Any] = [:]
    while try !closes("}") {
      let key = rest.first == "\"" || rest.first == "'" ? try quoted() : plain(isInBrackets: true)
      skipBlanks()
      guard rest.first == ":" else { throw Failure(what: "':' is missing after '\(key)'") }
      rest = rest.dropFirst()
      guard values[key] == nil else { throw Failure(what: "'\(key)' is there twice") }
      values[key] = try value(depth: depth + 1, limit, isInBrackets: true)
      try separator("}")
    }
    return values
  }

  private mutating func closes(_ bracket: Character) throws -> Bool {
    skipBlanks()
    guard let first = rest.first else { throw Failure(what: "'\(bracket)' is missing") }
    guard first == bracket else { return false }
    rest = rest.dropFirst()
    return true
  }

  private mutating func separator(_ bracket: Character) throws {
    skipBlanks()
    if rest.first == "," {
      rest = rest.dropFirst()
    } else if rest.first != bracket {
      throw Failure(what: "',' or '\(bracket)' is missing")
    }
  }

  private mutating func quoted() throws -> String {
    let quote = rest.removeFirst()
    var text = ""
    while let character = rest.popFirst() {
      if character == quote {
        // A single quote is written twice.
        guard quote == "'", rest.first == "'" else { return text }
        text.append(rest.removeFirst())
      } else if character == "\\" && quote == "\"" {
        let escapes: [Character: Character] = [
          "\\": "\\", "\"": "\"", "/": "/", "n": "\n", "t": "\t",
        ]
        guard let next = rest.popFirst(), let meant = escapes[next] else {
          throw Failure(what: "an escape is not supported")
        }
        text.append(meant)
      } else {
        text.append(character)
      }
    }
    throw Failure(what: "a quote is not closed")
  }

  private mutating func plain(isInBrackets: Bool) -> String {
    var end = rest.endIndex
    for index in rest.indices {
      let next = rest.index(after: index)
      let character = rest[index]
      let endsKey = character == ":" && (next == rest.endIndex || rest[next] == " ")
      if isInBrackets && (",[]{}".contains(character) || endsKey) {
        end = index
        break
      }
    }
    var text = rest[..<end]
    rest = rest[end...]
    while let last = text.last, last == " " || last == "\t" { text = text.dropLast() }
    return String(text)
  }

  /// What a plain scalar is in the core schema.
  private static func scalar(_ text: String) -> Any {
    switch text {
    case "", "~", "null", "Null", "NULL": return YAML.Null()
    case "true", "True", "TRUE": return true
    case "false", "False", "FALSE": return false
    case ".inf", ".Inf", "+.inf": return Double.infinity
    case "-.inf", "-.Inf": return -Double.infinity
    case ".nan", ".NaN": return Double.nan
    default: break
    }
    guard text.utf8.allSatisfy({ "0123456789+-.eE".utf8.contains($0) }),
      text.utf8.contains(where: { 48...57 ~= $0 })
    else { return text }
    if let number = Int(text) { return number }
    if let number = Double(text) { return number }
    return text
  }
}
