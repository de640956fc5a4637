// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFiles
import SwiftletFormats

/// A file that lists pictures and their classes: `path,label` in each line of a CSV file, or with
/// a tab between them in a `.tsv`; without labels, `path`. Paths are relative to the file's folder.
/// Labels are numbers from 0, or names, which are numbered in their order. A first line
/// `path,label` is a header.
struct ImageList {
  private let file: String
  private let rows: [DelimitedText.Row]
  /// Whether the list has labels.
  let hasLabels: Bool

  /// - Throws: `io` if the file cannot be read; `badInput` naming the line that is not a path and a
  ///   label, or not a path alone if the first one is that.
  init(reading file: String) throws {
    let bytes = try InputFile.read(file)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw SwiftletError(.badInput, "the list is not UTF-8 text", at: file)
    }
    let isTabbed = file.lowercased().hasSuffix(".tsv")
    let all = try DelimitedText.rows(of: text, separator: isTabbed ? "\t" : ",", file: file)
    let rows = all.first.map { Self.isHeading($0.fields) } == true ? Array(all.dropFirst()) : all
    let columns = rows.first.map { $0.fields.count == 1 ? 1 : 2 } ?? 2
    if let odd = rows.first(where: { row in
      row.fields.count != columns || row.fields.contains(where: \.isEmpty)
    }) {
      let others = odd.line == rows[0].line ? "" : ", as the first one is"
      throw SwiftletError(
        .badInput,
        "line \(odd.line) is not a path" + (columns == 1 ? " alone" : " and a label") + others,
        at: file,
        fix: "write PATH\(isTabbed ? "<tab>" : ",")LABEL in all lines, or PATH in all; quote paths "
          + "with \(isTabbed ? "tabs" : "commas")")
    }
    (self.file, self.rows, hasLabels) = (file, rows, columns == 2)
  }

  /// The pictures.
  ///
  /// - Parameter isLenient: Whether files may be missing.
  /// - Throws: `io` if a file does not exist; `badInput` naming the line of a wrong label.
  func load(isLenient: Bool) throws -> ImageDataset {
    let folder = file.lastIndex(of: "/").map { String(file[...$0]) } ?? ""
    let paths = try rows.map { row in
      let path = row.fields[0].hasPrefix("/") ? row.fields[0] : folder + row.fields[0]
      guard isLenient || InputFile.exists(path) else {
        throw SwiftletError(
          .io, "the picture of line \(row.line) does not exist: \(path)", at: file,
          fix: "write paths relative to the list's folder, or leave out such pictures with "
            + "--skip-damaged")
      }
      return path
    }
    let (labels, names) = hasLabels ? try numbered(rows.map { $0.fields[1] }) : ([], nil)
    return try ImageDataset(
      name: file, files: ImageFiles(paths), labels: labels,
      classCount: names?.count ?? (labels.max() ?? -1) + 1, classNames: names)
  }

  private static func isHeading(_ fields: [String]) -> Bool {
    guard let first = fields.first, fields.count <= 2 else { return false }
    return ["path", "file", "filename", "image", "image_path"].contains(first.lowercased())
      && fields.dropFirst().allSatisfy {
        ["label", "class", "target", "category"].contains($0.lowercased())
      }
  }

  /// Labels as numbers, and the names that they stand for, if they are names.
  private func numbered(_ words: [String]) throws -> (labels: [Int], names: [String]?) {
    let numbers = words.map { Int($0) }
    guard numbers.contains(where: { $0 == nil }) else {
      if let index = numbers.firstIndex(where: { !(0..<1 << 20 ~= $0!) }) {
        throw SwiftletError(
          .badInput,
          "the label \(words[index]) of line \(rows[index].line) is not from 0 to \((1 << 20) - 1)",
          at: file)
      }
      return (numbers.map { $0! }, nil)
    }
    // Names would put 10 before 2, which nobody means.
    if let index = words.firstIndex(where: { Double($0) != nil }) {
      let odd = words.firstIndex { Int($0) == nil }!
      let place = Int(words[index]) == nil ? index : odd
      throw SwiftletError(
        .badInput,
        "the label '\(words[place])' of line \(rows[place].line) is not a whole number, but others "
          + "are numbers", at: file, fix: "write all labels as numbers from 0, or all as names")
    }
    let names = Set(words).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    let places = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, $0) })
    return (words.map { places[$0]! }, names)
  }
}
