/// The ways to make a model smaller.
public enum Technique: String, Sendable, Codable, CaseIterable {
  /// Fully connected layers become two thinner ones, by truncated SVD.
  case svd
  /// Convolutions become a k×k one with fewer outputs and a 1×1 one, by SVD over channels.
  case lowrank
  /// As `svd` and `lowrank`, but along the main directions of each layer's responses to data.
  case eigen
  /// Channels are removed, together with all that depends on them.
  case prune
  /// 8-bit weights and activations.
  case quantize
  /// A smaller student learns from the model.
  case distill
}
