// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// What layers may be changed into by `svd`, `lowrank` and `eigen`.
public enum FactorMethod: String, Sendable, Codable, CaseIterable {
  /// As the ``DecompositionMethod`` of the same name.
  case channel, spatial, tucker, cp
  /// Channels may be removed too, where that saves more for the same damage.
  case prune

  /// The method for the factors; `nil` for `prune`.
  var decomposition: DecompositionMethod? { DecompositionMethod(rawValue: rawValue) }
}

extension FactorMethod: SettingChoice {}

/// Settings of the techniques that factor layers: `svd`, `lowrank` and `eigen`.
public struct FactorSettings: AllocationSettings {
  /// Target cost as a fraction of the current cost, for all factored layers together or for each
  /// one, depending on ``allocation``.
  public var ratio = 0.5
  /// Fraction of the squared singular values, or of the variance, that each layer keeps; `nil`:
  /// ``ratio`` decides.
  public var energy: Double?
  /// Maximum number of calibration samples.
  public var calibrationImages = 512
  /// Methods for convolutions, of which the best one is chosen; `nil`: the default of the
  /// technique.
  public var methods: [FactorMethod]?
  /// Whether layers are fitted to their inputs and responses, rather than to their weights alone.
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

  public static let settings: [Setting<FactorSettings>] =
    [
      Setting(
        "ratio", \.ratio, 0.01...1,
        help: "target cost as a fraction of the current cost: of all layers together, or of each "
          + "one, depending on allocation"),
      Setting(
        "energy", \.energy, 0.01...1,
        help: "fraction of its spectrum's energy that each layer keeps, instead of ratio",
        unset: "ratio decides"),
      Setting(
        "calibrationImages", \.calibrationImages, 1...10_000_000,
        help: "maximum number of calibration samples", aliases: ["calibrationSize"]),
      Setting(
        "methods", \.methods,
        help:
          "methods for convolutions, of which the best is chosen: channel (k×k, 1×1), spatial "
          + "(k×1, 1×k), tucker (1×1, k×k, 1×1), cp (1×1, depthwise, 1×1); prune also removes "
          + "channels where that saves more for the same damage. svd accepts only channel and "
          + "prune",
        unset: "lowrank: all four; eigen, svd: channel"),
    ]
    + allocation(
      dataAware: "fit factors to the layers' inputs and responses, not to their weights alone")

  /// Whether channels are removed too.
  var prunes: Bool { methods?.contains(.prune) ?? false }

  /// The methods for factors; `nil`: the default of the technique.
  var decompositions: [DecompositionMethod]? { methods.map { $0.compactMap(\.decomposition) } }

  /// Whether channels or precisions are chosen too, not only ranks.
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

  /// Ignores methods that were given to several techniques in `svd`, which always makes two factors
  /// of each matrix.
  package mutating func settle(_ given: GivenSettings) throws {
    if given.has("ratio"), given.has("energy") {
      throw SwiftletError(
        .badInput,
        "\(given.spelling("ratio")) and \(given.spelling("energy")) exclude each other",
        at: given.technique.rawValue, fix: "use only one of them")
    }
    if given.has("energy") {
      guard !given.has("allocation") || !allocation.spansLayers else {
        throw given.idle(
          "energy", "with \(given.spelling("allocation")) \(allocation.rawValue)",
          "leave \(given.spelling("allocation")) out, or use \(given.spelling("ratio"))")
      }
      if !given.has("allocation") { allocation = .energy }
    }
    if given.technique == .svd, !Set(given.others).isDisjoint(with: [.lowrank, .eigen]) {
      methods = nil
    }
  }

  package func idle(_ spelling: SettingSpelling) -> [IdleSetting] {
    guard !allocation.spansLayers else { return [] }
    let place = "with \(spelling("allocation")) \(allocation.rawValue)"
    var idle = [
      IdleSetting(
        name: "cost", place: place,
        fix: "leave it out, or use \(spelling("allocation")) budget or greedy")
    ]
    if allocation != .ratio {
      idle.append(IdleSetting(name: "ratio", place: place, fix: "leave one of them out"))
    }
    if energy != nil, allocation != .energy {
      idle.append(
        IdleSetting(
          name: "allocation", place: "with \(spelling("energy"))", fix: "leave one of them out"))
    }
    return idle
  }

  package func check(_ spelling: SettingSpelling, of technique: Technique) throws {
    if let methods {
      let others = FactorMethod.allCases.filter { $0 != .prune }.map(\.rawValue)
        .joined(separator: ", ")
      guard !methods.isEmpty else {
        throw SwiftletError(
          .badInput, "\(spelling("methods")) is empty",
          fix: "leave it out, or name at least one of \(others)")
      }
      guard methods != [.prune] else {
        throw SwiftletError(
          .badInput, "\(spelling("methods")) contains only prune",
          fix: "use technique prune with a ratio, or add at least one of \(others)")
      }
      guard technique != .svd || prunes else {
        throw SwiftletError(
          .badInput,
          "\(spelling("methods")) does nothing in svd, which makes two factors of each matrix",
          fix: "leave \(spelling("methods")) out, or add prune to them")
      }
    }
    try checkAllocation(isJoint: isJoint, spelling)
  }

  package func hasty(samples: Int, of technique: Technique) -> FactorSettings? {
    var settings = self
    settings.dataAware = false
    // The only method that needs no slow preparation; the others are chosen only if they are
    // faster.
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

/// Splits fully connected layers into two thinner ones by truncated SVD.
package enum SVDTechnique: TechniqueDefinition {
  package static let name = "svd"
  package static let summary = "splits fully connected layers into two by truncated SVD"

  package static func makePass(_ settings: FactorSettings) -> any CompressionPass {
    FactorPass(.svd, settings, operators: ["Gemm", "MatMul"], methods: [.channel])
  }
}

/// Splits convolutions into chains of smaller ones.
package enum LowRankTechnique: TechniqueDefinition {
  package static let name = "lowrank"
  package static let summary = "splits convolutions into two or three smaller ones"

  package static func makePass(_ settings: FactorSettings) -> any CompressionPass {
    FactorPass(.lowrank, settings, operators: ["Conv"], methods: DecompositionMethod.allCases)
  }
}

/// Splits layers as `svd` and `lowrank` do, but along the principal directions of their responses
/// to data.
package enum EigenTechnique: TechniqueDefinition {
  package static let name = "eigen"
  package static let summary = "splits both kinds along the principal directions of responses"

  package static func makePass(_ settings: FactorSettings) -> any CompressionPass {
    FactorPass(.eigen, settings, operators: WeightedLayer.operators, methods: [.channel])
  }
}

extension Technique {
  /// Splits fully connected layers into two thinner ones by truncated SVD.
  public static let svd = Technique(SVDTechnique.self)
  /// Splits convolutions into chains of smaller ones.
  public static let lowrank = Technique(LowRankTechnique.self)
  /// Splits layers as `svd` and `lowrank` do, but along the principal directions of their responses
  /// to data.
  public static let eigen = Technique(EigenTechnique.self)
}

extension CompressionStep {
  /// A step that splits fully connected layers into two thinner ones by truncated SVD.
  ///
  /// - Parameter change: Changes the default settings.
  public static func svd(_ change: (inout FactorSettings) throws -> Void) rethrows -> Self {
    try Self(.svd, change)
  }

  /// A step that splits convolutions into chains of smaller ones.
  ///
  /// - Parameter change: Changes the default settings.
  public static func lowrank(_ change: (inout FactorSettings) throws -> Void) rethrows -> Self {
    try Self(.lowrank, change)
  }

  /// A step that splits layers as `svd` and `lowrank` do, but along the principal directions of
  /// their responses to data.
  ///
  /// - Parameter change: Changes the default settings.
  public static func eigen(_ change: (inout FactorSettings) throws -> Void) rethrows -> Self {
    try Self(.eigen, change)
  }
}
