// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Swiftlet

struct Row: Encodable {
  let shape, kernel: String
  let runs: Int
  let medianMs, gigaOperationsPerSecond: Double
  /// Of what the kernel reaches on operands in the first-level cache, measured in the same run.
  let percentOfPeak: Double?

  var line: String {
    func padded(_ text: String, _ width: Int) -> String {
      text + String(repeating: " ", count: max(0, width - text.count))
    }
    func rounded(_ value: Double, _ places: Double) -> String {
      "\((value * places).rounded() / places)"
    }
    let share = percentOfPeak.map { "\(rounded($0, 1)) % of peak" } ?? ""
    return padded(shape, 20) + padded(kernel, 18) + padded("\(rounded(medianMs, 1000)) ms", 14)
      + padded("\(rounded(gigaOperationsPerSecond, 10)) GOP/s", 16) + share
  }
}

struct Report: Encodable {
  let cpu, blas, core, isa: String
  let threads = 1
  let rows: [Row]
}

/// Times all candidates in turns, and the peaks between rounds, so that what the machine does
/// meanwhile meets all of them alike.
func measure(_ candidates: [any Candidate], seconds: Double) -> [Row] {
  let clock = ContinuousClock()
  var times = [[Double]](repeating: [], count: candidates.count)
  var peaks: [Peaks] = []
  for candidate in candidates { candidate.run() }
  let rounds = 10
  for _ in 0..<rounds {
    peaks.append(Peaks.measure())
    for (index, candidate) in candidates.enumerated() {
      let end = clock.now.advanced(by: .seconds(seconds / Double(rounds)))
      repeat {
        times[index].append(clock.measure { candidate.run() } / .seconds(1))
      } while clock.now < end
    }
  }
  func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
  return zip(candidates, times).map { candidate, times in
    let seconds = median(times)
    let speed = 1e-9 * candidate.shape.operations / seconds
    let peak = candidate.operands.map { operands in
      median(
        peaks.map {
          switch operands {
          case .float: $0.float
          case .bfloat: $0.bfloat
          case .integer: $0.integer
          }
        })
    }
    return Row(
      shape: candidate.shape.name, kernel: candidate.name, runs: times.count,
      medianMs: seconds * 1e3, gigaOperationsPerSecond: speed,
      percentOfPeak: peak.map { 100 * speed / $0 })
  }
}
