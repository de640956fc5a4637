// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Settings of the technique `prune`.
public struct PruneSettings: AllocationSettings {
  /// Target cost of all layers together as a fraction of the current cost, with a number of
  /// channels chosen for each group; `nil`: all groups are pruned to ``width``.
  public var ratio: Double?
  /// Fraction of the channels that each group keeps, at least 0.05 and at most 1.
  public var width = 0.5
  /// Maximum number of calibration samples.
  public var calibrationImages = 512
  /// Whether channels are ranked by their consumers' loss on data and the consumers are refitted,
  /// rather than ranked by weights alone.
  public var dataAware = true
  /// How ranks and channels are chosen.
  public var allocation = AllocationStrategy.budget
  /// The cost that ``allocation`` reduces.
  public var cost = AllocationCost.milliseconds
  /// Batch size for timing layers; `nil`: 32, or less if the inputs are large.
  public var timingBatch: Int?
  /// The precision in which layers are timed.
  public var timingPrecision = LayerPrecision.fp32
  /// Precisions to choose from for each layer, within the same budget; `nil`: the same for all
  /// layers.
  public var precisions: [LayerPrecision]?
  package var laterBits: Int?

  /// The default settings.
  public init() {}

  /// The settings for pruning on behalf of a technique that factors layers as well.
  init(for settings: FactorSettings) {
    (calibrationImages, dataAware) = (settings.calibrationImages, settings.dataAware)
  }

  public static let settings: [Setting<PruneSettings>] =
    [
      Setting(
        "ratio", \.ratio, 0.01...1,
        help: "target cost of all layers as a fraction of the current cost; the number of channels "
          + "is then chosen for each group, where it saves most for the damage",
        unset: "all groups are pruned to width"),
      Setting("width", \.width, 0.05...1, help: "fraction of the channels that every group keeps"),
      Setting(
        "calibrationImages", \.calibrationImages, 1...10_000_000,
        help: "maximum number of calibration samples", aliases: ["calibrationSize"]),
    ]
    + allocation(
      dataAware: "rank channels by the inputs of the next layers and refit those layers, instead "
        + "of ranking by weights alone")

  package var share: Double { ratio ?? 1 }

  package func summary(_ samples: String) -> String { "\(strength ?? ""), \(samples)" }

  package var strength: String? {
    ratio.map { "ratio \($0)" } ?? "width \((width * 1e3).rounded() / 1e3)"
  }

  package func varied(to ratio: Double) -> PruneSettings {
    var settings = self
    if self.ratio == nil {
      // A layer loses both inputs and outputs, so its cost falls with the square of the width.
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
          "\(given.spelling("ratio")) and \(given.spelling("width")) exclude each other",
          at: given.technique.rawValue,
          fix: "use \(given.spelling("ratio")) to choose a width for each group, or "
            + "\(given.spelling("width")) to prune all groups alike")
      }
      ratio = nil
    }
    // A strategy that chooses the rank of each layer on its own is meant for the other technique.
    if !allocation.spansLayers, given.shared.contains("allocation") { ratio = nil }
  }

  package func idle(_ spelling: SettingSpelling) -> [IdleSetting] {
    guard ratio == nil else { return [] }
    return ["allocation", "cost", "timingBatch", "timingPrecision", "precisions"].map { name in
      IdleSetting(
        name: name, place: "in prune, which prunes all groups of channels alike",
        fix: "use \(spelling("ratio")) to choose a width for each group")
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

/// Removes channels, together with everything that depends on them.
package enum PruneTechnique: TechniqueDefinition {
  package static let name = "prune"
  package static let summary = "removes channels and refits the layers that read the rest"

  package static func makePass(_ settings: PruneSettings) -> any CompressionPass {
    PrunePass(settings)
  }
}

extension Technique {
  /// Removes channels, together with everything that depends on them.
  public static let prune = Technique(PruneTechnique.self)
}

extension CompressionStep {
  /// A step that removes channels, together with everything that depends on them.
  ///
  /// - Parameter change: Changes the default settings.
  public static func prune(_ change: (inout PruneSettings) throws -> Void) rethrows -> Self {
    try Self(.prune, change)
  }
}
