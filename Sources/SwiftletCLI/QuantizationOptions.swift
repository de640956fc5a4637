public import ArgumentParser
public import Swiftlet

extension RangeObserver: ExpressibleByArgument {}
extension ActivationType: ExpressibleByArgument {}
extension WeightRounding: ExpressibleByArgument {}

/// How `quantize` quantizes. What is left out keeps the settings' defaults.
struct QuantizationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "quantize: how ranges of activations are chosen: minmax clips nothing; percentile (default) clips the rarest; entropy keeps the distribution; mse has the least square error.",
      valueName: "observer"))
  var observer: RangeObserver?

  @Option(
    help: "quantize: percent of the values that the observer percentile keeps; default 99.999.")
  var percentile: Double?

  @Option(
    help:
      "quantize: bits of the weights, 8, 7 or 4; default 8. 7 are int8 that CPUs without VNNI multiply faster."
  )
  var bits: Int?

  @Option(
    help: ArgumentHelp(
      "quantize: activations become u8 (default), with a zero point, or s8, symmetric.",
      valueName: "type"))
  var activations: ActivationType?

  @Flag(
    help:
      "quantize: scales are powers of two, so that every runtime computes the same bits; costs accuracy."
  )
  var powerOfTwo = false

  @Flag(help: "quantize: weights alone; activations stay fp32, and nothing is calibrated.")
  var weightOnly = false

  @Flag(
    help:
      "quantize: restore weights of --weight-only by Cast and Mul, which onnxruntime computes once, and not by DequantizeLinear, which it fuses with products into operators that round activations too."
  )
  var plainWeights = false

  @Flag(help: "quantize: inputs of Gemm and MatMul, with ranges taken anew in every run.")
  var dynamic = false

  @Option(
    help:
      "quantize: consecutive weights that share a scale with --weight-only; 0: a whole channel; default 32 with 4 bits, 0 with 8."
  )
  var groupSize: Int?

  @Option(
    help: ArgumentHelp(
      "quantize: how weights are rounded: nearest (default), adaround (learned from responses) or gptq (errors made up for by later weights).",
      valueName: "way"))
  var rounding: WeightRounding?

  @Flag(help: "quantize: even out the ranges of channels between layers first.")
  var equalize = false

  @Flag(inversion: .prefixedNo, help: "quantize: take mean errors back in the biases.")
  var biasCorrection: Bool?

  @Option(
    help: ArgumentHelp(
      "quantize: move so much of the activations' range into the weights, 0 to 1 (SmoothQuant; for encoders, try 0.5).",
      valueName: "share"))
  var smooth: Double?

  @Option(help: "quantize: epochs of training with quantization in the loop; try 1 or 2.")
  var qatEpochs: Int?

  @Option(help: "quantize: highest learning rate of that training; default 2e-4.")
  var qatLr: Double?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("quantize: a layer that stays fp32; may be repeated.", valueName: "layer"))
  var keep: [String] = []

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "quantize: a layer whose weights get 4 bits; may be repeated.", valueName: "layer"))
  var narrow: [String] = []

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "quantize: a layer that multiplies bf16, and has its weights in it; may be repeated.",
      valueName: "layer"))
  var bf16: [String] = []

  @Option(
    help: ArgumentHelp(
      "quantize: choose fp32, bf16, int8 or int4 for each layer, from measured damage and milliseconds, so that with 95 % confidence, or that of --confidence, no more points of top-1 are lost.",
      valueName: "points"))
  var mixed: Double?

  @Option(
    help: ArgumentHelp(
      "quantize: keep what calibration has seen in this file, and go on from there.",
      valueName: "file"))
  var calibrationState: String?

  func validate() throws {
    if weightOnly && dynamic { throw ValidationError("give either --weight-only or --dynamic") }
  }

  /// The options that were given.
  var given: [String] {
    let options: [(name: String, isGiven: Bool)] = [
      ("--observer", observer != nil),
      ("--percentile", percentile != nil),
      ("--bits", bits != nil),
      ("--activations", activations != nil),
      ("--power-of-two", powerOfTwo),
      ("--weight-only and --dynamic", weightOnly || dynamic),
      ("--plain-weights", plainWeights),
      ("--group-size", groupSize != nil),
      ("--rounding", rounding != nil),
      ("--equalize", equalize),
      ("--bias-correction", biasCorrection != nil),
      ("--smooth", smooth != nil),
      ("--qat-epochs", qatEpochs != nil),
      ("--qat-lr", qatLr != nil),
      ("--keep", !keep.isEmpty),
      ("--narrow", !narrow.isEmpty),
      ("--bf16", !bf16.isEmpty),
      ("--mixed", mixed != nil),
      ("--calibration-state", calibrationState != nil),
    ]
    return options.filter(\.isGiven).map(\.name)
  }

  /// Whether weights alone change, each by itself.
  var worksWithoutSamples: Bool {
    (weightOnly && rounding ?? .nearest == .nearest || dynamic) && mixed == nil
      && qatEpochs ?? 0 == 0
  }

  /// The defaults with all that was given.
  var settings: QuantizationSettings {
    var settings = QuantizationSettings()
    if weightOnly { settings.mode = .weightOnly }
    if dynamic { settings.mode = .dynamic }
    settings.observer = observer ?? settings.observer
    settings.percentile = percentile ?? settings.percentile
    settings.bits = bits ?? settings.bits
    settings.activations = activations ?? settings.activations
    settings.powerOfTwo = powerOfTwo
    settings.plainWeights = plainWeights
    settings.groupSize = groupSize ?? settings.groupSize
    settings.rounding = rounding ?? settings.rounding
    settings.equalizes = equalize
    settings.correctsBias = biasCorrection ?? settings.correctsBias
    settings.smoothing = smooth
    settings.qatEpochs = qatEpochs ?? settings.qatEpochs
    settings.qatLearningRate = qatLr ?? settings.qatLearningRate
    settings.keep = keep
    settings.narrow = narrow
    settings.bf16 = bf16
    settings.mixedDrop = mixed
    settings.calibrationState = calibrationState
    return settings
  }
}
