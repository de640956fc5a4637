// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFiles
import SwiftletFormats

/// A file that lists pictures and their classes: `path,label` in each line of a CSV file, or with
/// a tab between them in a `.tsv`. Paths are relative to the file's folder. Labels are numbers from
/// 0, or names, which are numbered in their order. A first line `path,label` is a header.
enum ImageList {
  /// - Throws: `io` if the file cannot be read or lists one that does not exist; `badInput` naming
  ///   the line that is not a path and a label.
  static func load(_ file: String) throws -> ImageDataset {
    let bytes = try InputFile.read(file)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw SwiftletError(.badInput, "the list is not UTF-8 text", at: file)
    }
    let isTabbed = file.lowercased().hasSuffix(".tsv")
    let rows = try DelimitedText.rows(of: text, separator: isTabbed ? "\t" : ",", file: file)
    let entries = rows.first.map { isHeading($0.fields) } == true ? Array(rows.dropFirst()) : rows
    let folder = file.lastIndex(of: "/").map { String(file[...$0]) } ?? ""
    var (paths, words) = ([String](), [String]())
    for row in entries {
      guard row.fields.count == 2, row.fields.allSatisfy({ !$0.isEmpty }) else {
        throw SwiftletError(
          .badInput, "line \(row.line) is not a path and a label", at: file,
          fix: "write PATH\(isTabbed ? "<tab>" : ",")LABEL; quote paths with commas")
      }
      let path = row.fields[0].hasPrefix("/") ? row.fields[0] : folder + row.fields[0]
      guard InputFile.exists(path) else {
        throw SwiftletError(
          .io, "the picture of line \(row.line) does not exist: \(path)", at: file,
          fix: "write paths relative to the list's folder")
      }
      paths.append(path)
      words.append(row.fields[1])
    }
    let (labels, names) = try numbered(words, entries, file)
    return try ImageDataset(
      name: file, files: ImageFiles(paths), labels: labels,
      classCount: names?.count ?? (labels.max() ?? -1) + 1, classNames: names)
  }

  private static func isHeading(_ fields: [String]) -> Bool {
    guard fields.count == 2 else { return false }
    return ["path", "file", "filename", "image", "image_path"].contains(fields[0].lowercased())
      && ["label", "class", "target", "category"].contains(fields[1].lowercased())
  }

  /// Labels as numbers, and the names that they stand for, if they are names.
  private static func numbered(
    _ words: [String], _ rows: [DelimitedText.Row], _ file: String
  ) throws -> (labels: [Int], names: [String]?) {
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
