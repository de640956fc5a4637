import SwiftletCore
package import SwiftletGraph
package import SwiftletTraining

/// One technique and its settings.
public struct CompressionStep: Sendable, Codable, Equatable {
  public var technique: Technique
  /// What factored layers may cost as a fraction of now, together or each (`svd`, `lowrank`, `eigen`);
  /// what all layers may cost together (`prune`, if ``allocatesChannels``).
  public var ratio: Double = 0.5
  /// Energy to keep instead of a ratio: fraction of the squared singular values, or of the variance.
  public var energy: Double?
  /// Images to calibrate with (`eigen`, `prune`, `quantize`).
  public var calibrationImages = 512
  /// Channels kept (`prune`), or of the student (`distill`), as a fraction of all.
  public var width = 0.5
  /// Whether `prune` chooses for each group of channels how many it keeps, so that the layers cost
  /// `ratio` of now, instead of cutting all groups to `width`.
  @EmptyIfAbsent public var allocatesChannels = false
  public var epochs = 1
  public var learningRate = 1e-3
  /// Softens the teacher's probabilities (`distill`); `nil`: what `teaching` says.
  public var temperature: Double?
  /// Weight of the teacher's probabilities; the labels get the rest (`distill`). `nil`: as above.
  public var alpha: Double?
  /// Who learns, from what, and how (`distill`).
  public var distillation = DistillationSettings()
  /// How layers are cut, and their ranks chosen (`svd`, `lowrank`, `eigen`).
  public var decomposition = DecompositionSettings()
  /// What becomes integers, and how (`quantize`).
  public var quantization = QuantizationSettings()

  public init(_ technique: Technique) { self.technique = technique }

  /// - Throws: `badInput` naming the setting that is out of range.
  public func validate() throws {
    func check(_ name: String, _ value: Double, _ range: ClosedRange<Double>) throws {
      guard range ~= value else {
        throw SwiftletError(
          .badInput,
          "\(name) \(plain(value)) is not between \(plain(range.lowerBound)) and \(plain(range.upperBound))",
          at: technique.rawValue)
      }
    }
    try check("ratio", ratio, 0.01...1)
    try check("energy", energy ?? 1, 0.01...1)
    try check("calibrationImages", Double(calibrationImages), 1...1e7)
    try check("width", width, 0.05...1)
    try check("epochs", Double(epochs), 1...1e4)
    try check("learningRate", learningRate, 1e-9...10)
    try check("temperature", temperature ?? 1, 0.1...100)
    try check("alpha", alpha ?? 0, 0...1)
    try distillation.validate()
    if technique == .distill, distillation.warmup > Double(epochs) {
      throw SwiftletError(
        .badInput, "warmup \(plain(distillation.warmup)) is longer than all \(epochs) epoch(s)",
        at: technique.rawValue, mend: "use a shorter warmup, or more epochs")
    }
    if technique == .svd, decomposition.methods != nil, !decomposition.prunes {
      throw SwiftletError(
        .badInput, "methods do nothing in svd, which makes two factors of each matrix",
        at: technique.rawValue, mend: "leave methods out, or add prune to them")
    }
    try decomposition.validate()
    if technique == .prune && allocatesChannels || decomposition.isJoint {
      guard decomposition.allocation.spansLayers else {
        throw SwiftletError(
          .badInput,
          "allocation '\(decomposition.allocation.rawValue)' chooses ranks alone",
          at: technique.rawValue, mend: "use budget or greedy")
      }
    }
    try quantization.validate()
  }
}

/// A technique: a graph in, a smaller one out, and what was done to each layer.
package protocol CompressionPass: Sendable {
  init(_ step: CompressionStep)

  /// - Throws: `unsupported` if the technique cannot be applied to the graph at all. A single layer
  ///   that does not fit is kept, with the reason in its report.
  func apply(
    to graph: Graph, _ context: CompressionContext
  ) throws -> (graph: Graph, layers: [LayerReport])
}

/// A technique that trains.
package protocol TrainingPass: CompressionPass {
  /// As ``CompressionPass/apply(to:_:)``.
  func train(_ graph: Graph, _ context: CompressionContext) throws -> TrainedResult
}

/// What a pass that trains leaves.
package struct TrainedResult {
  package let graph: Graph
  package let layers: [LayerReport]
  /// What each epoch reached; `nil` if nothing was trained after all.
  package let history: TrainingHistory?
}

extension TrainingPass {
  package func apply(
    to graph: Graph, _ context: CompressionContext
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    let result = try train(graph, context)
    return (result.graph, result.layers)
  }
}

extension Technique {
  func pass(_ step: CompressionStep) -> any CompressionPass {
    switch self {
    case .svd, .lowrank, .eigen: FactorPass(step)
    case .prune: PrunePass(step)
    case .quantize: QuantizePass(step)
    case .distill: DistillPass(step)
    }
  }
}
