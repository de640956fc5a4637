// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// The dictionary at the start of an npy file: a Python literal with exactly the keys `descr`,
/// `fortran_order` and `shape`, each once.
///
/// - Source: numpy.lib.format; everything that `ast.literal_eval` or NumPy rejects is rejected
///   here.
struct NPYHeader {
  let descr: String
  let isColumnMajor: Bool
  let shape: [Int]

  /// - Throws: `badInput` if the text is malformed, `unsupported` for arrays of records.
  init(parsing text: String) throws {
    var scanner = PythonScanner(text)
    var descr: String?
    var isColumnMajor: Bool?
    var shape: [Int]?
    try scanner.list("{", "}") { scanner in
      let key = try scanner.string()
      try scanner.expect(":")
      switch key {
      case "descr" where descr == nil:
        guard !scanner.isNext("[") && !scanner.isNext("(") else {
          throw SwiftletError(.unsupported, "npy: arrays of records are not supported")
        }
        descr = try scanner.string()
      case "fortran_order" where isColumnMajor == nil: isColumnMajor = try scanner.truth()
      case "shape" where shape == nil: shape = try Self.tuple(&scanner)
      default: throw PythonScanner.malformed
      }
    }
    try scanner.finish()
    guard let descr, let isColumnMajor, let shape else { throw PythonScanner.malformed }
    (self.descr, self.isColumnMajor, self.shape) = (descr, isColumnMajor, shape)
  }

  /// `()`, `(3,)`, `(3, 4)`; `(3)` is a number, not a tuple.
  private static func tuple(_ scanner: inout PythonScanner) throws -> [Int] {
    var extents: [Int] = []
    let endsInComma = try scanner.list("(", ")") { extents.append(try $0.natural()) }
    guard extents.count != 1 || endsInComma else { throw PythonScanner.malformed }
    return extents
  }
}

/// Reads the few Python literals that occur in headers.
private struct PythonScanner {
  static var malformed: SwiftletError {
    SwiftletError(.badInput, "npy: the header is malformed")
  }

  private var rest: Substring.UTF8View

  init(_ text: String) { rest = text[...].utf8 }

  private mutating func skipSpace() {
    rest = rest.drop { [0x20, 0x09, 0x0a].contains($0) }
  }

  mutating func isNext(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    return rest.first == UInt8(ascii: character)
  }

  mutating func expect(_ character: Unicode.Scalar) throws {
    guard isNext(character) else { throw Self.malformed }
    rest = rest.dropFirst()
  }

  /// Comma-separated items; a comma may follow the last item.
  ///
  /// - Returns: Whether it does.
  @discardableResult
  mutating func list(
    _ open: Unicode.Scalar, _ close: Unicode.Scalar,
    _ item: (inout PythonScanner) throws -> Void
  ) throws -> Bool {
    try expect(open)
    var endsInComma = false
    while !isNext(close) {
      try item(&self)
      endsInComma = isNext(",")
      if endsInComma { try expect(",") } else { break }
    }
    try expect(close)
    return endsInComma
  }

  /// A string without escapes.
  mutating func string() throws -> String {
    let quote: Unicode.Scalar = isNext("\"") ? "\"" : "'"
    try expect(quote)
    guard let end = rest.firstIndex(of: UInt8(ascii: quote)) else { throw Self.malformed }
    defer { rest = rest[rest.index(after: end)...] }
    guard !rest[..<end].contains(UInt8(ascii: "\\")), let text = String(rest[..<end]) else {
      throw Self.malformed
    }
    return text
  }

  mutating func truth() throws -> Bool {
    skipSpace()
    for (word, value) in [("True", true), ("False", false)] where rest.starts(with: word.utf8) {
      rest = rest.dropFirst(word.utf8.count)
      return value
    }
    throw Self.malformed
  }

  mutating func natural() throws -> Int {
    skipSpace()
    let digits = rest.prefix { 0x30...0x39 ~= $0 }
    guard let text = String(digits), let number = Int(text), text == "0" || !text.hasPrefix("0")
    else { throw Self.malformed }
    rest = rest.dropFirst(digits.count)
    return number
  }

  mutating func finish() throws {
    skipSpace()
    guard rest.isEmpty else { throw Self.malformed }
  }
}
