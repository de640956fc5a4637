import SwiftletCore
import SwiftletFormats
public import SwiftletGraph
import SwiftletRuntime
import SwiftletTraining

/// What the compressed model must reach.
public struct Goals: Sendable {
  /// A bound, absolute or relative to the model before compression.
  public enum Bound: Sendable, Equatable {
    case absolute(Double)
    case fraction(Double)

    func value(of original: Double) -> Double {
      switch self {
      case .absolute(let value): value
      case .fraction(let fraction): fraction * original
      }
    }
  }

  /// Points of top-1 accuracy that may be lost, in percent.
  public var maxDrop: Double?
  /// Bytes of the file.
  public var size: Bound?
  /// Multiply–accumulate operations per image.
  public var macs: Bound?
  /// Milliseconds per image at batch 1.
  public var latency: Bound?

  public init(
    maxDrop: Double? = nil, size: Bound? = nil, macs: Bound? = nil, latency: Bound? = nil
  ) {
    self.maxDrop = maxDrop
    self.size = size
    self.macs = macs
    self.latency = latency
  }

  /// Whether there is anything to reach.
  var isEmpty: Bool { maxDrop == nil && size == nil && macs == nil && latency == nil }
}

/// What a model weighs.
public struct ModelCost: Sendable, Codable, Equatable {
  public let fileBytes: Int
  public let parameters: Int
  /// Multiply–accumulate operations per image.
  public let macs: Int

  public init(_ graph: Graph) throws {
    fileBytes = try ONNXFile.serialized(graph).count
    parameters = graph.parameterCount
    macs = try Plan(graph).macs().reduce(0, +)
  }
}
