// SPDX-License-Identifier: Apache-2.0

import Foundation
import SwiftletCompress
import SwiftletCore
import Testing
import _SwiftletTestSupport

/// Scores that commands of the user's print.
struct CommandMetricTests {
  private let batches = (0..<3).map { index in
    MetricBatch(
      outputs: ["y": .float32(Tensor([2, 2], repeating: Float(index)))],
      samples: 2 * index..<2 * index + 2, labels: [index, index])
  }

  private func result(
    _ command: String, needsBound: Bool = false
  ) throws -> MetricResult {
    try MetricTests.result(
      .named("command:\(command)"), batches, needsBound: needsBound)
  }

  @Test func theLastLineIsTheScore() throws {
    #expect(try result("echo first; echo ' 0.25 '; echo; true").score == 0.25)
    // The path comes last, or where the command wants it.
    #expect(try result("test -s && echo 1; test -s \"$1\" && echo 2").score == 2)
    #expect(try result("f() { test -s \"$1\" && echo 3; }; f \"$@\"").score == 3)
    #expect(try result("printf -- -1e-3; true").score == -0.001)
  }

  @Test func commandsGetOutputsAndSamples() throws {
    for name in ["y", "sample_names", "sample_indices", "sample_labels"] {
      #expect(try result("grep -a -q '\(name).npy' \"$1\" && echo 1").score == 1, "\(name)")
    }
    // Halves of the samples, for a bound.
    let bound = try result("wc -c < \"$1\"", needsBound: true)
    guard case .halves(let halves) = bound.evidence else {
      Issue.record("there are no halves")
      return
    }
    #expect(halves.count == 30 && halves.allSatisfy { $0 < bound.score })
  }

  @Test func failuresAreExplained() throws {
    expectError(.badInput, "exit code 3: what is wrong", "metric 'command:") {
      try result("echo more >&2; echo what is wrong >&2; exit 3; true")
    }
    expectError(.badInput, "exit code 127", "not found") { try result("no-such-command-here") }
    expectError(.badInput, "ended by signal 9") { try result("kill -9 $$; true") }
    expectError(.badInput, "'hello', not a number") { try result("echo hello; true") }
    expectError(.badInput, "printed nothing") { try result("true") }
    expectError(.badInput, "nan, which is not a score") { try result("echo nan; true") }
    expectError(.badInput, "inf, which is not a score") { try result("echo inf; true") }
  }

  @Test func outputsMustHaveRows() throws {
    let reshaped = [
      batches[0],
      MetricBatch(outputs: ["y": .float32(Tensor([2, 3], repeating: 0))], samples: 2..<4),
    ]
    expectError(.unsupported, "for others", "output 'y'") {
      try MetricTests.result(.named("command:true"), reshaped)
    }
    let taken = MetricBatch(
      outputs: ["sample_indices": .float32(Tensor([1], repeating: 0))], samples: 0..<1)
    expectError(.unsupported, "sample_indices") {
      try MetricTests.result(.named("command:true"), [taken])
    }
  }

  /// An interrupted command ends, with what it has started, and its file is gone.
  @Test func interruptionEndsTheCommand() throws {
    try withTemporaryFolder { folder in
      let note = "\(folder)/note"
      let command =
        "sleep 600 & echo $! > '\(note).part'; echo \"$1\" >> '\(note).part'; "
        + "mv '\(note).part' '\(note)'; wait"
      guard case .scorer(let make) = try Metric.named("command:\(command)").kind else { return }
      var scorer = try make(
        MetricSetting(
          samples: 6,
          progress: { _ in
            if FileManager.default.fileExists(atPath: note) { throw CancellationError() }
          }))
      for batch in batches { try scorer.add(batch) }
      #expect(throws: CancellationError.self) { try scorer.finish() }
      let lines = try String(contentsOfFile: note, encoding: .utf8).split(separator: "\n")
      let child = try #require(lines.first.flatMap { pid_t($0) })
      #expect(!FileManager.default.fileExists(atPath: String(lines[1])))
      // Whoever takes over its children has to notice that it ended: a zombie has no command line.
      let line = try? String(contentsOfFile: "/proc/\(child)/cmdline", encoding: .utf8)
      #expect(line?.isEmpty ?? true)
    }
  }
}
