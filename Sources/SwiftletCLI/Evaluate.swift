import ArgumentParser
import Swiftlet

struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure a classifier's accuracy.",
    discussion: """
      Images are prepared as the model's metadata say, or else as its input suggests. Without \
      :train in the data the test part is used.

        swiftlet evaluate seed.onnx --data fashion-mnist
      """)

  @Argument(help: "The ONNX file.")
  var model: String

  @OptionGroup var data: DataOptions

  @OptionGroup var open: ExtentOptions

  @Option(help: "Images per run.")
  var batch = 250

  @OptionGroup var precision: PrecisionOptions

  @OptionGroup var limits: LimitOptions

  @OptionGroup var common: CommonOptions

  @Option(
    help: ArgumentHelp(
      "The output with the scores; default: the first one that can hold them.", valueName: "output")
  )
  var judgedOutput: String?

  func validate() throws {
    try data.require()
    try check("--batch", batch, 1...65536)
  }

  func run() throws {
    let graph = try open.read(model)
    let images = try data.load(.test)
    let result = try locating(model) {
      try Evaluation.run(
        graph, on: images, batch: batch, threads: common.pool, precision: precision.precision,
        output: judgedOutput, progress: Console.progress)
    }
    if common.json { return try Console.json(result) }
    Console.endProgress()
    print(
      """
      top-1   \(fixed(result.top1, 4))
      top-5   \(fixed(result.top5, 4))
      loss    \(fixed(result.loss, 4))
      images  \(result.images), \(fixed(result.imagesPerSecond, 0)) per second
      """)
  }
}
