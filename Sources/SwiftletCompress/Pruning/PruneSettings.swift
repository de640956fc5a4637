// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Settings of the technique `prune`.
public struct PruneSettings: AllocationSettings {
  /// What the layers may cost together as a fraction of now, by channels chosen for each group;
  /// `nil`: all groups are cut to ``width``.
  public var ratio: Double?
  /// Channels kept of each group, as a fraction of all.
  public var width = 0.5
  /// The most samples to calibrate with.
  public var calibrationImages = 512
  /// Whether layers are fitted to what they see and answer, or to their weights alone.
  public var dataAware = true
  /// How ranks and channels are chosen.
  public var allocation = AllocationStrategy.budget
  /// What ``allocation`` spends.
  public var cost = AllocationCost.milliseconds
  /// Images at once for which layers are timed; `nil`: 32, fewer of large images.
  public var timingBatch: Int?
  /// The precision in which layers are timed.
  public var timingPrecision = LayerPrecision.fp32
  /// Precisions to choose from for each layer, within the same budget; `nil`: none is chosen.
  public var precisions: [LayerPrecision]?
  package var laterBits: Int?

  /// The defaults.
  public init() {}

  /// Removes channels on behalf of a technique that chooses them beside its own changes.
  init(for settings: FactorSettings) {
    (calibrationImages, dataAware) = (settings.calibrationImages, settings.dataAware)
  }

  public static let settings: [Setting<PruneSettings>] =
    [
      Setting(
        "ratio", \.ratio, 0.01...1,
        help: "fraction of the cost of now that all layers keep together; channels are then chosen "
          + "group by group where they save most for the damage",
        unset: "all groups are cut to width"),
      Setting("width", \.width, 0.05...1, help: "fraction of the channels that every group keeps"),
      Setting(
        "calibrationImages", \.calibrationImages, 1...10_000_000,
        help: "number of samples to calibrate with", aliases: ["calibrationSize"]),
    ]
    + allocation(
      dataAware: "rank channels by what the next layers see and refit those, not by weights alone")

  package var share: Double { ratio ?? 1 }

  package func summary(_ samples: String) -> String { "\(strength ?? ""), \(samples)" }

  package var strength: String? {
    ratio.map { "ratio \($0)" } ?? "width \((width * 1e3).rounded() / 1e3)"
  }

  package func varied(to ratio: Double) -> PruneSettings {
    var settings = self
    if self.ratio == nil {
      // Both what a layer reads and what it makes get fewer.
      settings.width = max(0.05, ratio.squareRoot())
    } else {
      settings.ratio = ratio
    }
    return settings
  }

  package var takesIntegers: Bool { false }

  package mutating func settle(_ given: GivenSettings) throws {
    if given.has("ratio"), given.has("width") {
      guard given.shared.contains("ratio") || given.shared.contains("width") else {
        throw SwiftletError(
          .badInput,
          "\(given.spelling("ratio")) and \(given.spelling("width")) both say how many channels stay",
          at: given.technique.rawValue,
          mend: "give \(given.spelling("ratio")) to have a width chosen for each group, "
            + "\(given.spelling("width")) to cut all alike")
      }
      ratio = nil
    }
    // Ranks that are chosen layer by layer are the other technique's.
    if !allocation.spansLayers, given.shared.contains("allocation") { ratio = nil }
    if !given.has("ratio") {
      let ranks = ["allocation", "cost", "timingBatch", "timingPrecision", "precisions"]
      if let name = ranks.first(where: given.isOwn) {
        throw given.idle(
          name, "in prune, which cuts all groups of channels alike",
          "give \(given.spelling("ratio")) to have it choose")
      }
    }
  }

  package func check(_ spelling: SettingSpelling, of technique: Technique) throws {
    try checkAllocation(isJoint: ratio != nil || precisions != nil, spelling)
  }

  package func hasty(samples: Int, of technique: Technique) -> PruneSettings? {
    var settings = self
    settings.dataAware = false
    settings.precisions = nil
    settings.calibrationImages = samples
    return settings
  }

  package static func upgrade(_ former: inout FormerSettings) {
    upgradeAllocation(&former)
    if former.common["allocatesChannels"] != .truth(true) { former.common["ratio"] = nil }
  }
}

/// Channels are removed, together with all that depends on them.
package enum PruneTechnique: TechniqueDefinition {
  package static let name = "prune"
  package static let summary = "removes channels and refits the layers that read the rest"

  package static func makePass(_ settings: PruneSettings) -> any CompressionPass {
    PrunePass(settings)
  }
}

extension Technique {
  /// Channels are removed, together with all that depends on them.
  public static let prune = Technique(PruneTechnique.self)
}

extension CompressionStep {
  /// Channels are removed, together with all that depends on them.
  public static func prune(_ change: (inout PruneSettings) throws -> Void) rethrows -> Self {
    try Self(.prune, change)
  }
}
