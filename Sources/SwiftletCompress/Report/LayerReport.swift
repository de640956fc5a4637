// SPDX-License-Identifier: Apache-2.0

import SwiftletGraph

/// What was done to one layer, and why.
public struct LayerReport: Sendable, Codable, Equatable {
  /// A rejected alternative.
  public struct Alternative: Sendable, Codable, Equatable {
    /// The choice: for example `tucker 24×32`, `channel 16`, `48 channels`, `int8` or `keep`.
    public let choice: String
    /// Milliseconds per batch of the layer alone on this machine; for a number of channels, of all
    /// layers together that write or read them.
    public let milliseconds: Double
    /// Like ``LayerReport/damage``; for a precision, the noise-to-signal ratio of the model's
    /// answers.
    public let damage: Double
    /// Why it was rejected, for example `not faster`.
    public let reason: String

    /// The reason if other candidates were better.
    static let moreDamage = "more damage for what it saves, over all layers"
  }

  /// The name of the layer.
  public let layer: String
  /// The technique that reports.
  public let technique: Technique
  /// Whether the technique changed the layer.
  public let changed: Bool
  /// How the layer was changed, or why it was kept.
  public let remark: String
  /// The rank kept, or for pruning the number of channels kept; `nil` if there is none.
  public var rank: Int?
  /// The full rank, or for pruning the number of all channels.
  public var fullRank: Int?
  /// Fraction of the energy (squared singular values, or variance) within the rank.
  public var energy: Double?
  /// The squared singular values, or variances, as fractions of their sum, descending.
  public var spectrum: [Double]?
  /// Squared error of the layer's outputs on calibration images, as a fraction of their variance.
  public var damage: Double?
  /// The damage that the same ranks would have caused if chosen without calibration data.
  public var plainDamage: Double?
  /// Milliseconds per batch of the original layer alone on this machine.
  public var millisecondsBefore: Double?
  /// Milliseconds per batch of the changed layer, likewise.
  public var millisecondsAfter: Double?
  /// Alternatives that were rejected.
  public var rejected: [Alternative] = []
  /// The precision chosen for the layer, if one was chosen for each layer; a later `quantize` step
  /// adopts it.
  public var precision: LayerPrecision?
  /// Names of the layers that replaced it, if any.
  public var parts: [String]?

  /// The remark with the rank; without it for pruning, whose remark already has the number of
  /// channels.
  package var summary: String {
    guard let rank, technique != .prune else { return remark }
    return (remark.isEmpty ? "" : "\(remark), ") + "rank \(rank) of \(fullRank ?? rank)"
  }

  init(_ node: Node, _ technique: Technique, changed: Bool, _ remark: String) {
    layer = node.reportName
    self.technique = technique
    self.changed = changed
    self.remark = remark
  }
}

// Reports of earlier versions have no `rejected`.
extension KeyedDecodingContainer {
  func decode(
    _ type: [LayerReport.Alternative].Type, forKey key: Key
  ) throws -> [LayerReport.Alternative] {
    try decodeIfPresent(type, forKey: key) ?? []
  }
}
