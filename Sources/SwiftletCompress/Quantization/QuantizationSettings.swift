import SwiftletCore
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
public struct QuantizationSettings: Sendable, Codable, Equatable {
  public var mode = QuantizationMode.static
  /// Bits of the weights: 8, 7 or 4. Those of 7 are stored as int8, and multiplied faster by CPUs without VNNI:
  /// two products of them fit 16 bits.
  public var bits = 8
  public var observer = RangeObserver.percentile
  /// Percent of the values that the observer `percentile` keeps.
  public var percentile = 99.999
  public var activations = ActivationType.u8
  /// Whether scales are powers of two (`static`): fp32 then holds all that is computed exactly, so that
  /// every runtime, integers or not, comes to the same bits. Costs up to one bit of resolution.
  public var powerOfTwo = false
  /// Consecutive weights that share a scale (`weightOnly`); 0: all of an output channel do. `nil`: 32
  /// of 4 bits, all of 8.
  public var groupSize: Int?
  public var rounding = WeightRounding.nearest
  /// Evens out the ranges of channels between layers first.
  public var equalizes = false
  /// Takes the mean error of each output channel back, in the bias.
  public var correctsBias = true
  /// How much of the activations' range moves into the weights, 0 to 1; `nil`: none.
  public var smoothing: Double?
  /// Epochs of training with quantization in the loop.
  public var qatEpochs = 0
  /// The highest learning rate of that training.
  public var qatLearningRate = 2e-4
  /// Layers that stay as they are, by name.
  public var keep: [String] = []
  /// Layers whose weights get 4 bits, by name (`static`).
  public var narrow: [String] = []
  /// Layers that multiply bf16, by name.
  @EmptyIfAbsent public var bf16: [String] = []
  /// Points of top-1 accuracy that may be lost, in percent: precision is then chosen layer by layer.
  public var mixedDrop: Double?
  /// How sure that must be, above 0.5 and below 1; `nil`: 0.95.
  public var mixedConfidence: Double?
  /// Whether a `Cast` and a `Mul` restore weights (`weightOnly`), which runtimes compute once, and not a
  /// `DequantizeLinear`, which onnxruntime fuses with products into operators that round their inputs too.
  @EmptyIfAbsent public var plainWeights: Bool = false
  /// A file where calibration is kept while it runs, and continued from.
  public var calibrationState: String?

  public init() {}

  /// Whether precision can be chosen layer by layer.
  public var canMix: Bool { mode == .static && qatEpochs == 0 && bits == 8 }

  /// Whether samples decide what becomes of the model.
  var needsSamples: Bool { mode == .static || rounding != .nearest && mode == .weightOnly }

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
      note(!narrow.isEmpty && mode == .dynamic, "narrow", "dynamic quantization has 8 or 7 bits"),
      note(equalizes && !isStatic, "equalize", "it is for static quantization"),
      note(smoothing != nil && !isStatic, "smooth", "it is for static quantization"),
      note(
        !correctsBias && !isStatic, "biasCorrection",
        "biases are corrected in static quantization alone"),
      note(calibrationState != nil && !isStatic, "calibrationState", "nothing is calibrated"),
    ].compactMap { $0 }
  }

  /// Layers that no integers come to.
  var unquantized: Set<String> { Set(keep).union(bf16) }

  /// The bits of a layer's weights.
  func bits(of layer: Node) -> Int {
    Set(narrow).isDisjoint(with: [layer.name, layer.outputs[0]]) ? bits : 4
  }

  /// The operator set that the weights need: 21 for 4 bits, 13 for scales per channel.
  var opset: Int { bits == 4 || !narrow.isEmpty ? 21 : 13 }

  /// `int8 static, mse`, for progress.
  var summary: String {
    mode == .static ? "int\(bits) static, \(observer.rawValue)" : "int\(bits) \(mode.rawValue)"
  }

  /// - Throws: `badInput` naming the setting that is out of range, or does not go with another one.
  func validate() throws {
    func refuse(_ what: String, _ mend: String) -> SwiftletError {
      SwiftletError(.badInput, what, at: "quantize", mend: mend)
    }
    guard [8, 7, 4].contains(bits) else {
      throw refuse("bits \(bits) is not 8, 7 or 4", "use 8, 7 or 4")
    }
    let choices = [("keep", keep), ("narrow", narrow), ("bf16", bf16)]
    for (index, (name, layers)) in choices.enumerated() {
      for (other, others) in choices[(index + 1)...] {
        guard let both = layers.first(where: others.contains) else { continue }
        throw refuse(
          "layer '\(both)' is named by both '\(name)' and '\(other)'", "leave one of them out")
      }
    }
    guard 50...100 ~= percentile else {
      throw refuse("percentile \(plain(percentile)) is not between 50 and 100", "try 99.99")
    }
    guard 0...1 << 16 ~= groupSize ?? 0 else {
      throw refuse("groupSize \(groupSize ?? 0) is not between 0 and 65536", "try 32")
    }
    guard 0...1 ~= smoothing ?? 0 else {
      throw refuse("smoothing \(plain(smoothing ?? 0)) is not between 0 and 1", "try 0.5")
    }
    guard 0...10_000 ~= qatEpochs else {
      throw refuse("qatEpochs \(qatEpochs) is not between 0 and 10000", "try 1 or 2")
    }
    guard 0...100 ~= mixedDrop ?? 0 else {
      throw refuse("mixedDrop \(plain(mixedDrop ?? 0)) is not between 0 and 100", "try 0.5")
    }
    if let confidence = mixedConfidence {
      guard confidence >= 0.5, confidence < 1 else {
        throw refuse(
          "mixedConfidence \(plain(confidence)) is not between 0.5 and below 1", "try 0.95")
      }
      guard mixedDrop != nil else {
        throw refuse("mixedConfidence is of mixedDrop, which is not given", "give both, or neither")
      }
    }
    if mixedDrop != nil && !canMix {
      throw refuse(
        "mixed precision starts from static int8", "leave mode, bits and qatEpochs out")
    }
    guard 1e-9...10 ~= qatLearningRate else {
      throw refuse(
        "qatLearningRate \(plain(qatLearningRate)) is not between 1e-9 and 10", "try 2e-4")
    }
    if powerOfTwo && qatEpochs > 0 {
      throw refuse("trained steps are no powers of two", "leave powerOfTwo out")
    }
    if plainWeights && (mode != .weightOnly || bits == 4 || groupSize ?? 0 > 0) {
      throw refuse(
        "plain weights are for 8 bits with a scale per channel, weight-only",
        "leave plainWeights out, or bits and groupSize")
    }
    if mode == .dynamic && bits == 4 {
      throw refuse("dynamic quantization has 8 or 7 bits", "leave bits out, or use weightOnly")
    }
    if mode != .static && qatEpochs > 0 {
      throw refuse("only static quantization can be trained", "leave qatEpochs out")
    }
  }
}
