// SPDX-License-Identifier: Apache-2.0

import Swiftlet

/// The settings of techniques as help text, generated from their declarations.
enum SettingsText {
  private static let width = 78

  /// One line for each technique.
  static var summaries: String {
    Technique.allCases.map { technique in
      let name = technique.rawValue
      return indented(
        technique.summary,
        first: "  \(name)\(String(repeating: " ", count: max(1, 10 - name.count)))",
        rest: String(repeating: " ", count: 12))
    }.joined(separator: "\n")
  }

  /// The options of each technique; common ones are listed once.
  static var options: String {
    var rows: [(techniques: [Technique], options: [String])] = []
    for setting in SettingsReference.groups.flatMap(\.settings) {
      let owners = Technique.allCases.filter { technique in
        technique.settings.contains { $0.name == setting.name }
      }
      if let row = rows.firstIndex(where: { $0.techniques == owners }) {
        if !rows[row].options.contains(setting.option) { rows[row].options.append(setting.option) }
      } else {
        rows.append((owners, [setting.option]))
      }
    }
    let order = rows.enumerated().sorted { a, b in
      (-a.element.techniques.count, a.offset) < (-b.element.techniques.count, b.offset)
    }
    return order.map(\.element).map { row in
      let names =
        row.techniques == Technique.allCases
        ? "all" : row.techniques.map(\.rawValue).joined(separator: ", ")
      return indented(
        row.options.joined(separator: " "), first: "  \(names): ", rest: "    ")
    }.joined(separator: "\n")
  }

  /// All settings with explanations, for `swiftlet help techniques`.
  static var all: String {
    SettingsReference.groups.map { group in
      let heads = group.techniques.map { technique in
        indented(technique.summary, first: "\(technique.rawValue): ", rest: "  ")
      }
      return (heads + [""] + group.settings.map(details)).joined(separator: "\n")
    }.joined(separator: "\n\n")
  }

  private static func details(_ setting: SettingDescription) -> String {
    let synopsis =
      setting.kind == .truth
      ? "\(setting.option), \(setting.negation)"
      : "\(setting.option) <\(setting.valueName)>"
    let facts =
      (setting.kind == .truth ? [] : [setting.domain])
      + (setting.defaultText.map { ["default: \($0)"] } ?? [])
    let others =
      setting.aliases.map { SettingDescription.option($0) }
      + setting.shorthands.map { shorthand in
        let value = setting.kind == .truth ? "" : " for \(setting.option) \(shorthand.value.text)"
        let isOff = shorthand.value == .truth(false)
        return SettingDescription.option(shorthand.name)
          + (isOff ? " for \(setting.negation)" : value)
      }
    let also = others.isEmpty ? [] : ["also \(others.joined(separator: ", "))"]
    let notes = (facts + also).joined(separator: "; ")
    return indented(synopsis, first: "  ", rest: "      ") + "\n"
      + indented(
        setting.sentence + (notes.isEmpty ? "" : " (\(notes))"), first: "      ", rest: "      ")
  }

  /// A paragraph, wrapped and indented.
  static func indented(_ text: String, first: String, rest: String) -> String {
    var lines: [String] = []
    var line = first
    var isEmpty = true
    for word in text.split(separator: " ") {
      if !isEmpty, line.count + 1 + word.count > width {
        lines.append(line)
        (line, isEmpty) = (rest, true)
      }
      line += isEmpty ? "\(word)" : " \(word)"
      isEmpty = false
    }
    return (lines + [line]).joined(separator: "\n")
  }
}
