// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// How the ranks of all layers are chosen.
public enum AllocationStrategy: String, Sendable, Codable, CaseIterable {
  /// Each layer keeps the same fraction of its operations (`ratio`), whether that is faster or not.
  case ratio
  /// Each layer keeps the same fraction of its spectrum (`energy`).
  case energy
  /// Each layer's rank by variational Bayesian matrix factorization of its weights.
  case evbmf
  /// Step by step what saves most for the damage it does, down to `ratio` of the cost.
  case greedy
  /// The least damage that costs `ratio` of what the layers cost now, over all layers at once.
  case budget

  /// Whether it weighs layers against each other.
  package var spansLayers: Bool { self == .greedy || self == .budget }
}

/// What a model's layers are to have less of.
public enum AllocationCost: String, Sendable, Codable, CaseIterable {
  /// Time of one thread on this machine, measured with the runtime's own kernels.
  case milliseconds
  /// Multiply–accumulate operations.
  case macs
  /// Weights.
  case bytes
}

/// What layers are timed in.
///
/// Wide ones come first.
public enum LayerPrecision: String, Sendable, Codable, CaseIterable, Comparable {
  case fp32
  case bf16
  case int8
  /// 4-bit weights, 8-bit activations.
  case int4

  public static func < (a: LayerPrecision, b: LayerPrecision) -> Bool { a.bytes > b.bytes }

  /// Of a weight.
  var bytes: Double {
    switch self {
    case .fp32: 4
    case .bf16: 2
    case .int8: 1
    case .int4: 0.5
    }
  }

  /// The default settings of `quantize` that make it; `nil` for floats.
  ///
  /// - Parameter bits: Those that int8 weights use.
  func quantization(bits: Int = 8) -> QuantizationSettings? {
    guard self == .int8 || self == .int4 else { return nil }
    var settings = QuantizationSettings()
    settings.bits = self == .int4 ? 4 : bits
    return settings
  }
}

/// How a technique weighs layers against each other. Techniques that do declare these settings by
/// `allocation(dataAware:)`.
package protocol AllocationSettings: StepSettings {
  /// Whether layers are fitted to what they see and answer, or to their weights alone.
  var dataAware: Bool { get set }
  var allocation: AllocationStrategy { get set }
  var cost: AllocationCost { get set }
  /// Images at once for which layers are timed; `nil`: 32, fewer of large images.
  var timingBatch: Int? { get set }
  /// The precision in which layers are timed.
  var timingPrecision: LayerPrecision { get set }
  /// Precisions to choose among for each layer, within the same budget, which is a share of what
  /// the widest of them costs. A later `quantize` step keeps to the choice. `nil`: all layers are
  /// taken to have ``timingPrecision``.
  var precisions: [LayerPrecision]? { get set }
  /// Bits of the int8 weights that a later step makes, which decide about their kernels; `nil`: 8.
  var laterBits: Int? { get set }
  /// What the layers may cost together, as a fraction of now.
  var share: Double { get }
}

extension AllocationSettings {
  /// The declarations of the settings in common; `dataAware` is the help of that setting.
  static func allocation(dataAware: String) -> [Setting<Self>] {
    [
      Setting(
        "dataAware", \.dataAware, help: dataAware,
        shorthands: [SettingDescription.Shorthand("plain", .truth(false))]),
      Setting(
        "allocation", \.allocation,
        help:
          "how ranks and channels are chosen: budget and greedy spend ratio over all layers and leave "
          + "those alone that would get no faster; ratio, energy and evbmf choose each rank by itself"
      ),
      Setting(
        "cost", \.cost,
        help: "what budget and greedy spend: milliseconds, measured on this machine, macs or bytes"),
      Setting(
        "timingBatch", \.timingBatch, 1...4096, help: "batch size at which layers are timed",
        unset: "32, less for large images", keyAliases: ["batch"]),
      Setting(
        "timingPrecision", \.timingPrecision,
        help: "precision in which layers are timed; int8 if quantize follows",
        keyAliases: ["precision"]),
      Setting(
        "precisions", \.precisions,
        help:
          "precisions to choose from for each layer within the same budget, such as fp32,int8; ratio is "
          + "relative to the widest, and a later quantize follows the choice",
        unset: "all layers alike"),
    ]
  }

  package var share: Double { 1 }

  package mutating func expect(integerBits: Int?) { laterBits = integerBits ?? laterBits }

  /// A later step's bits decide about the kernels that layers are timed with.
  package func dependencies() throws -> [String] { laterBits.map { ["bits \($0)"] } ?? [] }

  /// - Throws: `badInput` naming settings that do not go together.
  func checkAllocation(isJoint: Bool, _ spelling: SettingSpelling) throws {
    if let precisions {
      guard Set(precisions).count == precisions.count, precisions.count > 1 else {
        throw SwiftletError(
          .badInput, "\(spelling("precisions")) leaves nothing to choose from",
          mend: "name at least two, each of them once, such as fp32 and int8")
      }
      guard dataAware else {
        throw SwiftletError(
          .badInput, "\(spelling("precisions")) needs data to tell what each precision does",
          mend: "leave \(spelling("dataAware")) or \(spelling("precisions")) out")
      }
    }
    guard !isJoint || allocation.spansLayers else {
      throw SwiftletError(
        .badInput, "\(spelling("allocation")) '\(allocation.rawValue)' chooses only ranks",
        mend: "use budget or greedy")
    }
  }

  /// Settings that earlier versions called otherwise.
  static func upgradeAllocation(_ former: inout FormerSettings) {
    former.take("decomposition")
    former.rename("batch", to: "timingBatch")
    former.rename("precision", to: "timingPrecision")
  }
}

extension AllocationStrategy: SettingChoice {}
extension AllocationCost: SettingChoice {}
extension LayerPrecision: SettingChoice {}
