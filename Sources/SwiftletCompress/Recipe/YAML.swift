// SPDX-License-Identifier: Apache-2.0

internal import CLibYAML
import SwiftletCore

/// Reads YAML with libyaml: one document of mappings, sequences and scalars. Anchors, aliases and
/// tags are refused, and so is what nests deeper than recipes could need.
///
/// The package Yams is not used because it needs all of Foundation, for regular expressions and
/// dates. Linked statically, as programs in C get it, that is 58.5 MB (stripped; Swift 6.3.1,
/// x86-64) where FoundationEssentials, which protobuf needs, is 13.6 MB; libyaml has 0.1 MB.
package enum YAML {
  /// A scalar that is empty or `null`.
  package struct Null {}

  /// Documents nest no deeper.
  static let depthLimit = 32

  /// The document's value: `[String: Any]`, `[Any]`, `Int`, `Double`, `Bool`, `String` or ``Null``.
  ///
  /// - Throws: `badInput` naming the line.
  package static func parse(_ text: String) throws -> Any {
    var text = text
    return try text.withUTF8 { bytes in
      let reader = try unsafe YAMLReader(bytes)
      return try reader.document()
    }
  }

  /// What a plain scalar is in YAML's core schema, of numbers the decimal ones.
  fileprivate static func plain(_ text: String) -> Any {
    switch text {
    case "", "~", "null", "Null", "NULL": return Null()
    case "true", "True", "TRUE": return true
    case "false", "False", "FALSE": return false
    case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF": return Double.infinity
    case "-.inf", "-.Inf", "-.INF": return -Double.infinity
    case ".nan", ".NaN", ".NAN": return Double.nan
    default: break
    }
    // Swift's own numbers have names and hexadecimals besides.
    guard text.utf8.allSatisfy({ "0123456789+-.eE".utf8.contains($0) }) else { return text }
    if let number = Int(text) { return number }
    if let number = Double(text) { return number }
    return text
  }
}

/// The events of a document, and the values made of them.
@safe
private final class YAMLReader {
  private enum Event {
    case scalar(String, isPlain: Bool)
    case sequence, mapping, end
    case document, documentEnd, streamEnd
  }

  /// It points to itself, so it has a place of its own.
  private let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)

  /// - Parameter bytes: Must outlive the reader.
  init(_ bytes: UnsafeBufferPointer<UInt8>) throws {
    guard unsafe yaml_parser_initialize(parser) == 1 else {
      unsafe parser.deallocate()
      throw SwiftletError(.internal, "there is no memory to read YAML")
    }
    unsafe yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
    unsafe yaml_parser_set_input_string(parser, bytes.baseAddress, bytes.count)
  }

  deinit {
    unsafe yaml_parser_delete(parser)
    unsafe parser.deallocate()
  }

  func document() throws -> Any {
    guard case .document = try next() else { return YAML.Null() }
    let value = try value(next(), depth: 0)
    guard case .documentEnd = try next(), case .streamEnd = try next() else {
      throw wrong("a second document")
    }
    return value
  }

  private func value(_ event: Event, depth: Int) throws -> Any {
    guard depth < YAML.depthLimit else { throw wrong("it nests too deeply") }
    switch event {
    case .scalar(let text, let isPlain): return isPlain ? YAML.plain(text) : text
    case .sequence: return try sequence(depth: depth)
    case .mapping: return try mapping(depth: depth)
    case .end, .document, .documentEnd, .streamEnd: throw wrong("a value is missing")
    }
  }

  private func sequence(depth: Int) throws -> [Any] {
    var values: [Any] = []
    while true {
      let event = try next()
      if case .end = event { return values }
      values.append(try value(event, depth: depth + 1))
    }
  }

  private func mapping(depth: Int) throws -> [String: Any] {
    var values: [String: Any] = [:]
    while true {
      let event = try next()
      if case .end = event { return values }
      guard case .scalar(let key, _) = event else { throw wrong("a key is no text") }
      guard values[key] == nil else { throw wrong("'\(key)' is there twice") }
      values[key] = try value(next(), depth: depth + 1)
    }
  }

  private func next() throws -> Event {
    while true {
      var event = unsafe yaml_event_t()
      guard unsafe yaml_parser_parse(parser, &event) == 1 else {
        throw wrong(unsafe parser.pointee.problem.map { unsafe String(cString: $0) } ?? "no memory")
      }
      defer { unsafe yaml_event_delete(&event) }
      switch unsafe event.type {
      case YAML_STREAM_START_EVENT: continue
      case YAML_STREAM_END_EVENT, YAML_NO_EVENT: return .streamEnd
      case YAML_DOCUMENT_START_EVENT: return .document
      case YAML_DOCUMENT_END_EVENT: return .documentEnd
      case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: return .end
      case YAML_SEQUENCE_START_EVENT:
        let start = unsafe event.data.sequence_start
        try unsafe requireBare(start.anchor, start.tag)
        return .sequence
      case YAML_MAPPING_START_EVENT:
        let start = unsafe event.data.mapping_start
        try unsafe requireBare(start.anchor, start.tag)
        return .mapping
      case YAML_SCALAR_EVENT:
        let scalar = unsafe event.data.scalar
        try unsafe requireBare(scalar.anchor, scalar.tag)
        let bytes = unsafe UnsafeBufferPointer(start: scalar.value, count: scalar.length)
        return .scalar(
          unsafe String(decoding: bytes, as: UTF8.self),
          isPlain: unsafe scalar.style == YAML_PLAIN_SCALAR_STYLE)
      default: throw wrong("aliases are not supported")
      }
    }
  }

  private func requireBare(
    _ anchor: UnsafeMutablePointer<UInt8>?, _ tag: UnsafeMutablePointer<UInt8>?
  )
    throws
  {
    guard unsafe anchor == nil, unsafe tag == nil else {
      throw wrong("anchors and tags are not supported")
    }
  }

  /// A complaint about the place where the parser is.
  private func wrong(_ what: String) -> SwiftletError {
    let failed = unsafe parser.pointee.error != YAML_NO_ERROR
    let mark = unsafe failed ? parser.pointee.problem_mark : parser.pointee.mark
    return SwiftletError(
      .badInput, "this is no YAML that recipes are written in: \(what)",
      at: "line \(mark.line + 1)")
  }
}
