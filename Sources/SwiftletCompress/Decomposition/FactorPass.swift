// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// Replaces layers by chains of smaller ones: the techniques `svd` (Gemm and MatMul), `lowrank`
/// (Conv) and `eigen` (all of them, by the principal components of their responses).
///
/// Layers are processed in the order of the model. Each one is fitted to its inputs in the model as
/// compressed so far, and to its responses in the original model. Grouped convolutions are left
/// unchanged.
struct FactorPass: CompressionPass {
  private let technique: Technique
  private let settings: FactorSettings
  /// Types of the operators to factor.
  private let operators: Set<String>
  /// Methods for convolutions, unless the settings name some.
  private let methods: [DecompositionMethod]

  init(
    _ technique: Technique, _ settings: FactorSettings, operators: Set<String>,
    methods: [DecompositionMethod]
  ) {
    (self.technique, self.settings) = (technique, settings)
    (self.operators, self.methods) = (operators, methods)
  }

  private func methods(for layer: WeightedLayer) -> [DecompositionMethod] {
    layer.isConv ? settings.decompositions ?? methods : [.channel]
  }

  func apply(to graph: Graph, _ context: CompressionContext) throws -> (
    graph: Graph, layers: [LayerReport]
  ) {
    let folded = graph.foldingBatchNormalization()
    guard operators.contains("MatMul") else { return try factored(folded, context) }
    let products = LeftProducts(folded)
    let result = try factored(products.graph, context)
    return (products.restored(result.graph), result.layers)
  }

  private func factored(_ reference: Graph, _ context: CompressionContext) throws -> (
    graph: Graph, layers: [LayerReport]
  ) {
    if settings.isJoint { return try jointly(reference, context) }
    let (layers, kept) = try findLayers(in: reference)
    let source =
      settings.dataAware
      ? try context.calibration(for: reference, limit: settings.calibrationImages) : nil
    var choice: Choice?
    if settings.allocation.spansLayers {
      let timer = try LayerTimer(reference, settings, cache: context.latencies)
      let allocation = try Allocation(
        layers, settings, timer: timer, progress: context.progress
      ) {
        try candidates(of: $0, in: reference, source, context)
      }
      choice = Choice(
        decisions: allocation.decisions, rejected: allocation.rejected, precisions: [:])
    }
    return try factored(reference, layers, kept, choice, source, context)
  }

  /// Chooses channels, ranks and precisions together, removes the channels, and then factors the
  /// remaining model like any other, with newly collected inputs and responses of the layers.
  private func jointly(_ graph: Graph, _ context: CompressionContext) throws -> (
    graph: Graph, layers: [LayerReport]
  ) {
    let prune = PrunePass(PruneSettings(for: settings))
    let pruning = try prune.pruning(graph, context)
    let whole = pruning.groups.graph
    let source = settings.dataAware ? pruning.source : nil
    let rankings = settings.prunes ? try prune.rankings(pruning) : nil
    let examined = try findLayers(in: whole).layers.map {
      try candidates(of: $0, in: whole, source, context)
    }
    let allocation = try JointAllocation(pruning, rankings, examined, settings, context)
    var (pruned, reports) = (whole, [LayerReport]())
    if let rankings {
      (pruned, reports) = try prune.pruned(pruning, rankings, allocation.counts, allocation)
    }
    let (layers, kept) = try findLayers(in: pruned)
    let choice = Choice(
      decisions: allocation.decisions, rejected: allocation.rejected,
      precisions: allocation.precisions)
    let result = try factored(pruned, layers, kept, choice, source, context)
    reports += result.layers
    allocation.addPrecisions(to: &reports, technique)
    return (result.graph, reports)
  }

  /// The choices made over all layers, by the layers' first outputs.
  private struct Choice {
    let decisions: [String: Allocation.Decision]
    let rejected: [String: [LayerReport.Alternative]]
    /// By the layers' names in reports.
    let precisions: [String: LayerPrecision]
  }

  /// The layers to factor, and reports on those to leave unchanged.
  ///
  /// - Throws: `unsupported` if there is neither.
  private func findLayers(in graph: Graph) throws -> (layers: [WeightedLayer], kept: [LayerReport])
  {
    var reports: [LayerReport] = []
    var layers: [WeightedLayer] = []
    for node in graph.nodes where operators.contains(node.opType) {
      switch try WeightedLayer.find(node, in: graph) {
      case nil: continue
      case .refusal(let reason):
        reports.append(LayerReport(node, technique, changed: false, reason))
      case .layer(let layer):
        if let reason = layer.tooThin ?? graph.sharing(of: layer) {
          reports.append(LayerReport(node, technique, changed: false, reason))
        } else {
          layers.append(layer)
        }
      }
    }
    guard !layers.isEmpty || !reports.isEmpty else {
      throw SwiftletError(
        .unsupported, "the model has no layers that technique '\(technique.rawValue)' can factor")
    }
    return (layers, reports)
  }

  private func candidates(
    of layer: WeightedLayer, in graph: Graph, _ source: CalibrationSource?,
    _ context: CompressionContext
  ) throws -> LayerCandidates {
    try locating(layer.node.label) {
      let statistics = try source.map {
        try LayerStatistics.collect(layer, reference: graph, current: graph, $0, context)
      }
      return try LayerCandidates(
        layer, methods(for: layer), statistics, in: graph, source, context)
    }
  }

  /// Factors the layers of a graph one after the other.
  ///
  /// - Parameters:
  ///   - reference: The original model.
  ///   - layers: The layers to factor.
  ///   - kept: Reports on layers that are left unchanged.
  ///   - choice: The choices made over all layers; `nil`: each layer is decided on its own.
  ///   - source: Samples to fit the factors to; `nil`: fit them to the weights alone.
  ///   - context: Threads, progress and the cache of times.
  private func factored(
    _ reference: Graph, _ layers: [WeightedLayer], _ kept: [LayerReport], _ choice: Choice?,
    _ source: CalibrationSource?, _ context: CompressionContext
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    let timer = try LayerTimer(reference, settings, cache: context.latencies)
    var current = reference
    var reports = kept
    for (index, layer) in layers.enumerated() {
      try context.progress?(Progress("factor", completed: index, total: layers.count))
      try locating(layer.node.label) {
        let statistics = try source.map {
          try LayerStatistics.collect(layer, reference: reference, current: current, $0, context)
        }
        let factoring = LayerFactoring(
          layer: layer, statistics: statistics,
          isRectified: reference.isRectified(layer.node.outputs[0]), technique: technique,
          settings: settings,
          threads: context.threads)
        let name = layer.node.outputs[0]
        let result =
          try choice.map {
            try factoring.result(decided: $0.decisions[name], rejected: $0.rejected[name] ?? [])
          } ?? factoring.result(among: methods(for: layer))
        var report = result.report
        report.millisecondsBefore = try timer.milliseconds(layer)
        report.millisecondsAfter = try timer.milliseconds(
          layer, result.chain, in: choice?.precisions[layer.node.reportName])
        report.parts = try result.chain?.write(layer, to: &current)
        reports.append(report)
      }
    }
    current.removeUnusedInitializers()
    context.latencies.save()
    let order = Dictionary(
      reference.nodes.enumerated().map { ($1.reportName, $0) }
    ) { first, _ in first }
    return (current, reports.sorted { order[$0.layer]! < order[$1.layer]! })
  }
}

extension WeightedLayer {
  /// Why the layer is not worth factoring, if so: small layers lose much and gain little. The first
  /// convolution has few products per output, and a classifier has few outputs, all of which
  /// matter.
  var tooThin: String? {
    if depth < 64 { return "only \(depth) products per output: too thin to factor" }
    if outputs < 16 { return "only \(outputs) outputs: too thin to factor" }
    return nil
  }
}

extension Graph {
  /// Why a layer with shared weights is not factored, if so: the weights would have to be stored in
  /// addition to its factors.
  fileprivate func sharing(of layer: WeightedLayer) -> String? {
    let name = layer.linear.weights
    let others = consumers(of: name).map { nodes[$0].label }.filter { $0 != layer.node.label }
    if isOutput(name) { return "its weights are also an output" }
    guard consumers(of: name).count > 1 || layer.node.inputs.count(where: { $0 == name }) > 1 else {
      return nil
    }
    let readers =
      others.isEmpty ? "read more than once" : "also read by \(others.joined(separator: ", "))"
    return "its weights are \(readers): they would be stored in addition to its factors"
  }

  /// Whether all consumers of a value are ReLUs.
  fileprivate func isRectified(_ value: String) -> Bool {
    let readers = consumers(of: value)
    return !readers.isEmpty && readers.allSatisfy { nodes[$0].opType == "Relu" }
      && !isOutput(value)
  }
}
