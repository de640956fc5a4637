// SPDX-License-Identifier: Apache-2.0

internal import CLibYAML
import SwiftletCore

/// A YAML reader based on libyaml: one document of mappings, sequences and scalars. Anchors,
/// aliases and tags are refused, and so is deep nesting.
///
/// The package Yams is not used because it needs all of Foundation, for regular expressions and
/// dates: statically linked, as in programs written in C, 58.5 MB (stripped; Swift 6.3.1, x86-64).
/// FoundationEssentials, which protobuf needs anyway, takes 13.6 MB, libyaml 0.1 MB.
package enum YAML {
  /// The value of an empty or `null` scalar.
  package struct Null {
    package init() {}
  }

  /// Maximum nesting depth.
  static let depthLimit = 32

  /// Parses a document. Values are `[String: Any]`, `[Any]`, `Int`, `Double`, `Bool`, `String` or
  /// ``Null``.
  ///
  /// - Throws: `badInput` naming the line.
  package static func parse(_ text: String) throws -> Any {
    var text = text
    return try text.withUTF8 { bytes in
      let reader = try unsafe YAMLReader(bytes)
      return try reader.document()
    }
  }

  /// The value of a plain scalar in YAML's core schema; only decimal numbers are supported.
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
    // Swift would also accept names such as "infinity", and hexadecimal numbers.
    guard text.utf8.allSatisfy({ "0123456789+-.eE".utf8.contains($0) }) else { return text }
    if let number = Int(text) { return number }
    if let number = Double(text) { return number }
    return text
  }
}

/// Turns the parser's events into values.
@safe
private final class YAMLReader {
  /// A parser event.
  private enum Event {
    case scalar(String, isPlain: Bool)
    case sequence, mapping, end
    case document, documentEnd, streamEnd
  }

  /// The parser contains pointers to itself, so it must not move.
  private let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)

  /// - Parameter bytes: Must outlive the reader.
  init(_ bytes: UnsafeBufferPointer<UInt8>) throws {
    guard unsafe yaml_parser_initialize(parser) == 1 else {
      unsafe parser.deallocate()
      throw SwiftletError(.internal, "out of memory while reading YAML")
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
    guard depth < YAML.depthLimit else { throw wrong("nested too deeply") }
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
      guard case .scalar(let key, _) = event else { throw wrong("a key is not a scalar") }
      guard values[key] == nil else { throw wrong("duplicate key '\(key)'") }
      values[key] = try value(next(), depth: depth + 1)
    }
  }

  private func next() throws -> Event {
    while true {
      var event = unsafe yaml_event_t()
      guard unsafe yaml_parser_parse(parser, &event) == 1 else {
        throw wrong(
          unsafe parser.pointee.problem.map { unsafe String(cString: $0) } ?? "out of memory")
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

  /// An error at the parser's position.
  private func wrong(_ what: String) -> SwiftletError {
    let failed = unsafe parser.pointee.error != YAML_NO_ERROR
    let mark = unsafe failed ? parser.pointee.problem_mark : parser.pointee.mark
    return SwiftletError(
      .badInput, "invalid YAML: \(what)",
      at: "line \(mark.line + 1)")
  }
}
