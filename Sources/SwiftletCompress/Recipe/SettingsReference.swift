// SPDX-License-Identifier: Apache-2.0

/// All settings of all techniques, as declared: what `swiftlet help techniques` and
/// docs/settings.md show.
public enum SettingsReference {
  /// Techniques with the same settings, in the order of the registry.
  public static var groups: [(techniques: [Technique], settings: [SettingDescription])] {
    Technique.allCases.reduce(into: []) { groups, technique in
      if let last = groups.indices.last, groups[last].settings == technique.settings {
        groups[last].techniques.append(technique)
      } else {
        groups.append(([technique], technique.settings))
      }
    }
  }

  /// docs/settings.md.
  public static var markdown: String {
    let head = """
      # Settings

      <!-- Written by `swiftlet help settings > docs/settings.md`; a test compares it with the code. -->

      Each setting of a technique has one name: `learningRate` in recipes, and `--learning-rate` on the
      command line, where it is for all of the given techniques that have it. True and false are
      `--flip` and `--no-flip`. Lists are `[a, b]` in recipes; options with names of layers are repeated
      (`--keep a --keep b`), all other lists are separated by commas (`--precisions fp32,int8`). Names that
      earlier versions used are read as well. What a technique does not have is refused.

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
