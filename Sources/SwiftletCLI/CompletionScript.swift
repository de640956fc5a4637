// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// ArgumentParser's completions, which have nothing for 'swiftlet help', with commands and topics
/// for it. Its command `help` is always there, so that one of our own would be a second one.
enum CompletionScript {
  /// The script that `--generate-completion-script SHELL` asks for, without SHELL for the one that
  /// is used; `nil` if the arguments are others, or the shell is unknown, which parsing refuses.
  static func asked(by arguments: [String]) -> String? {
    let words = arguments.flatMap { $0.split(separator: "=", maxSplits: 1).map(String.init) }
    guard words.first == "--generate-completion-script", words.count <= 2 else { return nil }
    let shell = words.count == 1 ? .autodetected() : CompletionShell(rawValue: words[1])
    return shell.map(text)
  }

  private static func text(for shell: CompletionShell) -> String {
    let script = SwiftletCommand.completionScript(for: shell)
    let commands = SwiftletCommand.configuration.subcommands.map { $0._commandName }
    let words = (HelpTopic.allCases.map(\.rawValue) + commands).joined(separator: " ")
    return switch shell {
    case .bash:
      // The later definition of a function holds.
      """
      \(script)

      _swiftlet_help() {
          COMPREPLY+=($(compgen -W '\(words)' -- "${cur}"))
      }

      """
    case .fish:
      """
      \(script)
      complete -c 'swiftlet' -n '__swiftlet_should_offer_completions_for_positional \
      "swiftlet help" -eq 1' -fa '\(words)'

      """
    default: script.replacing("'*:subcommands:'", with: "'*:subcommands:(\(words))'")
    }
  }
}
