// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletRuntime
import Testing

/// Sessions give what the reference executor gives, on random graphs.
struct FloatSessionTests {
  private static let batches = [1, 2, 3, 5, 8]

  @Test(arguments: 0..<320)
  func equalsTheReference(seed: Int) throws {
    let graph = RandomGraph.make(seed: UInt64(seed), onlyLowered: false)
    let reference = try Interpreter(graph)
    let sessions = try [1, 2, 3].map { try Session(graph, threads: Threads(count: $0)) }
    var wrong: [String] = []
    for batch in Self.batches {
      let input = try ["x": randomInput(graph, batch: batch)]
      let expected = try reference.run(input, ExecutionContext())
      for (index, session) in sessions.enumerated() {
        let results = try session.run(input)
        for name in graph.outputs.map(\.name) {
          let error = difference(results[name]!, expected[name]!)
          if !(error <= 1e-5) {
            wrong.append("batch \(batch), \(index + 1) threads: \(name) is off by \(error)")
          }
        }
      }
    }
    #expect(wrong.isEmpty, "\(wrong.joined(separator: "\n"))\n\(graph.listing)")
  }

  /// Results do not depend, bit for bit, on how images are batched and shared by threads.
  @Test(arguments: 0..<160)
  func batchesAndThreadsDoNotMatter(seed: Int) throws {
    let graph = RandomGraph.make(seed: UInt64(1000 + seed), onlyLowered: true)
    try checkBatchesAndThreadsDoNotMatter(graph, .fp32, batches: Self.batches)
  }
}
