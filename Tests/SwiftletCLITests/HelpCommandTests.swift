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

  /// Commands offer what they take: aliases, and options that do nothing, are accepted but not
  /// listed, and no line is wider than the terminal.
  @Test func helpListsWhatApplies() throws {
    for command in ["svd", "eig", "convert"] {
      let text = try help(command, "--help")
      #expect(text.contains("--max-memory") && !text.contains("--max-steps"))
    }
    #expect(try help("run", "--help").contains("--max-steps"))
    for command in ["train", "compress", "evaluate", "compare", "sensitivity", "verify"] {
      #expect(try help(command, "--help").contains("--loader-memory"))
    }
    #expect(try !help("train", "--help").contains("inputs:"))
    for command in ["compress", "evaluate", "sensitivity"] {
      #expect(try help(command, "--help").contains("inputs:FILE.npz"))
    }
    for command in ["inspect", "plan"] {
      let words = try help(command, "--help").split(whereSeparator: \.isWhitespace)
      #expect(words.joined(separator: " ").contains("Default: guessed from its name."))
    }
    #expect(try !help("convert", "--help").contains("checkpoint"))
    #expect(try !help("eig", "--help").contains("1000x200"))
    for (command, aliases) in [
      ("sensitivity", ["--corrects-bias", "--calibration-size"]),
      ("train", ["--lr", "--restarts"]),
    ] {
      let text = try help(command, "--help")
      for alias in aliases { #expect(!text.contains(alias), "\(command) \(alias)") }
    }
    // Examples are not wrapped: no line begins at the margin with what belongs to the one before.
    #expect(try help("--help").contains("\n    --data fashion-mnist -o small.onnx\n"))
    #expect(try help("sensitivity", "--help").contains(" --keep; with labels, --qat-epochs\n"))
    #expect(try help("compare", "--help").contains(" --report page.html\n"))
  }

  private static let wrongUsage: [(arguments: [String], fragments: [String])] = [
    (["compress", "a", "b"], ["see 'swiftlet compress --help'"]),
    (
      ["train", "--optimizer", "foo", "-o", "a.onnx"],
      ["'adam', 'adamw' or 'nadam': see 'swiftlet train --help'"]
    ),
    (
      ["evaluate", "a.onnx", "--data", "x", "--bacth", "3"],
      ["Unknown option '--bacth': did you mean '--batch'? Or see 'swiftlet evaluate --help'"]
    ),
    (["foo"], ["'foo': see 'swiftlet --help'"]),
    (["bench", "a.onnx", "--batch", "1,0"], ["--batch 0 is not between 1 and 65536"]),
    (["compare", "a.onnx", "--batch", "65537"], ["--batch 65537 is not between 1 and 65536"]),
    (["bench", "a.onnx", "--threads", "0"], ["--threads 0 is not between"]),
    (["bench", "a.onnx", "--extent", "H=0"], ["--extent H 0 is not between 1 and 16777216"]),
    (["plan", "a.onnx", "--extent", "H=-2"], ["--extent H -2 is not between 1 and 16777216"]),
    (["eig", "--size", "40000"], ["--size 40000 is not between 1 and 32766"]),
    (["run", "a.onnx", "--max-memory", "0"], ["--max-memory 0 is not at least 1: see"]),
    (
      ["evaluate", "a.onnx", "--data", "x", "--loader-memory", "0"],
      ["--loader-memory 0 is not at least 1: see"]
    ),
    (["svd", "--size", "3", "--max-steps", "0"], ["--max-steps 0 is not at least 1: see"]),
  ]

  @Test func wrongUsageNamesTheRangeAndTheHelp() throws {
    for (arguments, fragments) in Self.wrongUsage {
      let outcome = try swiftlet(arguments)
      expectFailure(outcome, 64)
      for fragment in fragments {
        #expect(outcome.errors.contains(fragment), "\(arguments): \(outcome.errors)")
      }
    }
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
    case .fraction: "90%"
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
