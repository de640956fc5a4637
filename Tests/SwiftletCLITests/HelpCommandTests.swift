// SPDX-License-Identifier: Apache-2.0

import Foundation
import SwiftletCompress
import Testing

/// Options and help that come from the declarations of settings.
struct HelpCommandTests {
  private static let settings = Technique.allCases.flatMap(\.settings)

  private func help(_ arguments: String...) throws -> String {
    let outcome = try swiftlet(arguments, environment: ["COLUMNS": "80"])
    #expect(outcome.code == 0 && outcome.errors.isEmpty, "\(outcome.errors)")
    return outcome.output
  }

  /// What is there at a glance fits two screens of 48 lines, and leaves nothing out.
  @Test func helpOfCompressIsShortAndWhole() throws {
    let text = try help("compress", "--help")
    #expect(text.split(separator: "\n", omittingEmptySubsequences: false).count <= 96, "\(text)")
    for setting in Self.settings { #expect(text.contains(setting.option), "\(setting.option)") }
    for technique in Technique.allCases { #expect(text.contains(technique.summary)) }
    for goal in ["--max-drop", "--confidence", "--target-latency"] { #expect(text.contains(goal)) }
    #expect(try help("help", "compress") == text)
  }

  @Test func topicsExplainTheRest() throws {
    let techniques = try help("help", "techniques")
    for setting in Self.settings {
      #expect(techniques.contains("  \(setting.option)"), "\(setting.option)")
      // Lines are broken anywhere.
      let words = techniques.split(whereSeparator: \.isWhitespace).joined(separator: " ")
      #expect(words.contains(setting.sentence), "\(setting.option)")
    }
    #expect(try help("help", "goals").contains("--confidence 95%"))
    #expect(try help("help", "data").contains("inputs:FILE.npz"))
    #expect(try help("help", "settings") == SettingsReference.markdown)
    for text in [techniques, try help("help", "goals"), try help("help", "data")] {
      #expect(text.split(separator: "\n").allSatisfy { $0.count <= 100 })
    }
  }

  @Test(arguments: ["bash", "zsh", "fish"])
  func completionsKnowAllOptions(shell: String) throws {
    let script = try help("--generate-completion-script", shell)
    for setting in Self.settings {
      #expect(script.contains(String(setting.option.dropFirst(2))), "\(setting.option)")
    }
  }

  /// After 'swiftlet help', each shell has the topics and the commands: bash is asked, the others
  /// are not installed everywhere.
  @Test(arguments: ["bash", "zsh", "fish"])
  func completionsKnowTopics(shell: String) throws {
    let words = "techniques goals data settings train evaluate run"
    let script = try help("--generate-completion-script", shell)
    #expect(script.contains(words))
    #expect(try help("--generate-completion-script=\(shell)") == script)
  }

  @Test(arguments: [
    ["help", "te"]: ["techniques"], ["help", "s"]: ["settings", "sensitivity", "svd"],
    ["comp"]: ["compress", "compare"],
  ])
  func bashCompletes(typed: [String], expected: [String]) throws {
    let file = FileManager.default.temporaryDirectory.appending(path: "\(UUID()).bash")
    defer { try? FileManager.default.removeItem(at: file) }
    try help("--generate-completion-script", "bash").write(
      to: file, atomically: true, encoding: .utf8)
    let words = (["swiftlet"] + typed).map { "'\($0)'" }.joined(separator: " ")
    let bash = Process()
    let pipe = Pipe()
    bash.executableURL = URL(filePath: "/bin/bash")
    bash.arguments = [
      "-c",
      """
      . '\(file.path())'
      COMP_WORDS=(\(words)); COMP_CWORD=\(typed.count); COMP_LINE="${COMP_WORDS[*]}"
      COMP_POINT=${#COMP_LINE}
      _swiftlet swiftlet '\(typed.last ?? "")' '\(typed.dropLast().last ?? "swiftlet")'
      printf '%s\n' "${COMPREPLY[@]}"
      """,
    ]
    bash.standardOutput = pipe
    try bash.run()
    let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    bash.waitUntilExit()
    #expect(Set(output.split(separator: "\n").map(String.init)) == Set(expected))
  }

  private static func sample(_ setting: SettingDescription) -> String {
    switch setting.kind {
    case .truth: ""
    case .whole: setting.name == "bits" ? "4" : "64"
    case .number: setting.name == "percentile" ? "99" : "0.7"
    case .path, .names: "a"
    case .choice(let words), .choices(let words): words[0]
    }
  }

  /// Every option is taken in all of its spellings: what is missed is the model, which is read
  /// later. Some do nothing alone, and that is said of them.
  @Test(arguments: Technique.allCases)
  func everySpellingIsTaken(technique: Technique) throws {
    for setting in technique.settings {
      var spellings = ([setting.name] + setting.aliases).map {
        [SettingDescription.option($0)] + (setting.kind == .truth ? [] : [Self.sample(setting)])
      }
      if setting.kind == .truth { spellings.append(["--no-\(setting.option.dropFirst(2))"]) }
      spellings += setting.shorthands.map { [SettingDescription.option($0.name)] }
      for spelling in spellings {
        let outcome = try swiftlet(
          ["compress", "missing.onnx", "--technique", technique.rawValue, "--data", "idx:."]
            + ["-o", "\(FileManager.default.temporaryDirectory.path())/out.onnx"] + spelling)
        #expect(outcome.code == 2, "\(spelling): \(outcome.errors)")
        #expect(
          outcome.errors.contains("missing.onnx")
            || outcome.errors.contains(setting.option)
              && !outcome.errors.contains("has no setting"),
          "\(spelling): \(outcome.errors)")
      }
    }
  }
}
