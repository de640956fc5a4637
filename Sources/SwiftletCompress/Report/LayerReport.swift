// SPDX-License-Identifier: Apache-2.0

import SwiftletGraph

/// What became of one layer, and why.
public struct LayerReport: Sendable, Codable, Equatable {
  /// A choice that was not taken.
  public struct Alternative: Sendable, Codable, Equatable {
    /// Such as `tucker 24×32`, `channel 16`, `48 channels`, `int8` or `keep`.
    public let choice: String
    /// Milliseconds of the layer for one batch, measured alone on this machine; of numbers of
    /// channels, of all layers together that write or read them.
    public let milliseconds: Double
    /// As ``LayerReport/damage``; of a precision, noise over signal of the model's answers.
    public let damage: Double
    /// Why it was not taken: `not faster`, `more damage for the time it saves`.
    public let reason: String

    /// The reason of candidates that others were better than.
    static let moreDamage = "more damage for what it saves, over all layers"
  }

  public let layer: String
  public let technique: Technique
  public let changed: Bool
  /// Why the layer was kept, or how it was changed.
  public let remark: String
  /// Directions kept and in all, where there are any.
  public var rank: Int?
  public var fullRank: Int?
  /// Fraction of the energy (squared singular values, or variance) that the rank keeps.
  public var energy: Double?
  /// The decomposition's squared singular values, or variances, as fractions of their sum,
  /// descending.
  public var spectrum: [Double]?
  /// Squared error of the layer's responses on the calibration images, as a fraction of their
  /// variance; and what the same ranks would have cost without looking at data.
  public var damage: Double?
  public var plainDamage: Double?
  /// Milliseconds of the layer for one batch before and after, measured alone on this machine.
  public var millisecondsBefore: Double?
  public var millisecondsAfter: Double?
  public var rejected: [Alternative] = []
  /// What the layer is to be computed in, if that was chosen for each layer: a `quantize` step
  /// behind keeps to it.
  public var precision: LayerPrecision?
  /// The names of the layers that took its place, if any did.
  public var parts: [String]?

  /// The remark, and the rank unless that counts the channels the remark tells of.
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

// Reports of versions that rejected nothing do not say so.
extension KeyedDecodingContainer {
  func decode(
    _ type: [LayerReport.Alternative].Type, forKey key: Key
  ) throws -> [LayerReport.Alternative] {
    try decodeIfPresent(type, forKey: key) ?? []
  }
}
