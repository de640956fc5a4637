// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Rows of fields between separators, as RFC 4180 has them: fields in quotes may contain
/// separators, line ends and doubled quotes; lines end with LF or CRLF. Unlike there, blanks around
/// fields do not belong to them, unless quotes enclose them.
package enum DelimitedText {
  /// A row, and the line that it begins in, from 1.
  package struct Row {
    package let line: Int
    package let fields: [String]
  }

  /// The rows of a text; empty lines are left out.
  ///
  /// - Throws: `badInput` naming the line if a quote is not closed, or text follows a closing one.
  package static func rows(of text: String, separator: Unicode.Scalar, file: String) throws -> [Row]
  {
    var rows: [Row] = []
    var fields: [String] = []
    var field = String.UnicodeScalarView()
    var (line, start) = (1, 1)
    var isQuoted = false  // inside of quotes
    var wasQuoted = false  // after closing ones
    func invalid(_ what: String, _ line: Int) -> SwiftletError {
      SwiftletError(.badInput, "line \(line): \(what)", at: file)
    }
    func isBlank(_ scalar: Unicode.Scalar) -> Bool { scalar == " " || scalar == "\t" }
    func endField() {
      while !wasQuoted, let last = field.last, isBlank(last) { field.removeLast() }
      fields.append(String(field))
      field = String.UnicodeScalarView()
      wasQuoted = false
    }
    func endRow() {
      let isEmpty = fields.isEmpty && field.isEmpty && !wasQuoted
      if !isEmpty {
        endField()
        rows.append(Row(line: start, fields: fields))
      }
      fields = []
    }
    var scalars = text.unicodeScalars[...]
    if scalars.first == "\u{FEFF}" { scalars = scalars.dropFirst() }
    while let scalar = scalars.popFirst() {
      if isQuoted {
        if scalar == "\n" { line += 1 }
        if scalar != "\"" {
          field.append(scalar)
        } else if scalars.first == "\"" {
          field.append(scalars.removeFirst())
        } else {
          (isQuoted, wasQuoted) = (false, true)
        }
        continue
      }
      if scalar == "\r", scalars.isEmpty || scalars.first == "\n" { continue }
      switch scalar {
      case "\n":
        endRow()
        line += 1
        start = line
      case separator: endField()
      case _ where isBlank(scalar) && (field.isEmpty || wasQuoted): continue
      case "\"" where field.isEmpty && !wasQuoted: isQuoted = true
      case _ where wasQuoted: throw invalid("there is text after a closing quote", line)
      default: field.append(scalar)
      }
    }
    guard !isQuoted else { throw invalid("the quote is not closed", start) }
    endRow()
    return rows
  }
}
