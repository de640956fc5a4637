// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import Logging
import Swiftlet

/// The command `swiftlet`.
struct SwiftletCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "swiftlet",
    abstract: "Small, fast neural networks on ordinary CPUs.",
    discussion: """
      Trains a network, compresses it, measures what that costs and gains, and saves it as ONNX:

        swiftlet train --model seed-cnn --data fashion-mnist --epochs 3 -o seed.onnx
        swiftlet compress seed.onnx --technique lowrank \\
          --data fashion-mnist -o small.onnx
        swiftlet bench seed.onnx small.onnx --batch 1,32 --threads 1,2

      More help: 'swiftlet help techniques', 'goals' or 'data'; 'swiftlet help settings' prints \
      the reference of all settings as Markdown.

      Exit codes: 0 success, 2 bad input, 3 unsupported, 64 wrong usage, 70 internal error.
      """,
    version: Version.text,
    subcommands: [
      Train.self, Evaluate.self, Run.self, Compress.self, Plan.self, Sensitivity.self,
      Compare.self, Verify.self, Bench.self, Inspect.self, Convert.self,
      SVD.self, Eig.self, Doctor.self,
    ])
}

/// The entry point.
@main
enum Main {
  static func main() {
    Interruption.install()
    Console.bootstrapLogging()
    let arguments = Array(CommandLine.arguments.dropFirst())
    if let topic = HelpTopic(arguments: arguments) { return print(topic.text, terminator: "") }
    if let script = CompletionScript.asked(by: arguments) { return print(script) }
    do {
      var command = try SwiftletCommand.parseAsRoot(joiningNegativeNumbers(arguments))
      try command.run()
    } catch {
      exit(report(error))
    }
  }

  /// Turns `--learning-rate -1` into `--learning-rate=-1`: a value that begins with a dash would be
  /// taken for another option.
  private static func joiningNegativeNumbers(_ arguments: [String]) -> [String] {
    var result: [String] = []
    for argument in arguments {
      if let last = result.last, last.hasPrefix("--"), last.count > 2, !last.contains("="),
        argument.hasPrefix("-"),
        Double(argument) != nil
          || argument.dropFirst().first?.isNumber == true
      {
        result[result.count - 1] = "\(last)=\(argument)"
      } else {
        result.append(argument)
      }
    }
    return result
  }

  /// Prints the error line, and returns the exit code.
  private static func report(_ error: any Error) -> Int32 {
    Console.endProgress()
    switch error {
    case let error as SwiftletError:
      Console.error(error.description)
      return error.code.exitCode
    case is CancellationError:
      Console.error("interrupted: no output file was changed")
      return SwiftletError.Code.interrupted.exitCode
    default:
      let code = SwiftletCommand.exitCode(for: error)
      if code == .success {
        print(SwiftletCommand.fullMessage(for: error))
        return 0
      }
      guard code == .validationFailure else {
        Console.error(SwiftletError(.internal, "\(error)").description)
        return 70
      }
      Console.error(usageError(SwiftletCommand.message(for: error)).description)
      return code.rawValue
    }
  }

  /// The error for wrong usage, which points to the help of the subcommand that was called.
  private static func usageError(_ message: String) -> SwiftletError {
    let called = CommandLine.arguments.dropFirst().first
    let command = SwiftletCommand.configuration.subcommands.map { $0._commandName }
      .first { $0 == called }
    let help = "see '\(["swiftlet", command].compactMap { $0 }.joined(separator: " ")) --help'"
    // Those of ArgumentParser are one or two sentences.
    var what = oneLine(message)
    if what.hasSuffix(".") { what.removeLast() }
    guard let suggestion = what.firstRange(of: ". Did you mean ") else {
      return SwiftletError(.badInput, what, fix: help)
    }
    return SwiftletError(
      .badInput, String(what[..<suggestion.lowerBound]),
      fix: "did you mean \(what[suggestion.upperBound...]) Or \(help)")
  }

  /// Joins the lines of a message with a list of choices: `…: a, b, c`.
  private static func oneLine(_ message: String) -> String {
    let lines = message.split(separator: "\n").map { line in
      line.trimmingPrefix { $0 == " " || $0 == "-" }
    }
    guard let first = lines.first else { return message }
    return lines.count == 1 ? message : "\(first) \(lines.dropFirst().joined(separator: ", "))"
  }
}

/// The text of `--version`: the release and the BLAS library in use.
enum Version {
  static let number = Release.version

  static var text: String {
    "\(number) (\(Backend.configuration), core \(Backend.core))"
  }
}
