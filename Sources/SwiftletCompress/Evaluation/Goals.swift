// SPDX-License-Identifier: Apache-2.0

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
  /// How sure that must be, above 0.5 and below 1, by a paired test; `nil`: as counted on the
  /// images.
  public var confidence: Double?
  /// Bytes of the file.
  public var size: Bound?
  /// Multiply–accumulate operations per image.
  public var macs: Bound?
  /// Milliseconds per image at batch 1.
  public var latency: Bound?

  public init(
    maxDrop: Double? = nil, confidence: Double? = nil, size: Bound? = nil, macs: Bound? = nil,
    latency: Bound? = nil
  ) {
    self.maxDrop = maxDrop
    self.confidence = confidence
    self.size = size
    self.macs = macs
    self.latency = latency
  }

  /// Whether there is something that a stronger compression reaches sooner.
  var hasTarget: Bool { size != nil || macs != nil || latency != nil }

  /// Whether there is anything to reach.
  var isEmpty: Bool { maxDrop == nil && !hasTarget }

  /// What a model misses of the bounds on size and operations, if anything.
  func missedCost(_ before: ModelCost, _ after: ModelCost) -> String? {
    if let bound = size?.value(of: Double(before.fileBytes)), Double(after.fileBytes) > bound {
      return "\(after.fileBytes) bytes, more than \(Int(bound))"
    }
    if let bound = macs?.value(of: Double(before.macs)), Double(after.macs) > bound {
      return "\(after.macs) MACs, more than \(Int(bound))"
    }
    return nil
  }

  /// Whether a model loses more than it may.
  func missedAccuracy(_ test: PairedTest) -> String? {
    guard let maxDrop else { return nil }
    func short(_ value: Double) -> String { "\((value * 1e3).rounded() / 1e3)" }
    guard let confidence else {
      guard test.drop > maxDrop else { return nil }
      return
        "top-1 drops by \(short(test.drop)) points on \(test.images) images, more than \(maxDrop)"
    }
    let bound = test.upperBound(confidence: confidence)
    guard bound > maxDrop else { return nil }
    return "top-1 drops by \(short(test.drop)) points, below \(short(bound)) with "
      + "\(short(confidence * 100)) % confidence on \(test.images) images; \(maxDrop) are allowed"
  }
}

/// What a model weighs.
public struct ModelCost: Sendable, Codable, Equatable {
  public let fileBytes: Int
  public let parameters: Int
  /// Multiply–accumulate operations per image.
  public let macs: Int

  init(fileBytes: Int, parameters: Int, macs: Int) {
    (self.fileBytes, self.parameters, self.macs) = (fileBytes, parameters, macs)
  }

  /// `fileBytes` are those of the file that the graph is from, by default of the one that it would
  /// be written as; `extents` are for what the model leaves open, by default what that seems to
  /// mean.
  public init(_ graph: Graph, fileBytes: Int? = nil, extents: OpenExtents? = nil) throws {
    self.fileBytes = try fileBytes ?? ONNXFile.encode(graph).count
    parameters = graph.parameterCount
    let sum = try Interpreter(graph).macs(extents: extents).reduce(0, +)
    macs = sum / max(1, graph.fixedBatch ?? 1)
  }
}
