// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Swiftlet

/// `swiftlet evaluate`.
struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure a classifier's accuracy.",
    discussion: """
      Images are preprocessed according to --preprocess or the model's metadata; without either, a \
      guess is made and reported. Without :train in the data, the test part is used. If the model \
      has several outputs, the one that fits the classes holds the scores.

        swiftlet evaluate seed.onnx --data fashion-mnist
      """)

  @Argument(help: "The ONNX file.")
  var model: String

  @OptionGroup var data: DataOptions<LabelledData>

  @OptionGroup var open: ExtentOptions<LabelledData>

  @Option(help: "Batch size.")
  var batch = 250

  @OptionGroup var preprocess: PreprocessOptions

  @OptionGroup var precision: PrecisionOptions

  @OptionGroup var limits: LimitOptions<RunsModels>

  @OptionGroup var loader: LoaderOptions

  @OptionGroup var common: CommonOptions

  @Option(
    help: ArgumentHelp(
      "Output with the class scores. Default: the only one that fits the classes.",
      valueName: "output")
  )
  var judgedOutput: String?

  func validate() throws {
    try data.require()
    try check("--batch", batch, 1...65536)
  }

  func run() throws {
    var graph = try open.read(model)
    let images = try data.load(.test)
    let (result, hits, choices) = try locating(model) {
      try preprocess.prepare(&graph, for: images)
      return try Evaluation.judge(
        graph, on: images, batch: batch, threads: common.threads, precision: precision.precision,
        output: judgedOutput, progress: Console.progress)
    }
    let guesses = GuessTest(
      hits: hits.count { $0 }, choices: choices, labels: images.labels,
      classes: images.classCount)
    if let warning = guesses.warning { Console.warn(warning + PreprocessOptions.advice) }
    if common.json { return try Console.json(result) }
    Console.endProgress()
    print(
      """
      top-1   \(fixed(result.top1, 4))
      top-5   \(fixed(result.top5, 4))
      loss    \(fixed(result.loss, 4))
      images  \(result.images), \(fixed(result.imagesPerSecond, 0)) per second in the model
      """)
  }
}
