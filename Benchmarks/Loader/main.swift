// SPDX-License-Identifier: Apache-2.0

// Times reading pictures ahead of a model: the loader alone, the model alone, and both together, in
// pictures per second, and in milliseconds of processor time per picture.
//
//   LoaderBenchmark MODEL FOLDER [--threads N] [--pictures N] [--batch N] [--rounds N]
//
// All JPEGs of the folder are read over and over; none is kept. The three take turns, and the
// median of the rounds counts. Both together cannot be faster than the slower one alone, nor, where
// each uses all processors, than one after the other: what is gained are the processors that wait.

import FoundationEssentials
import Glibc
import Swiftlet

var options = ["--threads": 1, "--pictures": 1000, "--batch": 250, "--rounds": 3]
var arguments = CommandLine.arguments.dropFirst()
var names: [String] = []
while let argument = arguments.popFirst() {
  if options[argument] != nil, let value = arguments.popFirst().flatMap({ Int($0) }), value > 0 {
    options[argument] = value
  } else {
    names.append(argument)
  }
}
guard names.count == 2 else {
  print(
    "usage: LoaderBenchmark MODEL FOLDER [--threads N] [--pictures N] [--batch N] [--rounds N]")
  exit(64)
}
let paths = try FileManager.default.contentsOfDirectory(atPath: names[1])
  .filter { $0.hasSuffix(".jpg") }.sorted().map { "\(names[1])/\($0)" }
guard !paths.isEmpty else {
  print("LoaderBenchmark: there are no .jpg files (\(names[1])): name a folder that has some")
  exit(2)
}

let memory = LoaderMemory.bytes
// Nothing is kept: every picture is decoded each time.
LoaderMemory.bytes = 1
let threads = Threads(count: options["--threads"]!)
let graph = try ONNXFile.read(names[0])
let feed = try InputFeed(
  ImageDataset(name: names[1], files: ImageFiles(paths), labels: [], classCount: 0), for: graph)
let session = try Session(graph, threads: threads)
let batch = feed.fixedBatch ?? options["--batch"]!
let count = (options["--pictures"]! + batch - 1) / batch * batch

/// Seconds of the process on all processors.
func processorSeconds() -> Double {
  var usage = rusage()
  guard unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return 0 }
  return [usage.ru_utime, usage.ru_stime].reduce(0) {
    $0 + Double($1.tv_sec) + Double($1.tv_usec) / 1e6
  }
}

/// Reads all batches, and gives them to `body`.
func load(_ body: ([String: AnyTensor]) throws -> Void) throws {
  let order = (0..<count).map { $0 % paths.count }
  try feed.loading(order, threads: threads, memory: memory) { loader in
    for start in stride(from: 0, to: count, by: batch) {
      try body(loader.inputs(start..<start + batch, threads: threads))
    }
  }
}

let sample = try feed.inputs((0..<batch).map { $0 % paths.count }, threads: threads)
_ = try session.run(sample)
let cases: [(name: String, run: () throws -> Void)] = [
  ("loader", { try load { _ in } }),
  ("model", { for _ in 0..<count / batch { _ = try session.run(sample) } }),
  ("both", { try load { _ = try session.run($0) } }),
]
var times = [[(wall: Double, processor: Double)]](repeating: [], count: cases.count)
let clock = ContinuousClock()
for _ in 0..<options["--rounds"]! {
  for (index, one) in cases.enumerated() {
    let (start, spent) = (clock.now, processorSeconds())
    try one.run()
    times[index].append(((clock.now - start) / .seconds(1), processorSeconds() - spent))
  }
}
func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
for (one, times) in zip(cases, times) {
  let speed = median(times.map { Double(count) / $0.wall })
  let effort = median(times.map { $0.processor * 1e3 / Double(count) })
  print("\(one.name): \(Int(speed)) pictures/s, \((effort * 1e3).rounded() / 1e3) ms each")
}
/// Per round, so that what else the machine does counts for all three alike.
let rounds = (0..<times[0].count).map { round in times.map { $0[round].wall } }
let slower = median(rounds.map { max($0[0], $0[1]) / $0[2] })
let inTurn = median(rounds.map { ($0[0] + $0[1]) / $0[2] })
print("both: \((slower * 100).rounded()) % of the slower, \((inTurn * 100).rounded()) % of in turn")
