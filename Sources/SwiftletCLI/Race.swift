// SPDX-License-Identifier: Apache-2.0

import Swiftlet

/// Runs candidates in alternation until each has had its share of time.
enum Race {
  /// The times of one candidate.
  struct Result: Encodable {
    let runs: Int
    let medianMs, fastestMs, slowestMs: Double

    init(_ seconds: [Double]) {
      let sorted = seconds.sorted()
      runs = sorted.count
      medianMs = sorted[sorted.count / 2] * 1e3
      fastestMs = sorted[0] * 1e3
      slowestMs = sorted[sorted.count - 1] * 1e3
    }
  }

  /// Times the candidates. One that fails is not run again; the others continue.
  ///
  /// - Parameter seconds: The time for each candidate; a slow one runs at least once.
  /// - Returns: The times of each candidate, or its error.
  static func run(
    _ candidates: [(name: String, body: () throws -> Void)], seconds: Double
  ) throws -> [Swift.Result<Result, SwiftletError>] {
    var times = [[Double]](repeating: [], count: candidates.count)
    var failures = [SwiftletError?](repeating: nil, count: candidates.count)
    var isRunning = true
    while isRunning {
      isRunning = false
      for (index, candidate) in candidates.enumerated() where failures[index] == nil {
        let spent = times[index].reduce(0, +)
        guard times[index].isEmpty || spent < seconds && times[index].count < 101 else { continue }
        try Console.progress(
          Progress("timing \(candidate.name)", completed: times[index].count))
        do {
          let elapsed = try ContinuousClock().measure(candidate.body).components
          times[index].append(Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18)
          isRunning = true
        } catch let error as SwiftletError {
          failures[index] = error
        }
      }
    }
    return zip(times, failures).map { times, failure in
      // Drops the first run, which warms up the caches, if there were more.
      failure.map { .failure($0) }
        ?? .success(Result(times.count > 1 ? Array(times.dropFirst()) : times))
    }
  }
}
