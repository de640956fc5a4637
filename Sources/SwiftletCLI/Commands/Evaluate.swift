// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Swiftlet

/// `swiftlet evaluate`.
struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure how good a model is.",
    discussion: """
      Classifiers are judged by their accuracy on labelled images. --metric judges other models: \
      by targets among the data, by the answers of another model (--original), or by a command of \
      yours. See 'swiftlet help goals'.

      Images are preprocessed according to --preprocess or the model's metadata; without either, a \
      guess is made and reported. Without :train in the data, the test part is used. If the model \
      has several outputs, the one that fits the classes holds the scores.

        swiftlet evaluate seed.onnx --data fashion-mnist
        swiftlet evaluate small.onnx --original big.onnx --metric cosine --data inputs:x.npz
      """)

  @Argument(help: "The ONNX file.")
  var model: String

  @OptionGroup var data: DataOptions<AnyData>

  @OptionGroup var metric: MetricOptions

  @Option(
    help: ArgumentHelp(
      "The model whose answers are the standard, for metrics that need one.", valueName: "file"),
    completion: .file())
  var original: String?

  @OptionGroup var open: ExtentOptions<AnyData>

  @Option(help: "Batch size, for accuracy.")
  var batch = 250

  @OptionGroup var preprocess: PreprocessOptions

  @OptionGroup var samples: SampleOptions

  @OptionGroup var precision: PrecisionOptions

  @OptionGroup var limits: LimitOptions<RunsModels>

  @OptionGroup var loader: LoaderOptions

  @OptionGroup var common: CommonOptions

  func validate() throws {
    try data.require()
    try check("--batch", batch, 1...65536)
    if original != nil && metric.name == nil {
      throw ValidationError("--original needs --metric, such as agreement or cosine")
    }
  }

  func run() throws {
    var graph = try open.read(model)
    let damaged = self.data.damage.pictures(common.threads)
    let data = try data.load(.test, leavingOut: damaged)
    let reference = try original.map { path in
      var reference = try open.read(path)
      try locating(model) {
        try preprocess.prepare(&graph, model, for: data, like: [(path, reference)])
      }
      try locating(path) {
        try preprocess.prepare(
          &reference, path, for: data, like: [(model, graph)], overrides: false)
      }
      return reference
    }
    if reference == nil { try locating(model) { try preprocess.prepare(&graph, model, for: data) } }
    let metric = try metric.metric
    guard metric != nil || data.hasLabels else {
      guard data.targets == nil else {
        throw SwiftletError(
          .badInput, "the labels are targets, not one class for each sample", at: data.name,
          fix: "use --metric mse or miou, or save classes as integers: labels.astype('int64')")
      }
      throw SwiftletError(
        .badInput, "the data have no labels, so that accuracy cannot be measured", at: data.name,
        fix: "use --metric: agreement with --original MODEL.onnx, mse or miou with targets, or a "
          + "command; see 'swiftlet help goals'")
    }
    let judge = try locating(model) {
      try Judge(
        metric, on: data, fixed: samples.fixedInputs(), original: reference, like: graph,
        outputs: samples.judgedOutput,
        options: Judge.Options(
          threads: common.threads, precision: precision.precision, batch: batch,
          progress: Console.progress))
    }
    let judgement = try locating(model) { try judge.judge(graph) }
    if judge.leftOut > 0 {
      Console.warn(
        "\(judge.leftOut) of \(data.count) samples are left out: they fill no batch of the model")
    }
    if judgement.evaluation != nil {
      let guesses = GuessTest(
        hits: judgement.hits.count { $0 }, choices: judgement.choices, labels: data.labels,
        classes: data.classCount)
      if let warning = guesses.warning { Console.warn(warning + PreprocessOptions.advice) }
    }
    guard let name = self.metric.name else { return try show(judgement, leftOut: damaged) }
    guard !judgement.score.isNaN else {
      throw SwiftletError(
        .numerical, "the metric \(name) has no value for these answers", at: model,
        fix: "check that outputs and targets are finite, and that targets name classes")
    }
    if common.json { return try Console.json(judgement, leftOut: damaged) }
    Console.endProgress()
    Console.print(
      table([
        [name, judgement.metric.text(ofScore: judgement.score)],
        ["samples", "\(judgement.samples)"],
        ["samples/s in the model", fixed(judgement.samplesPerSecond, 0)],
      ]))
  }

  /// Prints accuracies.
  private func show(_ judgement: Judgement, leftOut damaged: DamagedPictures?) throws {
    guard let result = judgement.evaluation else { return }
    if common.json { return try Console.json(result, leftOut: damaged) }
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
