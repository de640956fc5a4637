import Swiftlet

/// Runs candidates in turns until each has had its share of time.
enum Race {
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

  /// - Parameter seconds: The time that one candidate gets; a slow one runs once all the same.
  static func run(
    _ candidates: [(name: String, body: () throws -> Void)], seconds: Double
  ) throws -> [Result] {
    var times = [[Double]](repeating: [], count: candidates.count)
    var isRunning = true
    while isRunning {
      isRunning = false
      for (index, candidate) in candidates.enumerated() {
        let spent = times[index].reduce(0, +)
        guard times[index].isEmpty || spent < seconds && times[index].count < 101 else { continue }
        try Console.progress(
          Progress("timing \(candidate.name)", completed: times[index].count))
        let elapsed = try ContinuousClock().measure(candidate.body).components
        times[index].append(Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18)
        isRunning = true
      }
    }
    // The first run has warmed up the caches, where there was time for more.
    return times.map { Result($0.count > 1 ? Array($0.dropFirst()) : $0) }
  }
}
