// SPDX-License-Identifier: Apache-2.0

import Logging
public import SwiftletCore
import SwiftletFormats
public import SwiftletGraph

/// Post-training quantization of weights and activations.
///
/// Weights: int8 (or int4), symmetric, one scale per output channel. Activations: 8 bits, from
/// ranges that an observer chooses from what calibration has seen. Biases: int32 in units of the
/// product of both scales. The result is ordinary ONNX: QuantizeLinear and DequantizeLinear around
/// the values and behind the weights, which runtimes turn into integer layers.
///
/// - Source: Krishnamoorthi 2018, arXiv:1806.08342; Jacob et al. 2018; Nagel et al. 2021,
///   arXiv:2106.08295.
public struct StaticQuantization: Sendable {
  private let settings: QuantizationSettings
  private let threads: Threads
  private let progress: Progress.Handler?
  private let log = Logger.swiftlet("compress")

  public init(
    settings: QuantizationSettings, threads: Threads = .available,
    progress: Progress.Handler? = nil
  ) {
    (self.settings, self.threads, self.progress) = (settings, threads, progress)
  }

  /// - Throws: `unsupported` if the graph has no layer to quantize, or is quantized already;
  ///   `numerical` if calibration meets values that are not finite.
  public func apply(
    to graph: Graph, _ source: CalibrationSource
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    let draft = try draft(of: graph, source)
    let rounder = try WeightRounder(
      draft.scheme.sharing4Bits(settings), draft.graph, draft.scheme, source, threads, progress)
    return try draft.written(settings) { layer in
      let weights = try rounder.quantized(
        layer, WeightLayout(layer.weights.shape, axis: layer.axis))
      return (weights, try corrected(layer, weights, draft.calibration) ?? layer.bias)
    }
  }

  /// All but the weights: the graph with its ranges balanced, what is to be quantized, and how.
  func draft(of graph: Graph, _ source: CalibrationSource) throws -> QuantizationDraft {
    let prepared = try QuantizationInput(
      graph, opset: settings.opset, source, threads)
    var graph = prepared.graph
    var infos = prepared.infos
    if let share = settings.smoothing { graph = try smoothed(graph, &infos, share, source) }
    if settings.equalize {
      let (equalized, pairs) = try CrossLayerEqualization().apply(to: graph, infos)
      graph = equalized
      if pairs == 0 {
        log.notice(
          """
          equalize changed nothing: no two layers follow each other with weights of their own and only \
          what lets factors through between them
          """)
      }
    }
    let scheme = try QuantizationScheme(graph, infos, keeping: settings.unquantized)
    try scheme.requireLayers()
    let calibration = try calibrate(graph, scheme, source)
    return QuantizationDraft(
      graph: graph, infos: infos, scheme: scheme, calibration: calibration,
      grids: activationGrids(scheme, calibration))
  }

  func calibrate(
    _ graph: Graph, _ scheme: QuantizationScheme, _ source: CalibrationSource
  ) throws -> Calibration {
    let inputs = scheme.layers.map { ($0.input, !$0.isConv) }
    var calibration = try Calibration(
      graph, values: scheme.values, channels: Dictionary(inputs) { first, _ in first })
    if let path = settings.calibrationState,
      let stored = try Calibration.load(path, fitting: calibration, source)
    {
      calibration = stored
    }
    try calibration.run(
      graph, source, threads: threads, saving: settings.calibrationState, progress: progress)
    return calibration
  }

  /// The model with what SmoothQuant moves from activations to weights.
  ///
  /// - Parameter infos: Get those of values that are new.
  private func smoothed(
    _ graph: Graph, _ infos: inout [String: TensorInfo], _ share: Double,
    _ source: CalibrationSource
  ) throws -> Graph {
    let scheme = try QuantizationScheme(graph, infos, keeping: settings.unquantized)
    let candidates = SmoothQuant.candidates(graph, scheme)
    let names = candidates.map(\.value)
    guard !names.isEmpty else {
      log.notice("smoothing changed nothing: no Gemm or MatMul has weights of its own")
      return graph
    }
    var calibration = try Calibration(
      graph, values: names, channels: Dictionary(uniqueKeysWithValues: names.map { ($0, true) }))
    try calibration.run(graph, source, threads: threads, progress: progress)
    let result = SmoothQuant(share: share).apply(
      to: graph, scheme, ranges: calibration.channels.mapValues(\.largest))
    for node in result.graph.nodes where infos[node.outputs[0]] == nil {
      infos[node.outputs[0]] = infos[node.inputs[0]]
    }
    if result.folded + result.inserted == 0 {
      log.notice("smoothing changed nothing: no Gemm or MatMul reads channels that are far apart")
    } else if result.inserted > 0 {
      log.notice("smoothing put a Mul before the layers that read \(result.inserted) values")
    }
    return result.graph
  }

  private func corrected(
    _ layer: QuantizationScheme.Layer, _ weights: QuantizedWeights, _ calibration: Calibration
  ) throws -> Tensor<Float>? {
    guard settings.biasCorrection, let statistics = calibration.channels[layer.input],
      statistics.isLast == !layer.isConv
    else { return nil }
    return BiasCorrection(means: statistics.means).corrected(layer, weights)
  }

  /// The grid of each value; those of a group have one from all that was seen of them.
  func activationGrids(
    _ scheme: QuantizationScheme, _ calibration: Calibration
  ) -> [String: ActivationGrid] {
    var merged: [String: ValueHistogram] = [:]
    for value in scheme.values {
      merged[scheme.representative(of: value), default: ValueHistogram()]
        .merge(calibration.values[value]!)
    }
    let ranges = merged.mapValues {
      settings.observer.guardedRange(
        $0, percentile: settings.percentile, type: settings.activations)
    }
    let widened = scheme.values.filter { ranges[scheme.representative(of: $0)]!.isWidened }
    if let first = widened.first {
      let lost = ranges[scheme.representative(of: first)]!
      log.notice(
        """
        \(settings.observer.rawValue) would clip too much of \(widened.count) of \(scheme.values.count) values, \
        which have their whole range (minmax): '\(first)' would keep \(rounded(lost.own)) dB instead of \
        \(rounded(lost.whole))
        """)
    }
    let grids = ranges.mapValues {
      ActivationGrid($0.range, settings.activations, isPowerOfTwo: settings.powerOfTwo)
    }
    return Dictionary(
      uniqueKeysWithValues: scheme.values.map { ($0, grids[scheme.representative(of: $0)]!) })
  }

  private func rounded(_ decibels: Double) -> Double { (decibels * 10).rounded() / 10 }
}

/// A graph that is about to be quantized.
struct QuantizationDraft {
  var graph: Graph
  let infos: [String: TensorInfo]
  var scheme: QuantizationScheme
  let calibration: Calibration
  /// The grid of each value that is to be quantized.
  var grids: [String: ActivationGrid]

  /// The quantized graph, and what was done to each layer.
  ///
  /// - Parameter weights: A layer's weights and bias.
  func written(
    _ settings: QuantizationSettings, remark: String = "",
    _ weights: (QuantizationScheme.Layer) throws -> (QuantizedWeights, bias: Tensor<Float>?)
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    var writer = QDQWriter(graph)
    for value in scheme.values {
      writer.quantize(value, grids[value]!, except: scheme.floatReaders(of: value))
    }
    var reports: [LayerReport] = []
    for layer in scheme.layers {
      let (codes, bias) = try weights(layer)
      let input = grids[layer.input]!
      writer.replaceWeights(of: layer, with: codes)
      writer.replaceBias(
        of: layer, with: bias, inputScale: input.scale, weightScales: codes.scales.elements)
      reports.append(
        LayerReport(
          layer.node, .quantize, changed: true,
          "\(codes.codes.dtype) weights per channel, \(input.type) input in "
            + "\(input.lowest * input.scale)…\(input.highest * input.scale)\(remark)"))
    }
    var storage = WeightStorage(settings, storesOthers: false)
    let result = storage.apply(
      to: writer.result(), stored: writer.stored,
      excluding: Set(scheme.layers.map { $0.node.outputs[0] }))
    let refusals = scheme.reports(besides: storage.reports)
    let known = Set((reports + refusals + storage.reports).map(\.layer))
    let kept = WeightStorage.kept(
      in: graph, besides: known,
      "its weights stay floats in static quantization; --weight-only or --dynamic shrinks them")
    return (result, refusals + storage.reports + kept + reports)
  }
}
