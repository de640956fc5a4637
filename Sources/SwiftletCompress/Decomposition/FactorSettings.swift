// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// What layers are cut into (`svd`, `lowrank`, `eigen`).
public enum FactorMethod: String, Sendable, Codable, CaseIterable {
  /// As the ``DecompositionMethod`` of that name.
  case channel, spatial, tucker, cp
  /// Channels are removed too, where that saves more for the damage it does.
  case prune

  /// `nil`: no factors.
  var decomposition: DecompositionMethod? { DecompositionMethod(rawValue: rawValue) }
}

extension FactorMethod: SettingChoice {}

/// Settings of the techniques that factor layers: `svd`, `lowrank` and `eigen`.
public struct FactorSettings: AllocationSettings {
  /// What factored layers may cost as a fraction of now, together or each, as ``allocation`` says.
  public var ratio = 0.5
  /// Fraction of the squared singular values, or of the variance, that each layer keeps; `nil`:
  /// ``ratio`` counts.
  public var energy: Double?
  /// The most samples to calibrate with.
  public var calibrationImages = 512
  /// How convolutions are cut, the best of several; `nil`: as the technique does.
  public var methods: [FactorMethod]?
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

  public static let settings: [Setting<FactorSettings>] =
    [
      Setting(
        "ratio", \.ratio, 0.01...1,
        help: "fraction of the cost of now that the layers keep: together, or each of them, as "
          + "allocation says"),
      Setting(
        "energy", \.energy, 0.01...1,
        help: "fraction of the spectrum's energy that each layer keeps, instead of ratio",
        unset: "ratio decides"),
      Setting(
        "calibrationImages", \.calibrationImages, 1...10_000_000,
        help: "number of samples to calibrate with", aliases: ["calibrationSize"]),
      Setting(
        "methods", \.methods,
        help:
          "how convolutions are cut, the best of several: channel (k×k, 1×1), spatial (k×1, 1×k), "
          + "tucker (1×1, k×k, 1×1), cp (1×1, depthwise, 1×1); with prune among them, channels are "
          + "removed too where that saves more for the damage. svd takes none but channel and prune",
        unset: "lowrank: all four; eigen, svd: channel"),
    ]
    + allocation(
      dataAware: "fit factors to what the layers see and answer, not to their weights alone")

  /// Whether channels are removed too.
  var prunes: Bool { methods?.contains(.prune) ?? false }

  /// The ways to cut; `nil`: what the technique is for.
  var decompositions: [DecompositionMethod]? { methods.map { $0.compactMap(\.decomposition) } }

  /// Whether more than ranks is chosen over all layers.
  var isJoint: Bool { prunes || precisions != nil }

  package var share: Double { ratio }

  package func summary(_ samples: String) -> String {
    (strength ?? "") + (dataAware ? ", \(samples)" : "")
  }

  package var strength: String? { energy.map { "energy \($0)" } ?? "ratio \(ratio)" }

  package func varied(to ratio: Double) -> FactorSettings {
    var settings = self
    (settings.ratio, settings.energy) = (ratio, nil)
    return settings
  }

  package var takesIntegers: Bool { false }

  /// Methods given to several techniques are for those that choose: `svd` makes two factors of each
  /// matrix.
  package mutating func settle(_ given: GivenSettings) throws {
    if given.has("ratio"), given.has("energy") {
      throw SwiftletError(
        .badInput,
        "\(given.spelling("ratio")) and \(given.spelling("energy")) both say what is kept",
        at: given.technique.rawValue, mend: "give one of them")
    }
    if given.isOwn("ratio"), given.has("allocation"), [.energy, .evbmf].contains(allocation) {
      throw given.idle(
        "ratio", "with \(given.spelling("allocation")) \(allocation.rawValue)",
        "leave one of them out")
    }
    if given.has("energy") {
      guard !given.has("allocation") || !allocation.spansLayers else {
        throw given.idle(
          "energy", "with \(given.spelling("allocation")) \(allocation.rawValue)",
          "leave \(given.spelling("allocation")) out, or give \(given.spelling("ratio"))")
      }
      if !given.has("allocation") { allocation = .energy }
    }
    if given.technique == .svd, !Set(given.others).isDisjoint(with: [.lowrank, .eigen]) {
      methods = nil
    }
  }

  package func check(_ spelling: SettingSpelling, of technique: Technique) throws {
    if let methods {
      let others = FactorMethod.allCases.filter { $0 != .prune }.map(\.rawValue)
        .joined(separator: ", ")
      guard !methods.isEmpty else {
        throw SwiftletError(
          .badInput, "\(spelling("methods")) is empty",
          mend: "leave it out, or name some of \(others)")
      }
      guard methods != [.prune] else {
        throw SwiftletError(
          .badInput, "prune is the only one of \(spelling("methods"))",
          mend: "use technique prune with a ratio, or add some of \(others)")
      }
      guard technique != .svd || prunes else {
        throw SwiftletError(
          .badInput,
          "\(spelling("methods")) does nothing in svd, which makes two factors of each matrix",
          mend: "leave \(spelling("methods")) out, or add prune to them")
      }
    }
    try checkAllocation(isJoint: isJoint, spelling)
  }

  package func hasty(samples: Int, of technique: Technique) -> FactorSettings? {
    var settings = self
    settings.dataAware = false
    // The method that takes no time to prepare; the others are chosen where they are faster.
    if technique != .svd { settings.methods = [.channel] }
    settings.precisions = nil
    settings.calibrationImages = samples
    return settings
  }

  package static func upgrade(_ former: inout FormerSettings) {
    upgradeAllocation(&former)
    if former.common["prunes"] == .truth(true), case .names(let names)? = former.common["methods"] {
      former.common["methods"] = .names(names + [FactorMethod.prune.rawValue])
    }
  }
}

// MARK: Techniques

/// Fully connected layers become two thinner ones, by truncated SVD.
package enum SVDTechnique: TechniqueDefinition {
  package static let name = "svd"
  package static let summary = "splits fully connected layers in two by truncated SVD"

  package static func makePass(_ settings: FactorSettings) -> any CompressionPass {
    FactorPass(.svd, settings, operators: ["Gemm", "MatMul"], methods: [.channel])
  }
}

/// Convolutions become chains of smaller ones.
package enum LowRankTechnique: TechniqueDefinition {
  package static let name = "lowrank"
  package static let summary = "splits convolutions into two or three smaller ones"

  package static func makePass(_ settings: FactorSettings) -> any CompressionPass {
    FactorPass(.lowrank, settings, operators: ["Conv"], methods: DecompositionMethod.allCases)
  }
}

/// As `svd` and `lowrank`, but along the main directions of each layer's responses to data.
package enum EigenTechnique: TechniqueDefinition {
  package static let name = "eigen"
  package static let summary = "splits both along principal directions of their responses"

  package static func makePass(_ settings: FactorSettings) -> any CompressionPass {
    FactorPass(.eigen, settings, operators: WeightedLayer.operators, methods: [.channel])
  }
}

extension Technique {
  /// Fully connected layers become two thinner ones, by truncated SVD.
  public static let svd = Technique(SVDTechnique.self)
  /// Convolutions become chains of smaller ones.
  public static let lowrank = Technique(LowRankTechnique.self)
  /// As `svd` and `lowrank`, along the main directions of each layer's responses to data.
  public static let eigen = Technique(EigenTechnique.self)
}

extension CompressionStep {
  /// Fully connected layers become two thinner ones, by truncated SVD.
  public static func svd(_ change: (inout FactorSettings) throws -> Void) rethrows -> Self {
    try Self(.svd, change)
  }

  /// Convolutions become chains of smaller ones.
  public static func lowrank(_ change: (inout FactorSettings) throws -> Void) rethrows -> Self {
    try Self(.lowrank, change)
  }

  /// As `svd` and `lowrank`, along the main directions of each layer's responses to data.
  public static func eigen(_ change: (inout FactorSettings) throws -> Void) rethrows -> Self {
    try Self(.eigen, change)
  }
}
