// SPDX-License-Identifier: Apache-2.0

/// The reference of all settings, generated from their declarations; `swiftlet help techniques` and
/// docs/settings.md show it.
public enum SettingsReference {
  /// Techniques with the same settings, in the order of ``Technique/allCases``, and those settings.
  public static var groups: [(techniques: [Technique], settings: [SettingDescription])] {
    Technique.allCases.reduce(into: []) { groups, technique in
      if let last = groups.indices.last, groups[last].settings == technique.settings {
        groups[last].techniques.append(technique)
      } else {
        groups.append(([technique], technique.settings))
      }
    }
  }

  /// The content of docs/settings.md.
  public static var markdown: String {
    let head = """
      # Settings

      <!-- Written by `swiftlet help settings > docs/settings.md`; a test compares it with the code. -->

      Each setting has one name: `learningRate` in recipes is `--learning-rate` on the command
      line, where it applies to every given technique that has it. True and false are `--flip` and
      `--no-flip`. Lists are `[a, b]` in recipes; on the command line, names of layers repeat the
      option (`--keep a --keep b`), and other lists are separated by commas
      (`--precisions fp32,int8`). Names from earlier versions still work. A setting that no given
      technique has, or that does nothing with the other settings, is an error.

      """
    let summaries = Technique.allCases.map { "- `\($0.rawValue)` \($0.summary)" }
    return ([head] + summaries + groups.flatMap(section)).joined(separator: "\n") + "\n"
  }

  private static func section(
    _ group: (techniques: [Technique], settings: [SettingDescription])
  ) -> [String] {
    let names = group.techniques.map(\.rawValue).joined(separator: ", ")
    return [
      "", "## \(names)", "", "| key and option | values | default | |", "|---|---|---|---|",
    ] + group.settings.map(row)
  }

  private static func row(_ setting: SettingDescription) -> String {
    let aliases =
      setting.aliases.map { "`\($0)` `\(SettingDescription.option($0))`" }
      + setting.keyAliases.map { "`\($0)`" }
      + setting.shorthands.map {
        "`\(SettingDescription.option($0.name))` for \($0.value.text)"
      }
    let help = setting.help + (aliases.isEmpty ? "" : " (also \(aliases.joined(separator: ", ")))")
    let fallback = setting.defaultText ?? (setting.kind == .truth ? "false" : "none")
    return "| `\(setting.name)` `\(setting.option)` | \(setting.domain) | "
      + "\(fallback == "on" ? "true" : fallback) | \(help) |"
  }
}
