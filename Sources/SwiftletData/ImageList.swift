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
    let isHeader = rows.first.map { isHeading($0.fields) } ?? false
    let folder = file.lastIndex(of: "/").map { String(file[...$0]) } ?? ""
    var (paths, words) = ([String](), [String]())
    for row in rows.dropFirst(isHeader ? 1 : 0) {
      guard row.fields.count == 2, row.fields.allSatisfy({ !$0.isEmpty }) else {
        throw SwiftletError(
          .badInput, "line \(row.line) is not a path and a label", at: file,
          mend: "write PATH\(isTabbed ? "<tab>" : ",")LABEL; quote paths with commas")
      }
      let path = row.fields[0].hasPrefix("/") ? row.fields[0] : folder + row.fields[0]
      guard InputFile.exists(path) else {
        throw SwiftletError(
          .io, "the picture of line \(row.line) does not exist: \(path)", at: file,
          mend: "write paths relative to the list's folder")
      }
      paths.append(path)
      words.append(row.fields[1])
    }
    let (labels, names) = try numbered(words, file)
    return try ImageDataset(
      name: file, files: ImageFiles(paths), labels: labels,
      classCount: names?.count ?? (labels.max() ?? -1) + 1, classNames: names)
  }

  private static func isHeading(_ fields: [String]) -> Bool {
    guard fields.count == 2 else { return false }
    return ["path", "file", "filename", "image", "image_path"].contains(fields[0].lowercased())
      && ["label", "class", "target", "category"].contains(fields[1].lowercased())
  }

  private static func numbered(
    _ words: [String], _ file: String
  ) throws -> (labels: [Int], names: [String]?) {
    let numbers = words.compactMap { Int($0) }
    guard numbers.count == words.count else {
      let names = Set(words).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
      let places = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, $0) })
      return (words.map { places[$0]! }, names)
    }
    if let wrong = numbers.first(where: { !(0..<1 << 20 ~= $0) }) {
      throw SwiftletError(
        .badInput, "the label \(wrong) is not a number from 0 to \((1 << 20) - 1)", at: file)
    }
    return (numbers, nil)
  }
}
