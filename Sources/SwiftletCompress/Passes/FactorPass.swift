import SwiftletCore
import SwiftletGraph

/// Layers become chains of smaller ones: the techniques `svd` (Gemm and MatMul), `lowrank` (Conv) and
/// `eigen` (all, by the principal components of their responses).
///
/// Layers are taken in the order of the model. Each is fitted to what it sees behind the layers that
/// are compressed already, and to what it answered before. Grouped convolutions are left alone.
struct FactorPass: CompressionPass {
  private let step: CompressionStep
  private let settings: DecompositionSettings

  init(_ step: CompressionStep) {
    self.step = step
    settings = step.decomposition
  }

  private var operators: Set<String> {
    switch step.technique {
    case .svd: ["Gemm", "MatMul"]
    case .lowrank: ["Conv"]
    default: WeightedLayer.operators
    }
  }

  private func methods(for layer: WeightedLayer) -> [DecompositionMethod] {
    guard layer.isConv else { return [.channel] }
    if let methods = settings.methods { return methods }
    return step.technique == .lowrank ? DecompositionMethod.allCases : [.channel]
  }

  func apply(to graph: Graph, _ context: CompressionContext) throws -> (
    graph: Graph, layers: [LayerReport]
  ) {
    let reference = graph.foldingBatchNormalization()
    var reports: [LayerReport] = []
    var layers: [WeightedLayer] = []
    for node in reference.nodes where operators.contains(node.opType) {
      switch try WeightedLayer.find(node, in: reference) {
      case nil: continue
      case .refusal(let reason):
        reports.append(LayerReport(node, step.technique, changed: false, reason))
      case .layer(let layer):
        if let reason = layer.tooThin {
          reports.append(LayerReport(node, step.technique, changed: false, reason))
        } else {
          layers.append(layer)
        }
      }
    }
    guard !layers.isEmpty || !reports.isEmpty else {
      throw SwiftletError(
        .unsupported, "the model has no layer that technique '\(step.technique.rawValue)' is for")
    }
    let (current, changes) = try compressed(reference, layers, context)
    let order = Dictionary(
      reference.nodes.enumerated().map { ($1.name.isEmpty ? $1.outputs[0] : $1.name, $0) }
    ) { first, _ in first }
    return (current, (reports + changes).sorted { order[$0.layer]! < order[$1.layer]! })
  }

  private func compressed(
    _ reference: Graph, _ layers: [WeightedLayer], _ context: CompressionContext
  ) throws -> (Graph, [LayerReport]) {
    let source =
      settings.dataAware
      ? try context.calibration(for: reference, limit: step.calibrationImages) : nil
    let timer = try LayerTimer(reference, settings, cache: context.latencies)
    func statistics(_ layer: WeightedLayer, _ current: Graph) throws -> LayerStatistics? {
      try source.map {
        try LayerStatistics.collect(layer, reference: reference, current: current, $0, context)
      }
    }
    var allocation: Allocation?
    if [.greedy, .budget].contains(settings.allocation) {
      allocation = try Allocation(layers, settings, share: step.ratio, timer: timer) { layer in
        try locating(layer.node.label) {
          try LayerCandidates(
            layer, methods(for: layer), statistics(layer, reference), in: reference,
            source, context)
        }
      }
    }
    var current = reference
    var reports: [LayerReport] = []
    for layer in layers {
      try locating(layer.node.label) {
        let factoring = LayerFactoring(
          layer: layer, statistics: try statistics(layer, current),
          isRectified: reference.isRectified(layer.node.outputs[0]), step: step,
          threads: context.threads)
        let name = layer.node.outputs[0]
        let result =
          try allocation.map {
            try factoring.result(decided: $0.decisions[name], rejected: $0.rejected[name] ?? [])
          } ?? factoring.result(among: methods(for: layer))
        var report = result.report
        report.millisecondsBefore = try timer.milliseconds(layer)
        report.millisecondsAfter = report.millisecondsBefore
        if let chain = result.chain {
          report.millisecondsAfter = try timer.milliseconds(layer, chain)
          try chain.write(layer, to: &current)
        }
        reports.append(report)
      }
    }
    current.removeUnusedInitializers()
    context.latencies.save()
    return (current, reports)
  }
}

extension WeightedLayer {
  /// Why the layer is not worth factoring, if so: thin ones lose much and gain little. The first
  /// convolution sees few products per output, a classifier has few outputs, and all of them matter.
  var tooThin: String? {
    if depth < 64 { return "only \(depth) products per output: too thin to factor" }
    if outputs < 16 { return "only \(outputs) outputs: too thin to factor" }
    return nil
  }
}

extension Graph {
  /// Whether all that reads a value is a ReLU.
  fileprivate func isRectified(_ value: String) -> Bool {
    let readers = consumers(of: value)
    return !readers.isEmpty && readers.allSatisfy { nodes[$0].opType == "Relu" }
      && !outputs.contains { $0.name == value }
  }
}
