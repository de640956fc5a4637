// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// How ranks, and numbers of channels, are chosen.
public enum AllocationStrategy: String, Sendable, Codable, CaseIterable {
  /// Each layer keeps the same fraction of its operations (`ratio`), whether or not that makes it
  /// faster.
  case ratio
  /// Each layer keeps the same fraction of its spectrum (`energy`).
  case energy
  /// Each layer gets the rank that variational Bayesian matrix factorization finds for its weights.
  case evbmf
  /// Repeats the step that saves the most cost per damage, until the cost is `ratio` of the
  /// original.
  case greedy
  /// Minimizes the total damage, subject to a total cost of `ratio` of the original.
  case budget

  /// Whether it trades layers off against each other.
  package var spansLayers: Bool { self == .greedy || self == .budget }
}

/// The cost that an allocation reduces.
public enum AllocationCost: String, Sendable, Codable, CaseIterable {
  /// Time on one thread of this machine, measured with the runtime's own kernels.
  case milliseconds
  /// Multiply–accumulate operations.
  case macs
  /// Size of the weights in the layer's precision.
  case bytes
}

/// The precision in which a layer is computed and timed.
///
/// Ordered from wide to narrow: `fp32 < bf16 < int8 < int4`.
public enum LayerPrecision: String, Sendable, Codable, CaseIterable, Comparable {
  /// 32-bit floats.
  case fp32
  /// 16-bit brain floats.
  case bf16
  /// 8-bit weights and activations; a later `quantize` step may use 7 bits for the weights.
  case int8
  /// 4-bit weights, 8-bit activations.
  case int4

  public static func < (a: LayerPrecision, b: LayerPrecision) -> Bool { a.bytes > b.bytes }

  /// Bytes per weight.
  var bytes: Double {
    switch self {
    case .fp32: 4
    case .bf16: 2
    case .int8: 1
    case .int4: 0.5
    }
  }

  /// The default settings of `quantize` for this precision; `nil` for floating-point precisions.
  ///
  /// - Parameter bits: Bits per weight for int8, 8 or 7.
  func quantization(bits: Int = 8) -> QuantizationSettings? {
    guard self == .int8 || self == .int4 else { return nil }
    var settings = QuantizationSettings()
    settings.bits = self == .int4 ? 4 : bits
    return settings
  }
}

/// Settings of techniques that trade layers off against each other. Such techniques declare them
/// with `allocation(dataAware:)`.
package protocol AllocationSettings: StepSettings {
  /// Whether layers are fitted to their inputs and responses, rather than to their weights alone.
  var dataAware: Bool { get set }
  /// The strategy that chooses ranks and numbers of channels.
  var allocation: AllocationStrategy { get set }
  /// The cost that ``allocation`` reduces.
  var cost: AllocationCost { get set }
  /// Batch size for timing layers; `nil`: 32, or less if the inputs are large.
  var timingBatch: Int? { get set }
  /// The precision in which layers are timed.
  var timingPrecision: LayerPrecision { get set }
  /// Precisions to choose from for each layer, within the same budget, which is a fraction of the
  /// cost in the widest of them. A later `quantize` step follows the choice. `nil`: all layers are
  /// assumed to have ``timingPrecision``.
  var precisions: [LayerPrecision]? { get set }
  /// Bits per int8 weight in a later `quantize` step, which determine the kernels; `nil`: 8.
  var laterBits: Int? { get set }
  /// The budget for all layers together, as a fraction of their current cost.
  var share: Double { get }
}

extension AllocationSettings {
  /// Declares the common settings; `dataAware` is the help text of the setting of that name.
  static func allocation(dataAware: String) -> [Setting<Self>] {
    [
      Setting(
        "dataAware", \.dataAware, help: dataAware,
        shorthands: [SettingDescription.Shorthand("plain", .truth(false))]),
      Setting(
        "allocation", \.allocation,
        help:
          "strategy for choosing ranks and channels: budget and greedy apply ratio to all layers "
          + "together and leave layers unchanged that would not get faster; ratio, energy and "
          + "evbmf choose each rank on its own"
      ),
      Setting(
        "cost", \.cost,
        help: "cost that budget and greedy reduce: milliseconds (measured on this machine), macs "
          + "or bytes"),
      Setting(
        "timingBatch", \.timingBatch, 1...4096,
        help: "batch size for timing layers, for the allocation and for reports",
        unset: "32, less for large images", keyAliases: ["batch"]),
      Setting(
        "timingPrecision", \.timingPrecision,
        help:
          "precision in which layers are timed, for the allocation and for reports; use int8 if "
          + "quantize follows",
        keyAliases: ["precision"]),
      Setting(
        "precisions", \.precisions,
        help:
          "precisions to choose from for each layer within the same budget, such as fp32,int8; "
          + "ratio is then relative to the cost in the widest one, and a later quantize follows "
          + "the choice",
        unset: "the same for all layers"),
    ]
  }

  package var share: Double { 1 }

  package mutating func expect(integerBits: Int?) { laterBits = integerBits ?? laterBits }

  /// The bits per weight of a later step determine the kernels that are timed.
  package func dependencies() throws -> [String] { laterBits.map { ["bits \($0)"] } ?? [] }

  /// Checks settings that depend on each other.
  ///
  /// - Parameters:
  ///   - isJoint: Whether channels or precisions are chosen too, not only ranks.
  ///   - spelling: How the caller spells the names of settings.
  /// - Throws: `badInput` naming the conflicting settings.
  func checkAllocation(isJoint: Bool, _ spelling: SettingSpelling) throws {
    if let precisions {
      guard Set(precisions).count == precisions.count, precisions.count > 1 else {
        throw SwiftletError(
          .badInput, "\(spelling("precisions")) needs at least two different precisions",
          fix: "name each one once, for example fp32 and int8")
      }
      guard dataAware else {
        throw SwiftletError(
          .badInput, "\(spelling("precisions")) needs data to measure the damage of each precision",
          fix: "leave \(spelling.off("dataAware")) or \(spelling("precisions")) out")
      }
    }
    guard !isJoint || allocation.spansLayers else {
      throw SwiftletError(
        .badInput,
        "\(spelling("allocation")) '\(allocation.rawValue)' can only choose ranks",
        fix: "use budget or greedy")
    }
  }

  /// Translates settings from manifests of earlier versions.
  static func upgradeAllocation(_ former: inout FormerSettings) {
    former.take("decomposition")
    former.rename("batch", to: "timingBatch")
    former.rename("precision", to: "timingPrecision")
  }
}

extension AllocationStrategy: SettingChoice {}
extension AllocationCost: SettingChoice {}
extension LayerPrecision: SettingChoice {}
