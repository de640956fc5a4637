// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletGraph

/// What quantization does to each layer of a model, and to the model through it.
public struct Sensitivity: Sendable, Codable {
  /// Why a layer loses what it loses.
  public enum Cause: String, Sendable, Codable, CaseIterable {
    /// Nothing to worry about.
    case none
    /// The weights of some output channels span much more than the others'.
    case unevenWeights
    /// The weights are too coarse.
    case weights
    /// A few channels of the input are far larger than the others.
    case outlierChannels
    /// Much of the input lies outside of the range that was chosen.
    case clipping
    /// The input spreads over too many steps.
    case activations

    /// What to try where weights were measured with so many bits, and with labels, by which the
    /// model could be trained.
    public func mend(bits: Int, hasLabels: Bool) -> String {
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

  /// One layer that can be quantized. Ratios are in dB, signal to noise, from −200 to 200; those of
  /// answers are −∞ (`null` in JSON) where the layer makes answers NaN or infinite that are finite
  /// without.
  public struct Layer: Sendable, Codable {
    public let layer: String
    public let op: String
    /// How many weights it has.
    public let weights: Int
    /// Of the weights, and of the layer's input, for themselves.
    @FiniteOrNull public private(set) var weightDecibels: Double
    @FiniteOrNull public private(set) var inputDecibels: Double
    /// Of the worst of the model's outputs with only this layer's weights, only its input, and both
    /// quantized.
    @FiniteOrNull public private(set) var answersByWeights: Double
    @FiniteOrNull public private(set) var answersByInput: Double
    @FiniteOrNull public private(set) var answers: Double
    /// Percent of the input's values that are clipped.
    public let clippedPercent: Double
    /// The largest magnitude of an input channel over the median channel's.
    public let outlierRatio: Double
    /// Input channels beyond ten times the median, largest first, eight at most.
    public let outlierChannels: [Int]
    public let cause: Cause
    public let mend: String

    /// ``answers`` as a ratio: power of the differences over that of the answers.
    var noiseToSignal: Double { SignalToNoise.noiseToSignal(answers) }
  }

  /// In the order of the model.
  public let layers: [Layer]
  /// Layers that cannot be quantized, and why.
  public let refusals: [LayerReport]
  /// Of the answers with everything quantized.
  public let answers: Agreement
  /// Samples that were calibrated with.
  public let calibrationSamples: Int
  /// Whether the answers are to other samples than those.
  public let isHeldBack: Bool

  /// The settings say how layers are quantized; the mode is static. Answers are those to the
  /// samples of `judging`, by default to those that were calibrated with.
  ///
  /// - Throws: As ``Quantizer/apply(to:_:)``.
  public static func measure(
    _ graph: Graph, _ settings: QuantizationSettings, _ source: CalibrationSource,
    judging: CalibrationSource? = nil, threads: Threads = .available,
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
    for layer in scheme.layers {
      try progress?(
        Progress("measure", completed: layers.count, total: scheme.layers.count))
      let weights = WeightGrid(settings, layer.node).nearest(layer)
      func answers(_ quantizesWeights: Bool, _ quantizesInput: Bool) throws -> Double {
        var writer = QDQWriter(prepared.graph)
        if quantizesWeights { writer.replaceWeights(of: layer, with: weights) }
        if quantizesInput { writer.quantize(layer.input, grids[layer.input]!, for: layer.index) }
        return try Agreement.measure(prepared.graph, writer.result(), judges, threads: threads)
          .decibels
      }
      let damage = Damage(
        layer, weights, grids[layer.input]!, calibration,
        byWeights: try answers(true, false), byInput: try answers(false, true),
        byBoth: try answers(true, true)
      ) { $0.mend(bits: settings.bits(of: layer.node), hasLabels: source.hasLabels) }
      layers.append(damage.layer)
    }
    let whole = try Quantizer(settings, threads: threads, progress: progress)
      .apply(to: graph, source).graph
    return Sensitivity(
      layers: layers,
      refusals: scheme.refusals.map { LayerReport($0.node, .quantize, changed: false, $0.reason) },
      answers: try Agreement.measure(graph, whole, judges, threads: threads),
      calibrationSamples: source.count, isHeldBack: judging != nil)
  }
}

/// What is found out about one layer.
private struct Damage {
  let layer: Sensitivity.Layer

  /// Better than this, a layer is no reason to do anything.
  private static let enough = 35.0

  init(
    _ layer: QuantizationScheme.Layer, _ weights: QuantizedWeights, _ grid: ActivationGrid,
    _ calibration: Calibration, byWeights: Double, byInput: Double, byBoth: Double,
    mend: (Sensitivity.Cause) -> String
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
      outlierChannels: outliers.channels, cause: cause, mend: mend(cause))
  }

  /// The largest over the median weight of input channels: a scale per output channel has to hold
  /// them all.
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

/// Channels that are far larger than most.
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
