// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletGraph

/// The effect of static quantization on each layer of a model, and on the model's answers.
public struct Sensitivity: Sendable, Codable {
  /// The main cause of a layer's loss.
  public enum Cause: String, Sendable, Codable, CaseIterable {
    /// The layer loses little.
    case none
    /// The weights of some input channels are far larger than those of the others.
    case unevenWeights
    /// The weights have too few bits.
    case weights
    /// A few channels of the input are far larger than the others.
    case outlierChannels
    /// Much of the input lies outside the chosen range.
    case clipping
    /// The input has too wide a distribution for 8 bits.
    case activations

    /// The options to try.
    ///
    /// - Parameters:
    ///   - bits: Bits per weight in the measurement.
    ///   - hasLabels: Whether the samples have labels, which training needs.
    public func remedy(bits: Int, hasLabels: Bool) -> String {
      switch self {
      case .none: ""
      case .unevenWeights: "--equalize"
      case .weights: "--rounding adaround, or " + (bits < 8 ? "--bits 8" : "--keep this layer")
      case .outlierChannels: "--smoothing 0.5 for Gemm and MatMul, --equalize for Conv"
      case .clipping: "--observer minmax, or a higher --percentile"
      case .activations: "--keep this layer" + (hasLabels ? ", or --qat-epochs 1" : "")
      }
    }
  }

  /// One quantizable layer. Signal-to-noise ratios are in dB, from −200 to 200; those of answers
  /// are −∞ (`null` in JSON) if quantizing the layer makes finite answers NaN or infinite.
  public struct Layer: Sendable, Codable {
    /// The name of the layer.
    public let layer: String
    /// The operator: Conv, Gemm or MatMul.
    public let op: String
    /// Number of weights.
    public let weights: Int
    /// Signal-to-noise ratio of the quantized weights.
    @FiniteOrNull public private(set) var weightDecibels: Double
    /// Signal-to-noise ratio of the quantized input of the layer.
    @FiniteOrNull public private(set) var inputDecibels: Double
    /// Signal-to-noise ratio of the model's worst output with only this layer's weights quantized.
    @FiniteOrNull public private(set) var answersByWeights: Double
    /// The same with only this layer's input quantized.
    @FiniteOrNull public private(set) var answersByInput: Double
    /// The same with this layer's weights and input quantized.
    @FiniteOrNull public private(set) var answers: Double
    /// Percentage of the input's values that are clipped.
    public let clippedPercent: Double
    /// Ratio of the largest input channel's magnitude to that of the median channel.
    public let outlierRatio: Double
    /// Indices of input channels larger than ten times the median, largest first; at most eight.
    public let outlierChannels: [Int]
    /// How much worse the model is by the metric with this layer's weights and input quantized, as
    /// ``PairedTest/drop``; `nil` if no metric was chosen.
    public fileprivate(set) var drop: Double?
    /// The main cause of the loss.
    public let cause: Cause
    /// The options to try; empty if the layer loses little.
    public let remedy: String

    /// ``answers`` as the ratio of noise power to signal power.
    var noiseToSignal: Double { SignalToNoise.noiseToSignal(answers) }
  }

  /// The quantizable layers, in the order of the model; if a metric was chosen, the largest drop
  /// first.
  public let layers: [Layer]
  /// Layers that cannot be quantized, with reasons.
  public let refusals: [LayerReport]
  /// How the answers of the fully quantized model agree with the original's.
  public let answers: Agreement
  /// Number of calibration samples.
  public let calibrationSamples: Int
  /// Whether answers were compared on other samples than those used for calibration.
  public let isHeldBack: Bool

  /// Measures the sensitivity of each layer to static quantization, by comparing the answers of
  /// three variants of the model per layer.
  ///
  /// - Parameters:
  ///   - graph: A model in fp32.
  ///   - settings: How layers are quantized; the mode is taken as static.
  ///   - source: Calibration samples.
  ///   - judging: Samples to compare answers on; by default the calibration samples.
  ///   - judge: Judges the model with each layer quantized by a metric; `nil`: answers are only
  ///     compared.
  ///   - threads: Threads to compute with.
  ///   - progress: Called for each batch that is calibrated and each layer that is measured.
  ///
  /// - Throws: The errors of ``Quantizer/apply(to:_:)``.
  public static func measure(
    _ graph: Graph, _ settings: QuantizationSettings, _ source: CalibrationSource,
    judging: CalibrationSource? = nil, judge: Judge? = nil, threads: Threads = .available,
    progress: Progress.Handler? = nil
  ) throws -> Sensitivity {
    let judges = judging ?? source
    try settings.validate()
    var settings = settings
    try settings.resolve(for: [graph])
    let prepared = try QuantizationInput(
      graph.foldingWeights(), opset: settings.opset, source, threads)
    let scheme = try QuantizationScheme(
      prepared.graph, prepared.infos, keeping: settings.unquantized)
    try scheme.requireLayers()
    let quantization = StaticQuantization(settings: settings, threads: threads, progress: progress)
    let calibration = try quantization.calibrate(prepared.graph, scheme, source)
    let grids = quantization.activationGrids(scheme, calibration)
    var layers: [Layer] = []
    let before = try judge?.judge(graph)
    for layer in scheme.layers {
      try progress?(
        Progress("measure", completed: layers.count, total: scheme.layers.count))
      let weights = WeightGrid(settings, layer.node).nearest(layer)
      func variant(_ quantizesWeights: Bool, _ quantizesInput: Bool) -> Graph {
        var writer = QDQWriter(prepared.graph)
        if quantizesWeights { writer.replaceWeights(of: layer, with: weights) }
        if quantizesInput { writer.quantize(layer.input, grids[layer.input]!, for: layer.index) }
        return writer.result()
      }
      func answers(_ quantizesWeights: Bool, _ quantizesInput: Bool) throws -> Double {
        try Agreement.measure(
          prepared.graph, variant(quantizesWeights, quantizesInput), judges, threads: threads
        ).decibels
      }
      let damage = Damage(
        layer, weights, grids[layer.input]!, calibration,
        byWeights: try answers(true, false), byInput: try answers(false, true),
        byBoth: try answers(true, true)
      ) { $0.remedy(bits: settings.bits(of: layer.node), hasLabels: source.hasLabels) }
      var own = damage.layer
      if let judge, let before {
        own.drop = PairedTest(before, try judge.judge(variant(true, true))).drop
      }
      layers.append(own)
    }
    let whole = try Quantizer(settings, threads: threads, progress: progress)
      .apply(to: graph, source).graph
    // The order of equal drops stays that of the model.
    let ranked = layers.enumerated().sorted {
      ($1.element.drop ?? 0, $0.offset) < ($0.element.drop ?? 0, $1.offset)
    }.map(\.element)
    return Sensitivity(
      layers: ranked,
      refusals: scheme.refusals.map { LayerReport($0.node, .quantize, changed: false, $0.reason) },
      answers: try Agreement.measure(graph, whole, judges, threads: threads),
      calibrationSamples: source.count, isHeldBack: judging != nil)
  }
}

/// The measurements of one layer.
private struct Damage {
  let layer: Sensitivity.Layer

  /// A layer with at least this signal-to-noise ratio, in dB, needs no attention.
  private static let enough = 35.0

  init(
    _ layer: QuantizationScheme.Layer, _ weights: QuantizedWeights, _ grid: ActivationGrid,
    _ calibration: Calibration, byWeights: Double, byInput: Double, byBoth: Double,
    remedy: (Sensitivity.Cause) -> String
  ) {
    let histogram = calibration.values[layer.input]!
    var (signal, noise, clipped) = (0.0, 0.0, 0.0)
    histogram.forEachBin { value, count in
      let steps = (value / Double(grid.scale)).rounded(.toNearestOrEven)
      let code = min(max(steps, Double(grid.lowest)), Double(grid.highest))
      if code != steps { clipped += count }
      let error = value - code * Double(grid.scale)
      signal += count * value * value
      noise += count * error * error
    }
    var own = SignalToNoise()
    own.add(layer.weights, weights.restored)
    let ranges = calibration.channels[layer.input]?.largest ?? []
    let outliers = Outliers(ranges)
    let clippedPercent = 100 * clipped / Double(max(1, histogram.count))
    let inputDecibels = SignalToNoise(signal: signal, noise: noise).decibels
    let cause: Sensitivity.Cause =
      if byBoth >= Self.enough {
        .none
      } else if byWeights < byInput {
        Self.unevenness(layer) > 30 ? .unevenWeights : .weights
      } else if clippedPercent > 1 {
        .clipping
      } else {
        outliers.ratio > 10 ? .outlierChannels : .activations
      }
    self.layer = Sensitivity.Layer(
      layer: layer.node.reportName,
      op: layer.node.opType, weights: layer.weights.count, weightDecibels: own.decibels,
      inputDecibels: inputDecibels,
      answersByWeights: byWeights, answersByInput: byInput, answers: byBoth,
      clippedPercent: clippedPercent, outlierRatio: outliers.ratio,
      outlierChannels: outliers.channels, cause: cause, remedy: remedy(cause))
  }

  /// Ratio of the largest to the median input channel's weights, which share a scale per output
  /// channel.
  private static func unevenness(_ layer: QuantizationScheme.Layer) -> Double {
    // Of several groups, the channels at the same places count as one.
    let channels = layer.layout.inputsPerGroup
    var largest = [Float](repeating: 0, count: channels)
    for (position, weight) in layer.weights.elements.enumerated() {
      let channel = layer.layout.channels(at: position).input % channels
      largest[channel] = max(largest[channel], abs(weight))
    }
    return Outliers(largest).ratio
  }
}

/// Channels far larger than the median.
private struct Outliers {
  let ratio: Double
  let channels: [Int]

  init(_ ranges: [Float]) {
    let sorted = ranges.sorted()
    guard let largest = sorted.last, sorted[sorted.count / 2] > 0 else {
      (ratio, channels) = (1, [])
      return
    }
    let median = sorted[sorted.count / 2]
    ratio = Double(largest / median)
    let far = ranges.indices.filter { ranges[$0] > 10 * median }
    channels = Array(far.sorted { (ranges[$1], $0) < (ranges[$0], $1) }.prefix(8))
  }
}
