// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletRuntime
import Synchronization
import Testing
import _SwiftletTestSupport

/// One session, many threads. Runs under the thread sanitizer too; see `make test-tsan`.
struct ConcurrencyTests {
  /// - Parameter threads: The number of threads of the session.
  @Test(arguments: [1, 2, 3], [false, true])
  func eightThreadsShareASession(threads: Int, isQuantized: Bool) throws {
    let graph = isQuantized ? quantizedModel() : anySizeModel()
    let shapes: [Shape] = [
      [1, 3, 3, 4], [2, 3, 4, 3], [3, 3, 2, 6], [5, 3, 3, 4], [8, 3, 4, 3], [4, 3, 3, 4],
    ].filter { isQuantized || $0[2] > 2 }
    let inputs = shapes.enumerated().map { floats($1, seed: UInt64($0)) }
    let alone = try Session(graph, threads: .serial)
    let expected = try inputs.map { try alone.run(["x": $0])["y"]! }
    // Compiling happens on whichever thread is first.
    let session = try Session(graph, threads: Threads(count: threads))
    let equal = Atomic(0)
    onThreads(8) { thread in
      for round in 0..<1000 {
        let index = (round / 3 + thread) % inputs.count
        if (try? session.run(["x": inputs[index]])["y"]) == expected[index] {
          equal.add(1, ordering: .relaxed)
        }
      }
    }
    #expect(equal.load(ordering: .relaxed) == 8 * 1000)
  }

  /// Sessions inside of work that has the threads already.
  @Test func sessionsInsideOfWork() throws {
    let graph = anySizeModel()
    let session = try Session(graph, threads: Threads(count: 2))
    let input = ["x": floats([4, 3, 6, 6])]
    let expected = try session.run(input)
    let results = try Threads(count: 3).map(12) { _ in try session.run(input) }
    #expect(results.allSatisfy { $0 == expected })
  }
}
