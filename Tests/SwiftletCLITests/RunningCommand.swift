// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// How a run of the command ended.
struct Outcome {
  let code: Int32
  let output: String
  let errors: String

  /// The JSON document on standard output.
  func json() throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any])
  }
}

/// The command lies beside the test bundle.
let command = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
  .deletingLastPathComponent().appending(path: "swiftlet")

/// Runs the command.
func swiftlet(_ arguments: String..., environment: [String: String] = [:]) throws -> Outcome {
  try swiftlet(arguments, environment: environment)
}

/// Runs the command, and sends it a signal once the condition holds.
func swiftlet(
  _ arguments: [String], environment: [String: String] = [:], signal: Int32 = SIGINT,
  when condition: (() throws -> Bool)? = nil
) throws -> Outcome {
  let process = Process()
  process.executableURL = command
  process.arguments = arguments
  process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
  let (output, errors) = (Pipe(), Pipe())
  process.standardOutput = output
  process.standardError = errors
  try process.run()
  while let condition, process.isRunning {
    if try condition() {
      kill(process.processIdentifier, signal)
      break
    }
    Thread.sleep(forTimeInterval: 0.005)
  }
  let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  let messages = String(
    decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  process.waitUntilExit()
  // Nothing but SIGKILL ends it other than by itself.
  #expect(process.terminationReason == .exit || signal == SIGKILL, "\(arguments)")
  return Outcome(code: process.terminationStatus, output: text, errors: messages)
}

/// Checks the exit code, that there is one error line, and nothing on standard output.
func expectFailure(_ outcome: Outcome, _ code: Int32, _ fragments: String...) {
  #expect(outcome.code == code, "\(outcome.errors)")
  let lines = outcome.errors.split(separator: "\n").filter { $0.hasPrefix("swiftlet: error: ") }
  #expect(lines.count == 1, "\(outcome.errors)")
  for fragment in fragments { #expect(outcome.errors.contains(fragment), "\(outcome.errors)") }
  #expect(outcome.output.isEmpty)
}
