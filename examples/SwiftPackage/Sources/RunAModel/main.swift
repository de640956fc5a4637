// SPDX-License-Identifier: Apache-2.0

// 1. Read the model. A graph says what the model takes and returns.
import Swiftlet

let path = CommandLine.arguments.dropFirst().first ?? "seed.onnx"
let graph = try ONNXFile.read(path)
for input in graph.dataInputs {
  print("\(path) takes \(input.name): \(input.dtype) \(input.shapeDescription)")
}

// 2. Make a session, which compiles the model for each set of input shapes it sees.
let session = try Session(graph)
print("It returns \(session.outputNames.joined(separator: ", "))")

// 3. Load images, and prepare ten of them as the model expects them.
let images = try DataSpec(parsing: "fashion-mnist").load(defaultPart: .test)
let preprocessing = try Preprocessing.stored(in: graph, images: images)
let batch = try preprocessing.batch(images, Array(0..<10), threads: .available)

// 4. Run the model on all ten at once: a row of class scores for each image.
let scores = try session.run(batch)
for image in 0..<10 {
  let row = scores.slice(axis: 0, range: image..<image + 1).elements
  let best = row.indices.max { row[$0] < row[$1] } ?? 0
  let name = images.classNames?[best] ?? "class \(best)"
  print("image \(image): \(name), \(best == images.labels[image] ? "right" : "wrong")")
}

// 5. Evaluate the model on all images.
let evaluation = try Evaluation.run(graph, on: images)
print("top-1 accuracy \(evaluation.top1), top-5 \(evaluation.top5)")

// 6. Measure its speed on one thread, for single images and for batches of 32.
let serial = try Session(graph, threads: .serial)
let candidates = try [1, 32].map { try Benchmark.Candidate(serial, batch: $0, threads: 1) }
for result in try Benchmark.run(candidates, seconds: 0.5) {
  print("batch \(result.batch): \(result.p50ms) ms, \(result.imagesPerSecond) images/s")
}

// 7. Find the layers that take longest.
let layers = try candidates[1].profile().sorted { $0.milliseconds > $1.milliseconds }
for layer in layers.prefix(3) {
  print("\(layer.layer) by \(layer.kernel): \(layer.milliseconds) ms")
}
