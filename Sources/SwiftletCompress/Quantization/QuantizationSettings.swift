// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFiles
import SwiftletGraph

/// What the technique `quantize` turns into integers.
public enum QuantizationMode: String, Sendable, Codable, CaseIterable {
  /// Weights and activations; the ranges of activations come from calibration.
  case `static`
  /// Weights, and the inputs of Gemm and MatMul, whose range is taken anew in every run.
  case dynamic
  /// Weights alone; they are restored before they are used.
  case weightOnly
}

/// How weights are rounded to integers.
public enum WeightRounding: String, Sendable, Codable, CaseIterable {
  /// Each to the nearest one.
  case nearest
  /// Up or down, as suits the layer's responses best: Nagel et al. 2020, arXiv:2004.10568.
  case adaround
  /// Column by column, later ones making up for the errors of earlier ones: Frantar et al. 2022,
  /// arXiv:2210.17323.
  case gptq
}

/// Settings of the technique `quantize`.
public struct QuantizationSettings: StepSettings {
  public var mode = QuantizationMode.static
  /// Bits of the weights: 8, 7 or 4. Those of 7 are stored as int8, and multiplied faster by CPUs
  /// without VNNI: two products of them fit 16 bits.
  public var bits = 8
  public var observer = RangeObserver.percentile
  /// Percent of the values that the observer `percentile` keeps.
  public var percentile = 99.999
  public var activations = ActivationType.u8
  /// Whether scales are powers of two (`static`): fp32 then holds all that is computed exactly, so
  /// that every runtime, integers or not, comes to the same bits. Costs up to one bit of
  /// resolution.
  public var powerOfTwo = false
  /// Consecutive weights that share a scale (`weightOnly`); 0: all of an output channel do. `nil`:
  /// 32 of 4 bits, all of 8.
  public var groupSize: Int?
  public var rounding = WeightRounding.nearest
  /// Evens out the ranges of channels between layers first.
  public var equalize = false
  /// Takes the mean error of each output channel back, in the bias.
  public var biasCorrection = true
  /// How much of the activations' range moves into the weights, 0 to 1; `nil`: none.
  public var smoothing: Double?
  /// Epochs of training with quantization in the loop.
  public var qatEpochs = 0
  /// The highest learning rate of that training.
  public var qatLearningRate = 2e-4
  /// Layers that stay as they are, by name.
  public var keep: [String] = []
  /// Layers whose weights get 4 bits, by name (`static`).
  public var int4: [String] = []
  /// Layers that multiply bf16, by name.
  public var bf16: [String] = []
  /// Points of top-1 accuracy that may be lost, in percent: precision is then chosen layer by
  /// layer.
  public var mixedDrop: Double?
  /// How sure that must be, above 0.5 and below 1; `nil`: 0.95.
  public var mixedConfidence: Double?
  /// Whether a `Cast` and a `Mul` restore weights (`weightOnly`), which runtimes compute once, and
  /// not a `DequantizeLinear`, which onnxruntime fuses with products into operators that round
  /// their inputs too.
  public var plainWeights: Bool = false
  /// A file where calibration is kept while it runs, and continued from.
  public var calibrationState: String?
  /// Samples to calibrate with.
  public var calibrationImages = 512

  public init() {}

  public static let settings: [Setting<QuantizationSettings>] = [
    Setting(
      "mode", \.mode,
      help:
        "static: weights and activations, with ranges from calibration; dynamic: inputs of Gemm and "
        + "MatMul by their range in each run; weightOnly: weights, restored before use",
      shorthands: [
        SettingDescription.Shorthand("weightOnly", .text("weightOnly")),
        SettingDescription.Shorthand("dynamic", .text("dynamic")),
      ]),
    Setting(
      "bits", \.bits, values: [8, 7, 4],
      help: "number of bits per weight; 7 are stored as int8, and faster on CPUs without VNNI"),
    Setting(
      "observer", \.observer,
      help:
        "how ranges of activations are chosen: minmax clips nothing, percentile clips the rarest "
        + "values, entropy keeps the distribution, mse has the least square error"),
    Setting(
      "percentile", \.percentile, 50...100,
      help: "percentage of the values that the observer percentile keeps"),
    Setting(
      "activations", \.activations,
      help: "type of activations: u8, with a zero point, or s8, symmetric"),
    Setting(
      "powerOfTwo", \.powerOfTwo,
      help: "use powers of two as scales, so that every runtime computes the same bits"),
    Setting(
      "groupSize", \.groupSize, 0...65536,
      help: "number of consecutive weights that share a scale in weightOnly; 0: a whole channel",
      unset: "32 with 4 bits, else 0"),
    Setting(
      "rounding", \.rounding,
      help: "how weights are rounded: nearest, adaround (learned from responses) or gptq (later "
        + "weights make up for errors)"),
    Setting(
      "equalize", \.equalize, help: "first even out the ranges of channels between layers",
      aliases: ["equalizes"]),
    Setting(
      "biasCorrection", \.biasCorrection, help: "correct mean errors in the biases",
      aliases: ["correctsBias"]),
    Setting(
      "smoothing", \.smoothing, 0...1,
      help: "how much of the activations' range moves into the weights (SmoothQuant); for "
        + "transformer encoders try 0.5",
      unset: "none", aliases: ["smooth"]),
    Setting(
      "qatEpochs", \.qatEpochs, 0...10_000,
      help: "number of epochs of quantization-aware training; try 1 or 2"),
    Setting(
      "qatLearningRate", \.qatLearningRate, 1e-9...10,
      help: "highest learning rate of that training", aliases: ["qatLr"]),
    Setting("keep", \.keep, help: "layers that stay fp32"),
    Setting(
      "int4", \.int4, help: "layers whose weights get 4 bits", aliases: ["narrow"]),
    Setting("bf16", \.bf16, help: "layers that store and multiply bf16"),
    Setting(
      "mixedDrop", \.mixedDrop, 0...100,
      help:
        "points of top-1 accuracy that may be lost, in percent: fp32, bf16, int8 or int4 is then "
        + "chosen for each layer, by measured damage and time",
      unset: "all layers alike", aliases: ["mixed"]),
    Setting(
      "mixedConfidence", \.mixedConfidence, 0.5..<1,
      help: "confidence level for mixedDrop, as a fraction", unset: "0.95"),
    Setting(
      "plainWeights", \.plainWeights,
      help:
        "restore weights of weightOnly by Cast and Mul, which onnxruntime computes once, and not "
        + "by DequantizeLinear, which it fuses into products that round activations too"),
    Setting(
      "calibrationState", \.calibrationState,
      help: "file that keeps what calibration has seen, and from which it continues", unset: "none"),
    Setting(
      "calibrationImages", \.calibrationImages, 1...10_000_000,
      help: "number of samples to calibrate with", aliases: ["calibrationSize"]),
  ]

  /// Whether precision can be chosen layer by layer.
  public var canMix: Bool { mode == .static && qatEpochs == 0 && bits == 8 }

  /// Whether samples decide what becomes of the model.
  package var needsSamples: Bool { mode == .static || rounding != .nearest && mode == .weightOnly }

  /// Settings that were changed and that the mode does not look at, for a person.
  package var withoutEffect: [String] {
    let (isStatic, usual) = (mode == .static, QuantizationSettings())
    func note(_ isIdle: Bool, _ name: String, _ reason: String) -> String? {
      isIdle ? "\(name) has no effect: \(reason)" : nil
    }
    let ranges = "ranges of activations are chosen in static quantization alone"
    return [
      note(groupSize != nil && mode != .weightOnly, "groupSize", "groups are for weight-only"),
      note(observer != usual.observer && !isStatic, "observer", ranges),
      note(
        percentile != usual.percentile && (!isStatic || observer != .percentile), "percentile",
        isStatic ? "the observer is \(observer.rawValue)" : ranges),
      note(activations != usual.activations && !isStatic, "activations", ranges),
      note(powerOfTwo && mode == .dynamic, "powerOfTwo", "scales of inputs follow their ranges"),
      note(
        rounding != .nearest && mode == .dynamic, "rounding",
        "dynamic quantization rounds to the nearest"),
      note(!int4.isEmpty && mode == .dynamic, "int4", "dynamic quantization has 8 or 7 bits"),
      note(equalize && !isStatic, "equalize", "it is for static quantization"),
      note(smoothing != nil && !isStatic, "smoothing", "it is for static quantization"),
      note(
        !biasCorrection && !isStatic, "biasCorrection",
        "biases are corrected in static quantization alone"),
      note(calibrationState != nil && !isStatic, "calibrationState", "nothing is calibrated"),
    ].compactMap { $0 }
  }

  /// Layers that no integers come to.
  var unquantized: Set<String> { Set(keep).union(bf16) }

  /// The bits of a layer's weights.
  func bits(of layer: Node) -> Int {
    Set(int4).isDisjoint(with: [layer.name, layer.outputs[0]]) ? bits : 4
  }

  /// The operator set that the weights need: 21 for 4 bits, 13 for scales per channel.
  var opset: Int { bits == 4 || !int4.isEmpty ? 21 : 13 }

  /// `int8 static, mse, 512 images`.
  package func summary(_ samples: String) -> String {
    let kind =
      mode == .static ? "int\(bits) static, \(observer.rawValue)" : "int\(bits) \(mode.rawValue)"
    return kind + (needsSamples ? ", \(samples)" : "")
  }

  package var trains: Bool { qatEpochs > 0 }
  package var labelUse: String? {
    if trains { return "quantization-aware training learns from images with labels" }
    return mixedDrop == nil
      ? nil : "mixed precision is chosen by the accuracy on images with labels"
  }
  package var integerBits: Int? { bits }
  package var confidence: Double? { mixedConfidence }

  /// Training is for what the earlier steps lost.
  package var alone: QuantizationSettings {
    var settings = self
    settings.qatEpochs = 0
    return settings
  }

  package func hasty(samples: Int, of technique: Technique) -> QuantizationSettings? {
    var settings = self
    settings.calibrationImages = samples
    settings.qatEpochs = 0
    (settings.mixedDrop, settings.mixedConfidence) = (nil, nil)
    settings.rounding = .nearest
    return settings
  }

  /// Keeps to the precisions that earlier steps chose for layers, and names layers that were
  /// factored by the names of their parts.
  package mutating func follow(_ layers: [LayerReport]) {
    let given = self
    for layer in layers {
      for names in [\QuantizationSettings.keep, \.int4, \.bf16]
      where given[keyPath: names].contains(layer.layer) {
        self[keyPath: names] += layer.parts ?? []
      }
    }
    for layer in layers {
      let names = layer.parts ?? [layer.layer]
      if layer.precision == .fp32 { keep += names }
      if layer.precision == .bf16 { bf16 += names }
      if layer.precision == .int4, mode == .static { int4 += names }
    }
  }

  /// Of the calibration that is continued.
  package func dependencies() throws -> [String] {
    guard let calibrationState, InputFile.exists(calibrationState) else { return [] }
    return [Digest.sha256(try InputFile.read(calibrationState, limit: .max))]
  }

  package static func upgrade(_ former: inout FormerSettings) {
    former.take("quantization")
    former.rename("equalizes", to: "equalize")
    former.rename("correctsBias", to: "biasCorrection")
  }

  package mutating func settle(_ given: GivenSettings) throws {
    guard !given.has("qatLearningRate") || given.has("qatEpochs") else {
      throw given.idle(
        "qatLearningRate", "without training", "add \(given.spelling("qatEpochs")), 1 or 2")
    }
    let idle = [
      ("calibrationImages", needsSamples || labelUse != nil, "there is nothing to calibrate"),
      (
        "biasCorrection", mode == .static || !biasCorrection,
        "only static quantization corrects biases"
      ),
    ]
    for (name, isRead, reason) in idle where !isRead && given.isOwn(name) {
      let kind = mode == .dynamic ? "dynamic" : "weight-only"
      throw given.idle(name, "in \(kind) quantization", "leave it out, as \(reason)")
    }
  }

  /// - Throws: `badInput` naming the setting that is out of range, or does not go with another one.
  func validate() throws { try CompressionStep.quantize { $0 = self }.validate() }

  package func check(_ spelling: SettingSpelling, of technique: Technique) throws {
    func refuse(_ what: String, _ fix: String) -> SwiftletError {
      SwiftletError(.badInput, what, mend: fix)
    }
    let choices = [("keep", keep), ("int4", int4), ("bf16", bf16)]
    for (index, (name, layers)) in choices.enumerated() {
      for (other, others) in choices[(index + 1)...] {
        guard let both = layers.first(where: others.contains) else { continue }
        throw refuse(
          "layer '\(both)' is named by both '\(spelling(name))' and '\(spelling(other))'",
          "leave one of them out")
      }
    }
    let (mode, bits, epochs) = (spelling("mode"), spelling("bits"), spelling("qatEpochs"))
    guard mixedConfidence == nil || mixedDrop != nil else {
      throw refuse(
        "\(spelling("mixedConfidence")) does nothing without \(spelling("mixedDrop"))",
        "give both, or neither")
    }
    if mixedDrop != nil && !canMix {
      throw refuse(
        "mixed precision starts from static int8", "leave \(mode), \(bits) and \(epochs) out")
    }
    if powerOfTwo && qatEpochs > 0 {
      throw refuse(
        "scales that are trained are not powers of two", "leave \(spelling("powerOfTwo")) out")
    }
    if plainWeights && (self.mode != .weightOnly || self.bits == 4 || groupSize ?? 0 > 0) {
      throw refuse(
        "\(spelling("plainWeights")) is for \(mode) weightOnly with 8 bits and a scale per channel",
        "leave \(spelling("plainWeights")) out, or \(bits) and \(spelling("groupSize"))")
    }
    if self.mode == .dynamic && self.bits == 4 {
      throw refuse(
        "dynamic quantization has 8 or 7 bits", "leave \(bits) out, or use \(mode) weightOnly")
    }
    if self.mode != .static && qatEpochs > 0 {
      throw refuse("only static quantization can be trained", "leave \(epochs) out")
    }
  }
}

extension QuantizationMode: SettingChoice {}
extension WeightRounding: SettingChoice {}
extension RangeObserver: SettingChoice {}
extension ActivationType: SettingChoice {}

/// Weights, and activations where wanted, become integers.
package enum QuantizeTechnique: TechniqueDefinition {
  package static let name = "quantize"
  package static let summary = "turns weights and activations into integers of 8, 7 or 4 bits"

  package static func makePass(_ settings: QuantizationSettings) -> any CompressionPass {
    QuantizePass(settings)
  }
}

extension Technique {
  /// Weights, and activations where wanted, become integers.
  public static let quantize = Technique(QuantizeTechnique.self)
}

extension CompressionStep {
  /// Weights, and activations where wanted, become integers.
  public static func quantize(
    _ change: (inout QuantizationSettings) throws -> Void
  ) rethrows -> Self {
    try Self(.quantize, change)
  }
}
