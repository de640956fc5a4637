// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFiles
import SwiftletGraph

/// Which tensors the technique `quantize` converts to integers.
public enum QuantizationMode: String, Sendable, Codable, CaseIterable {
  /// Weights and activations, with activation ranges from calibration.
  case `static`
  /// Weights and the inputs of Gemm and MatMul, with ranges computed at run time.
  case dynamic
  /// Weights only; they are restored to fp32 before use.
  case weightOnly
}

/// How weights are rounded to integers.
public enum WeightRounding: String, Sendable, Codable, CaseIterable {
  /// Each weight to the nearest integer.
  case nearest
  /// Up or down, whichever minimizes the error of the layer's outputs: Nagel et al. 2020,
  /// arXiv:2004.10568.
  case adaround
  /// Column by column, with later columns compensating for the errors of earlier ones: Frantar et
  /// al. 2022, arXiv:2210.17323.
  case gptq
}

/// Settings of the technique `quantize`.
public struct QuantizationSettings: StepSettings {
  /// What is quantized; static by default.
  public var mode = QuantizationMode.static
  /// Bits per weight: 8 (default), 7 or 4. Weights of 7 bits are stored as int8 and multiply faster
  /// on CPUs without VNNI, because the sum of two products fits in 16 bits.
  public var bits = 8
  /// How activation ranges are chosen (`static`); `percentile` by default.
  public var observer = RangeObserver.percentile
  /// Percentage of the values that the observer `percentile` keeps, 50 to 100; 99.999 by default.
  public var percentile = 99.999
  /// Integer type of activations (`static`); `u8` by default.
  public var activations = ActivationType.u8
  /// Whether scales are powers of two: fp32 then represents every intermediate result exactly, so
  /// every runtime computes the same bits, with or without integer arithmetic. Costs up to one bit
  /// of resolution. Off by default; no effect in `dynamic`.
  public var powerOfTwo = false
  /// Number of consecutive weights that share a scale (`weightOnly`), 0 to 65536; 0 means all
  /// weights of an output channel. `nil` (default): 32 with 4 bits, else 0.
  public var groupSize: Int?
  /// How weights are rounded; to nearest by default. No effect in `dynamic`.
  public var rounding = WeightRounding.nearest
  /// Whether to equalize the channel ranges of consecutive layers first (`static`); off by default.
  public var equalize = false
  /// Whether to correct the mean error of each output channel in the bias (`static`); on by
  /// default.
  public var biasCorrection = true
  /// How much of the activations' range SmoothQuant moves into the weights (`static`), 0 to 1;
  /// `nil` (default): none.
  public var smoothing: Double?
  /// Number of epochs of quantization-aware training (`static`), 0 (default) to 10000. Needs
  /// labels.
  public var qatEpochs = 0
  /// Peak learning rate of that training, 1e-9 to 10; 2e-4 by default.
  public var qatLearningRate = 2e-4
  /// Names of the layers that stay fp32.
  public var keep: [String] = []
  /// Names of the layers whose weights get 4 bits; no effect in `dynamic`.
  public var int4: [String] = []
  /// Names of the layers that store and multiply bf16.
  public var bf16: [String] = []
  /// Accepted drop of the metric, by default of top-1 accuracy, in percentage points, or in the
  /// unit of a score that is not a fraction: precision is then chosen for each layer. `nil`
  /// (default): all layers alike.
  public var mixedDrop: Double?
  /// Confidence level for ``mixedDrop``, from 0.5 up to but not including 1; `nil` means 0.95.
  public var mixedConfidence: Double?
  /// Whether weights are restored by `Cast` and `Mul` instead of `DequantizeLinear` (`weightOnly`).
  /// Runtimes evaluate `Cast` and `Mul` once, while onnxruntime fuses `DequantizeLinear` into
  /// operators that also round their inputs. Off by default.
  public var plainWeights: Bool = false
  /// File that calibration saves its state to and resumes from; `nil` (default): none.
  public var calibrationState: String?
  /// Maximum number of calibration samples, 1 to 10 million; 512 by default.
  public var calibrationImages = 512

  /// Creates settings with the defaults: static int8.
  public init() {}

  public static let settings: [Setting<QuantizationSettings>] = [
    Setting(
      "mode", \.mode,
      help:
        "static: weights and activations, with ranges from calibration; dynamic: weights, and "
        + "inputs of Gemm and MatMul with ranges computed at run time; weightOnly: weights, "
        + "restored before use",
      shorthands: [
        SettingDescription.Shorthand("weightOnly", .text("weightOnly")),
        SettingDescription.Shorthand("dynamic", .text("dynamic")),
      ]),
    Setting(
      "bits", \.bits, values: [8, 7, 4],
      help:
        "number of bits per weight; 7 bits are stored as int8 and run faster on CPUs without VNNI"),
    Setting(
      "observer", \.observer,
      help:
        "how activation ranges are chosen: minmax clips nothing, percentile clips the most extreme "
        + "values, entropy preserves the distribution, mse minimizes the squared error"),
    Setting(
      "percentile", \.percentile, 50...100,
      help: "percentage of the values that the percentile observer keeps"),
    Setting(
      "activations", \.activations,
      help: "integer type of activations: u8, with a zero point, or s8, symmetric"),
    Setting(
      "powerOfTwo", \.powerOfTwo,
      help: "use powers of two as scales, so that every runtime computes the same bits"),
    Setting(
      "groupSize", \.groupSize, 0...65536,
      help: "number of consecutive weights that share a scale in weightOnly; 0: a whole channel",
      unset: "32 with 4 bits, else 0"),
    Setting(
      "rounding", \.rounding,
      help:
        "how weights are rounded: nearest, adaround (learned from layer outputs) or gptq (later "
        + "weights compensate for errors)"),
    Setting(
      "equalize", \.equalize, help: "first equalize the channel ranges of consecutive layers",
      aliases: ["equalizes"]),
    Setting(
      "biasCorrection", \.biasCorrection,
      help: "correct the mean error of each channel in the biases",
      aliases: ["correctsBias"]),
    Setting(
      "smoothing", \.smoothing, 0...1,
      help:
        "how much of the activations' range moves into the weights (SmoothQuant), 0 to 1; try 0.5 "
        + "for transformer encoders",
      unset: "none", aliases: ["smooth"]),
    Setting(
      "qatEpochs", \.qatEpochs, 0...10_000,
      help: "number of epochs of quantization-aware training; try 1 or 2"),
    Setting(
      "qatLearningRate", \.qatLearningRate, 1e-9...10,
      help: "peak learning rate of quantization-aware training", aliases: ["qatLr"]),
    Setting("keep", \.keep, help: "layers that stay fp32"),
    Setting(
      "int4", \.int4, help: "layers whose weights get 4 bits", aliases: ["narrow"]),
    Setting("bf16", \.bf16, help: "layers that use bf16 for weights and inputs"),
    Setting(
      "mixedDrop", \.mixedDrop, 0...1_000_000_000,
      help:
        "accepted drop of the metric, such as top-1 accuracy, in percentage points: chooses fp32, "
        + "bf16, int8 or int4 for each layer by measured damage and time",
      unset: "all layers alike", aliases: ["mixed"]),
    Setting(
      "mixedConfidence", \.mixedConfidence, 0.5..<1, isFraction: true,
      help: "confidence level for mixedDrop", unset: "0.95"),
    Setting(
      "plainWeights", \.plainWeights,
      help:
        "restore weights of weightOnly by Cast and Mul, which onnxruntime computes once, instead "
        + "of DequantizeLinear, which it fuses into products that also round activations"),
    Setting(
      "calibrationState", \.calibrationState,
      help: "file that calibration saves its state to and resumes from", unset: "none"),
    Setting(
      "calibrationImages", \.calibrationImages, 1...10_000_000,
      help: "maximum number of calibration samples", aliases: ["calibrationSize"]),
  ]

  /// Whether ``mixedDrop`` can choose the precision of each layer: only in static int8 without
  /// training.
  public var canMix: Bool { mode == .static && qatEpochs == 0 && bits == 8 }

  /// Whether the result depends on calibration samples.
  package var needsSamples: Bool { mode == .static || rounding != .nearest && mode == .weightOnly }

  /// Names of the layers that are not quantized to integers.
  var unquantized: Set<String> { Set(keep).union(bf16) }

  /// Bits per weight of a layer.
  func bits(of layer: Node) -> Int {
    Set(int4).isDisjoint(with: [layer.name, layer.outputs[0]]) ? bits : 4
  }

  /// The operator set that the weights require: 21 for 4 bits, 13 for per-channel scales.
  var opset: Int { bits == 4 || !int4.isEmpty ? 21 : 13 }

  /// `int8 static, mse, 512 images`.
  package func summary(_ samples: String) -> String {
    let kind =
      mode == .static ? "int\(bits) static, \(observer.rawValue)" : "int\(bits) \(mode.rawValue)"
    return kind + (needsSamples ? ", \(samples)" : "")
  }

  package var trains: Bool { qatEpochs > 0 }
  package var labelUse: String? {
    trains ? "quantization-aware training needs images with labels" : nil
  }
  package var integerBits: Int? { bits }
  package var confidence: Double? { mixedConfidence }

  /// The settings without training, which only recovers what earlier steps lost.
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

  /// Adopts the precisions that earlier steps chose for layers, and replaces factored layers by
  /// their parts.
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

  /// The digest of the calibration state to resume from.
  package func dependencies() throws -> [String] {
    guard let calibrationState, InputFile.exists(calibrationState) else { return [] }
    return [Digest.sha256(try InputFile.read(calibrationState, limit: .max))]
  }

  package static func upgrade(_ former: inout FormerSettings) {
    former.take("quantization")
    former.rename("equalizes", to: "equalize")
    former.rename("correctsBias", to: "biasCorrection")
  }

  package func idle(_ spelling: SettingSpelling) -> [IdleSetting] {
    let isStatic = mode == .static
    let place = "in \(mode == .weightOnly ? "weight-only" : mode.rawValue) quantization"
    func reason(_ isIdle: Bool, _ name: String, _ reason: String) -> IdleSetting? {
      isIdle ? IdleSetting(name: name, place: place, fix: "leave it out, as \(reason)") : nil
    }
    let ranges = "only static quantization chooses activation ranges"
    let found = [
      reason(
        mode != .weightOnly && groupSize != 0, "groupSize",
        "only weight-only quantization has groups"),
      reason(!isStatic, "observer", ranges),
      reason(!isStatic, "percentile", ranges),
      reason(!isStatic, "activations", ranges),
      reason(
        mode == .dynamic && powerOfTwo, "powerOfTwo",
        "dynamic quantization computes scales at run time"),
      reason(
        mode == .dynamic && rounding != .nearest, "rounding",
        "dynamic quantization rounds to nearest"),
      reason(mode == .dynamic, "int4", "dynamic quantization supports 8 or 7 bits"),
      reason(!isStatic && equalize, "equalize", "only static quantization equalizes"),
      reason(!isStatic, "smoothing", "only static quantization smooths"),
      reason(
        !isStatic && biasCorrection, "biasCorrection", "only static quantization corrects biases"),
      reason(!isStatic, "calibrationState", "nothing is calibrated"),
      reason(
        !needsSamples && labelUse == nil, "calibrationImages", "there is nothing to calibrate"),
    ]
    var idle = found.compactMap { $0 }
    if isStatic, observer != .percentile {
      idle.append(
        IdleSetting(
          name: "percentile", place: "with \(spelling("observer")) \(observer.rawValue)",
          fix: "leave one of them out"))
    }
    if qatEpochs == 0 {
      idle.append(
        IdleSetting(
          name: "qatLearningRate", place: "without training",
          fix: "add \(spelling("qatEpochs")), 1 or 2"))
    }
    return idle
  }

  /// - Throws: `badInput` naming a setting that is out of range or conflicts with another one.
  func validate() throws { try CompressionStep.quantize { $0 = self }.validate() }

  package func check(_ spelling: SettingSpelling, of technique: Technique) throws {
    func refuse(_ what: String, _ fix: String) -> SwiftletError {
      SwiftletError(.badInput, what, fix: fix)
    }
    let choices = [("keep", keep), ("int4", int4), ("bf16", bf16)]
    for (index, (name, layers)) in choices.enumerated() {
      for (other, others) in choices[(index + 1)...] {
        guard let both = layers.first(where: others.contains) else { continue }
        throw refuse(
          "layer '\(both)' is listed in both '\(spelling(name))' and '\(spelling(other))'",
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
        "mixed precision requires static int8", "leave \(mode), \(bits) and \(epochs) out")
    }
    if powerOfTwo && qatEpochs > 0 {
      throw refuse(
        "trained scales cannot be powers of two", "leave \(spelling("powerOfTwo")) out")
    }
    if plainWeights && (self.mode != .weightOnly || self.bits == 4 || groupSize ?? 0 > 0) {
      throw refuse(
        "\(spelling("plainWeights")) requires \(mode) weightOnly with 8 bits and a scale per "
          + "channel",
        "leave \(spelling("plainWeights")) out, or \(bits) and \(spelling("groupSize"))")
    }
    if self.mode == .dynamic && self.bits == 4 {
      throw refuse(
        "dynamic quantization supports 8 or 7 bits", "leave \(bits) out, or use \(mode) weightOnly")
    }
    if self.mode != .static && qatEpochs > 0 {
      throw refuse("only static quantization supports training", "leave \(epochs) out")
    }
  }
}

extension QuantizationMode: SettingChoice {}
extension WeightRounding: SettingChoice {}
extension RangeObserver: SettingChoice {}
extension ActivationType: SettingChoice {}

/// The technique `quantize`: converts weights, and activations if asked for, to integers.
package enum QuantizeTechnique: TechniqueDefinition {
  package static let name = "quantize"
  package static let summary = "converts weights and activations to 8, 7 or 4-bit integers"

  package static func makePass(_ settings: QuantizationSettings) -> any CompressionPass {
    QuantizePass(settings)
  }
}

extension Technique {
  /// Converts weights, and activations if asked for, to integers.
  public static let quantize = Technique(QuantizeTechnique.self)
}

extension CompressionStep {
  /// A step that converts weights, and activations if asked for, to integers.
  ///
  /// - Parameter change: Changes the default settings.
  public static func quantize(
    _ change: (inout QuantizationSettings) throws -> Void
  ) rethrows -> Self {
    try Self(.quantize, change)
  }
}
