// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletData
public import SwiftletGraph
public import SwiftletRuntime

/// The performance of a classifier on a data set.
public struct Evaluation: Sendable, Codable, Equatable {
  /// Fractions of the images whose class is the model's top prediction, or among its top five.
  public let top1: Double
  /// The fraction of the images whose class is among the model's first five choices.
  public let top5: Double
  /// Mean cross-entropy.
  public let loss: Double
  /// The number of images.
  public let images: Int
  /// Images by the time of running the model, while pictures of later batches may be decoded.
  public let imagesPerSecond: Double

  /// Runs the model over all images.
  /// Reads the scores from `output`; by default from the output that holds them, see
  /// ``scores(of:for:)``.
  ///
  /// - Throws: `badInput` if model and data do not match (image channels, number of classes), or if
  ///   there is no such output, or it is ambiguous.
  public static func run(
    _ graph: Graph, on data: ImageDataset, batch: Int = 250, threads: Threads = .available,
    precision: Precision = .fp32, output: String? = nil, progress: Progress.Handler? = nil
  ) throws -> Evaluation {
    try judge(
      graph, on: data, batch: batch, threads: threads, precision: precision, output: output,
      progress: progress
    ).evaluation
  }

  /// As ``run(_:on:batch:threads:precision:output:progress:)``, with the result for each image:
  /// whether the model's top prediction is right, the predicted class (-1 if the model gives no
  /// number), and whether the right class is among the first five. Two models on the same images
  /// can then be compared image by image.
  public static func judge(
    _ graph: Graph, on data: ImageDataset, fixed: [String: FixedInput] = [:], batch: Int = 250,
    threads: Threads = .available, precision: Precision = .fp32, output: String? = nil,
    progress: Progress.Handler? = nil
  ) throws -> (evaluation: Evaluation, hits: [Bool], choices: [Int], topFive: [Bool]) {
    try data.requireLabels()
    let judged = try graph.judged(by: output, on: data).withLogitsOutput()
    let answer = judged.outputs.first?.name ?? ""
    let predictor = Predictor(
      try Session(judged, threads: threads, precision: precision),
      try InputFeed(data, for: graph, fixed: fixed), threads)
    var counts = Counts()
    var loss = 0.0
    var done = 0
    func report() throws {
      try progress?(Progress("evaluate", completed: done, total: data.count))
    }
    let elapsed = try predictor.forEachBatch(of: batch, willTake: report) { outputs, samples in
      guard let output = outputs[answer] else {
        throw SwiftletError(.badInput, "the model has no output")
      }
      let logits: Tensor<Float> = try locating("output '\(answer)'") { try output.require() }
      let labels = Array(data.labels[samples])
      try data.checkClasses(of: logits, images: labels.count)
      counts.add(logits, labels)
      loss += CrossEntropy()(logits, labels).value * Double(labels.count)
      done = samples.upperBound
      try report()
    }
    let images = Double(data.count)
    func fraction(_ flags: [Bool]) -> Double { Double(flags.count { $0 }) / images }
    let evaluation = Evaluation(
      top1: fraction(counts.hits), top5: fraction(counts.topFive),
      loss: loss / images, images: data.count,
      imagesPerSecond: images / max(elapsed / .seconds(1), 1e-9))
    return (evaluation, counts.hits, counts.choices, counts.topFive)
  }

  /// The answers so far.
  struct Counts {
    /// Whether the top prediction was right for each image.
    private(set) var hits: [Bool] = []
    /// The top prediction for each image; -1 if there is no number among the scores.
    private(set) var choices: [Int] = []
    /// Whether the right class was among the first five for each image.
    private(set) var topFive: [Bool] = []

    /// - Precondition: One row of scores per label.
    mutating func add(_ logits: Tensor<Float>, _ labels: [Int]) {
      let classes = logits.shape[1]
      let scores = logits.contiguous()
      for (row, label) in labels.enumerated() {
        let line = scores.span.extracting(row * classes..<(row + 1) * classes)
        // Earlier classes win ties, and NaN never counts as a hit.
        var ahead = line[label].isNaN ? max(classes, 5) : 0
        var choice = -1
        for i in line.indices {
          if line[i] > line[label] || line[i] == line[label] && i < label { ahead += 1 }
          if choice < 0 ? !line[i].isNaN : line[i] > line[choice] { choice = i }
        }
        hits.append(ahead == 0)
        choices.append(choice)
        topFive.append(ahead < 5)
      }
    }
  }
}

extension ImageDataset {
  /// - Throws: `badInput` if the model's output is not one score per image and class.
  func checkClasses(of logits: Tensor<Float>, images: Int) throws {
    guard logits.shape.rank == 2, logits.shape[0] == images,
      largestLabel < logits.shape[1]
    else {
      throw SwiftletError(
        .badInput,
        "the model's output is \(logits.shape) for \(images) images of \(classCount) classes",
        at: name,
        fix: "take a model with \(max(classCount, largestLabel + 1)) scores per image, or other "
          + "images")
    }
  }
}

extension Graph {
  /// The graph without a final Softmax, because the losses need its input.
  package func withLogitsOutput() -> Graph {
    guard let output = outputs.first, let last = producer(of: output.name),
      nodes[last].opType == "Softmax", let logits = nodes[last].inputs.first
    else { return self }
    var graph = self
    graph.outputs[0].name = logits
    graph.nodes.remove(at: last)
    return graph
  }
}
