// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Swiftlet

/// The settings of `quantize` that affect sensitivity.
enum SensitivitySettings: SettingScope {
  private static let others: Set<String> = [
    "mode", "groupSize", "plainWeights", "qatEpochs", "qatLearningRate", "mixedDrop",
    "mixedConfidence", "calibrationImages",
  ]

  static var techniques: [Technique] { [.quantize] }
  static var isListed: Bool { true }
  static func has(_ setting: SettingDescription) -> Bool { !others.contains(setting.name) }
}

/// `swiftlet sensitivity`.
struct Sensitivity: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sensitivity",
    abstract: "Show which layers suffer from quantization, and why.",
    discussion: """
      Quantizes one layer at a time (weights only, input only, and both) and compares the model's \
      answers with those in fp32 by their signal-to-noise ratio: higher is better. 40 dB is hardly \
      noticeable; below 20 dB predicted classes change. For integer answers, the percentage of \
      equal ones is shown. Answers are compared on samples that are held back from calibration: at \
      least a quarter, unless there is only one.

      For each layer, it shows the cause of the loss and the options to try:
        weights          too few bits: --rounding adaround, more --bits
        unevenWeights    channels differ too much: --equalize
        outlierChannels  few channels need the whole range: --smoothing, --equalize
        clipping         the observer clips too much: --observer minmax
        activations      8 bits are too few: --keep; with labels, --qat-epochs

      --metric also judges the model with each layer quantized, and sorts layers by what the \
      metric loses: in points for top1, top5, agreement and miou, else in its own unit.

        swiftlet sensitivity seed.onnx --data fashion-mnist --calibration-images 128
        swiftlet sensitivity model.onnx --data inputs:samples.npz --bits 4 --json
      """)

  @Argument(help: "The ONNX file.")
  var model: String

  @OptionGroup var data: DataOptions<AnyData>

  @OptionGroup var preprocess: PreprocessOptions

  @OptionGroup var metric: MetricOptions

  @OptionGroup var open: ExtentOptions<AnyData>

  @Option(
    name: .listing(["calibration-images", "calibration-size"]),
    help: "Maximum number of samples to calibrate with, and to compare on.")
  var calibrationImages = 128

  @OptionGroup var samples: SampleOptions

  @OptionGroup(title: "Settings of quantize") var settings: SettingOptions<SensitivitySettings>

  @OptionGroup var limits: LimitOptions<RunsModels>

  @OptionGroup var loader: LoaderOptions

  @OptionGroup var common: CommonOptions

  func validate() throws {
    try data.require()
    try check("--calibration-images", calibrationImages, 1...10_000_000)
  }

  func run() throws {
    let recipe = try Recipe([.quantize], sharing: settings.values)
    let quantization = recipe.steps[0][QuantizationSettings.self] ?? QuantizationSettings()
    var graph = try open.read(model)
    let damaged = data.damage.pictures(common.threads)
    let all = try data.load(.train, leavingOut: damaged)
    try locating(model) { try preprocess.prepare(&graph, model, for: all) }
    // Adds the quarter that is held back for judging.
    var source = try CalibrationSource(
      all, for: graph, fixed: samples.fixedInputs(),
      limit: calibrationImages + (calibrationImages + 2) / 3, threads: common.threads)
    source.outputs = samples.judgedOutput
    try graph.extents.merge(source.extents(of: graph)) { given, _ in given }
    let split = try SampleSplit(
      source, wanted: calibrationImages, most: calibrationImages, progress: Console.progress)
    let result = try locating(model) {
      let judge = try metric.metric.map { metric in
        try Judge(
          metric, on: all, fixed: samples.fixedInputs(), judging: split.judging,
          original: graph, like: graph, outputs: samples.judgedOutput,
          options: Judge.Options(threads: common.threads, progress: Console.progress))
      }
      return try SwiftletCompress.Sensitivity.measure(
        graph, quantization, source.part(0..<split.calibrating),
        judging: split.isHeldBack ? source.part(split.judging) : nil, judge: judge,
        threads: common.threads, progress: Console.progress)
    }
    if common.json { return try Console.json(result, leftOut: damaged) }
    Console.endProgress()
    Console.print(text(result, repeated: split.repeated))
  }

  private func text(_ result: SwiftletCompress.Sensitivity, repeated: Int) -> String {
    /// Signal-to-noise ratio, or the percentage of equal integers.
    func likeness(_ value: Double) -> String {
      Agreement.likeness(value, equals: result.answers.equal != nil)
    }
    let label = (try? metric.metric)?.label
    let rows = result.layers.map { layer in
      [layer.layer, layer.op] + (layer.drop.flatMap { label?.text(ofDrop: $0) }.map { [$0] } ?? [])
        + [
          likeness(layer.answersByWeights), likeness(layer.answersByInput),
          likeness(layer.answers), fixed(layer.clippedPercent, 2), fixed(layer.outlierRatio, 1),
          layer.cause.rawValue, layer.remedy,
        ]
    }
    let header =
      ["layer", "op"] + (label.map { ["\($0.shortName) \($0.loss)"] } ?? [])
      + ["weights", "input", "both", "clipped %", "outliers ×", "cause", "try"]
    let refusals = result.refusals.map { "\($0.layer): not quantized: \($0.remark)" }
    let whole = result.answers.text(
      SampleSplit.phrase(
        judging: result.answers.samples, calibrating: result.calibrationSamples,
        isHeldBack: result.isHeldBack, repeated: repeated) + ", all layers quantized")
    return ([table([header] + rows)] + refusals + ["", whole]).joined(separator: "\n")
  }
}
