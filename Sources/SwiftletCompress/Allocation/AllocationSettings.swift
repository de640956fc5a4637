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

/// Settings that the decomposing techniques have in common.
public struct DecompositionSettings: Sendable, Codable, Equatable {
  /// What to choose among; `nil`: what the technique is for.
  public var methods: [DecompositionMethod]?
  /// Whether channels are removed too, where that saves more for the damage it does: `prune` among the
  /// methods.
  @EmptyIfAbsent public var prunes = false
  /// Whether factors are fitted to what the layers see and answer, or to their weights alone.
  public var dataAware = true
  public var allocation = AllocationStrategy.budget
  public var cost = AllocationCost.milliseconds
  /// Images at once for which layers are timed; `nil`: 32, fewer of large images.
  public var batch: Int?
  /// In what layers are timed.
  public var precision = LayerPrecision.fp32
  /// Bits of int8 weights, which decide about their kernels: those of the `quantize` step behind in the recipe;
  /// `nil`: 8.
  var integerBits: Int?
  /// Precisions to choose among for each layer, within the same budget, which is a share of what the widest of
  /// them costs. A `quantize` step behind keeps to the choice. `nil`: all layers are taken to have ``precision``.
  public var precisions: [LayerPrecision]?

  public init() {}

  /// - Returns: Whether there is such a setting.
  mutating func set(_ key: String, _ value: SettingValue) throws -> Bool {
    switch key {
    case "methods": try setMethods(value.names())
    case "dataAware": dataAware = try value.truth()
    case "allocation": allocation = try value.choice()
    case "cost": cost = try value.choice()
    case "batch": batch = try value.whole()
    case "precision": precision = try value.choice()
    case "precisions": try setPrecisions(value.names())
    default: return false
    }
    return true
  }

  /// Takes precisions by name.
  ///
  /// - Throws: `badInput` naming what is none.
  package mutating func setPrecisions(_ names: [String]) throws {
    precisions = try names.map { name in
      guard let precision = LayerPrecision(rawValue: name) else {
        throw SwiftletError(
          .badInput, "'\(name)' is no precision of a layer",
          mend: "use some of " + LayerPrecision.allCases.map(\.rawValue).joined(separator: ", "))
      }
      return precision
    }
  }

  /// Takes methods by name, `prune` among them or not.
  ///
  /// - Throws: `badInput` naming what is no method; if `prune` is the only one.
  package mutating func setMethods(_ names: [String]) throws {
    let known = DecompositionMethod.allCases.map(\.rawValue).joined(separator: ", ")
    prunes = names.contains(Technique.prune.rawValue)
    methods = try names.filter { $0 != Technique.prune.rawValue }.map { name in
      guard let method = DecompositionMethod(rawValue: name) else {
        throw SwiftletError(
          .badInput, "'\(name)' is no method", mend: "use some of \(known), and prune beside them")
      }
      return method
    }
    if prunes && methods == [] {
      throw SwiftletError(
        .badInput, "prune is the only method",
        mend: "use technique prune with a ratio, or add some of \(known)")
    }
  }

  /// Whether more than ranks is chosen over all layers.
  var isJoint: Bool { prunes || precisions != nil }

  /// - Throws: `badInput` naming the setting that is out of range.
  func validate() throws {
    guard 1...4096 ~= batch ?? 1 else {
      throw SwiftletError(
        .badInput, "batch \(batch ?? 0) is not between 1 and 4096", mend: "try 32")
    }
    if let precisions {
      guard Set(precisions).count == precisions.count, precisions.count > 1 else {
        throw SwiftletError(
          .badInput, "there are no precisions to choose among",
          mend: "name two at least, each of them once, such as fp32 and int8")
      }
      guard dataAware else {
        throw SwiftletError(
          .badInput, "what a precision does to the answers, only data tell",
          mend: "leave plain or precisions out")
      }
    }
    guard methods?.isEmpty != true else {
      throw SwiftletError(
        .badInput, "there are no methods",
        mend: "leave methods out, or name some of "
          + DecompositionMethod.allCases.map(\.rawValue).joined(separator: ", "))
    }
  }
}
