// SPDX-License-Identifier: Apache-2.0

import Logging
public import SwiftletCore
import SwiftletFormats
public import SwiftletGraph

/// Post-training quantization of weights and activations.
///
/// Weights become int8 or int4, symmetric, with one scale per output channel; activations 8 bits,
/// with ranges chosen by an observer from calibration; biases int32, in units of the product of
/// both scales. The result is standard ONNX: QuantizeLinear and DequantizeLinear around values and
/// DequantizeLinear after weights, which runtimes fuse into integer layers.
///
/// - Source: Krishnamoorthi 2018, arXiv:1806.08342; Jacob et al. 2018; Nagel et al. 2021,
///   arXiv:2106.08295.
public struct StaticQuantization: Sendable {
  private let settings: QuantizationSettings
  private let threads: Threads
  private let progress: Progress.Handler?
  private let log = Logger.swiftlet("compress")

  /// Creates the pass. The progress handler is called during calibration and for each layer.
  public init(
    settings: QuantizationSettings, threads: Threads = .available,
    progress: Progress.Handler? = nil
  ) {
    (self.settings, self.threads, self.progress) = (settings, threads, progress)
  }

  /// Quantizes a graph.
  ///
  /// - Parameters:
  ///   - graph: A model in fp32.
  ///   - source: Calibration samples.
  /// - Returns: The quantized graph, and a report for each layer with weights.
  /// - Throws: `unsupported` if the graph has no layer to quantize or is already quantized;
  ///   `numerical` if a value has no finite elements.
  public func apply(
    to graph: Graph, _ source: CalibrationSource
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    let draft = try draft(of: graph, source)
    let rounder = try WeightRounder(
      draft.scheme.sharing4Bits(settings), draft.graph, draft.scheme, source, threads, progress)
    var done = 0
    return try draft.written(settings) { layer in
      try progress?(Progress("quantize", completed: done, total: draft.scheme.layers.count))
      done += 1
      let weights = try rounder.quantized(
        layer, WeightLayout(layer.weights.shape, axis: layer.axis))
      return (weights, try corrected(layer, weights, draft.calibration) ?? layer.bias)
    }
  }

  /// Everything except the weights: the graph after smoothing and equalization, the layers and
  /// values to quantize, and the grids of activations.
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
          equalize changed nothing: no two consecutive layers with unshared weights are linked by \
          Relu, LeakyRelu, pooling or Flatten alone
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

  /// The model after SmoothQuant.
  ///
  /// - Parameter infos: Extended by the values that are new.
  private func smoothed(
    _ graph: Graph, _ infos: inout [String: TensorInfo], _ share: Double,
    _ source: CalibrationSource
  ) throws -> Graph {
    let scheme = try QuantizationScheme(graph, infos, keeping: settings.unquantized)
    let candidates = SmoothQuant.candidates(graph, scheme)
    let names = candidates.map(\.value)
    guard !names.isEmpty else {
      log.notice("smoothing changed nothing: no Gemm or MatMul has unshared weights")
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
      log.notice("smoothing changed nothing: no input of Gemm or MatMul has outlier channels")
    } else if result.inserted > 0 {
      log.notice("smoothing inserted a Mul for \(result.inserted) values")
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

  /// The grid of each value; values that share a scale get one from their merged histograms.
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
        \(settings.observer.rawValue) would clip too much of \(widened.count) of \
        \(scheme.values.count) values, which keep their whole range (minmax): '\(first)' would \
        have \(rounded(lost.own)) dB instead of \(rounded(lost.whole))
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

  /// Writes the quantized graph.
  ///
  /// - Parameters:
  ///   - remark: Appended to each layer's report.
  ///   - weights: Returns a layer's weights and bias.
  /// - Returns: The graph, and a report for each layer with weights.
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
      "static quantization keeps its weights as floats; mode weightOnly or dynamic quantizes them")
    return (result, refusals + storage.reports + kept + reports)
  }
}
