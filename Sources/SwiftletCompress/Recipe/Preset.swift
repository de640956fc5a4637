/// Recipes for those who do not want to choose.
public enum Preset: String, Sendable, Codable, CaseIterable {
  /// Without training: low-rank convolutions where they save time here, then int8. Seconds, and no
  /// labels needed.
  case fast
  /// Less than half of the channels, what is left learns from the whole model, then int8 with quantization in
  /// the loop. Minutes.
  case balanced
  /// A third of the channels, a longer lesson, int8.
  case smallest

  public var recipe: Recipe {
    switch self {
    case .fast:
      var factors = CompressionStep(.lowrank)
      factors.ratio = 0.7
      factors.decomposition.precision = .int8
      return Recipe([factors, Self.integers])
    case .balanced: return Self.narrowed(width: 0.43, epochs: 6)
    case .smallest: return Self.narrowed(width: 0.33, epochs: 10)
    }
  }

  /// Weights of 7 bits: whatever runs the model computes the same then, onnxruntime's kernels for CPUs without VNNI
  /// too, which saturate with 8; and ours for such CPUs are faster.
  private static var integers: CompressionStep {
    var step = CompressionStep(.quantize)
    step.quantization.bits = 7
    return step
  }

  private static func narrowed(width: Double, epochs: Int) -> Recipe {
    var prune = CompressionStep(.prune)
    prune.width = width
    var distill = CompressionStep(.distill)
    distill.epochs = epochs
    distill.learningRate = 2e-3
    var quantize = integers
    quantize.quantization.qatEpochs = 1
    return Recipe([prune, distill, quantize])
  }
}
