// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletRuntime
import Testing

/// Images for the graph's input: the same for the same batch.
func randomInput(_ graph: Graph, batch: Int) throws -> AnyTensor {
  var generator = RandomGenerator(seed: UInt64(batch))
  return .float32(
    Tensor(try graph.inputs[0].shape(batch: batch), normalUsing: &generator))
}

/// Sessions on one thread, few and many come to what the reference does.
///
/// - Returns: What the steps of each of them compute.
func computationsOfSessions(
  _ graph: Graph, _ inputs: [String: AnyTensor],
  agree: (_ result: AnyTensor, _ expected: AnyTensor) -> Bool,
  sourceLocation: SourceLocation
) throws -> [[Computation.Kind]] {
  let expected = try Interpreter(graph).run(inputs, ExecutionContext())
  return try [1, 2, 7].map { threads in
    let session = try Session(graph, threads: Threads(count: threads))
    let results = try session.run(inputs)
    for (name, tensor) in expected {
      #expect(
        agree(results[name]!, tensor), "\(name), \(threads) threads\n\(graph.listing)",
        sourceLocation: sourceLocation)
    }
    return try session.computations(inputs).map(\.kind)
  }
}

extension Session {
  /// What the steps of a run compute, with the parts of chains one by one.
  func computations(_ inputs: [String: AnyTensor]) throws -> [Computation] {
    try profile(inputs, runs: 1).flatMap(\.computations)
  }
}

/// Results do not depend, bit for bit, on how images are batched and shared by threads.
func checkBatchesAndThreadsDoNotMatter(
  _ graph: Graph, _ precision: Precision, batches: [Int],
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let sessions = try [1, 2, 3].map {
    try Session(graph, threads: Threads(count: $0), precision: precision)
  }
  var wrong: [String] = []
  for batch in batches {
    let input = try randomInput(graph, batch: batch)
    let expected = try sessions[0].run(["x": input])
    for threads in 2...3 where try sessions[threads - 1].run(["x": input]) != expected {
      wrong.append("batch \(batch), \(threads) threads")
    }
    for image in 0..<batch {
      let one = try sessions[image % 3].run(["x": images(image..<image + 1, of: input)])
      for (name, value) in one where value != images(image..<image + 1, of: expected[name]!) {
        wrong.append("batch \(batch), image \(image): \(name)")
      }
    }
  }
  #expect(
    wrong.isEmpty, "\(wrong.joined(separator: "\n"))\n\(graph.listing)",
    sourceLocation: sourceLocation)
}
