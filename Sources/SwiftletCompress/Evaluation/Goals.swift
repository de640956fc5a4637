// SPDX-License-Identifier: Apache-2.0

import SwiftletCharts
import SwiftletCore
import SwiftletFormats
public import SwiftletGraph
import SwiftletRuntime
import SwiftletTraining

/// Requirements for the compressed model.
public struct Goals: Sendable {
  /// An upper bound, absolute or relative to the original model.
  public enum Bound: Sendable, Equatable {
    /// A value in the unit of the bound quantity.
    case absolute(Double)
    /// A fraction of the original model's value; 1 is unchanged.
    case fraction(Double)

    /// A bound as text: `200k`, `1.5M`, `0.12` or `50%`; `nil` if it is none, or not above 0.
    public init?(parsing text: String) {
      let scales: [Character: Double] = ["k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "%": 0.01]
      let scale = text.last.flatMap { scales[$0] }
      let digits = scale == nil ? text[...] : text.dropLast()
      guard let number = Double(digits), number.isFinite, number > 0 else { return nil }
      self = text.hasSuffix("%") ? .fraction(number * 0.01) : .absolute(number * (scale ?? 1))
    }

    func value(of original: Double) -> Double {
      switch self {
      case .absolute(let value): value
      case .fraction(let fraction): fraction * original
      }
    }
  }

  /// A drop of the metric; a rise if lower is better.
  public enum Drop: Sendable, Equatable, ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral {
    /// Percentage points for metrics that are fractions, else in the unit of the score.
    case absolute(Double)
    /// A fraction of the original model's score; 0 is unchanged.
    case relative(Double)

    /// An absolute drop.
    public init(floatLiteral value: Double) { self = .absolute(value) }
    public init(integerLiteral value: Int) { self = .absolute(Double(value)) }

    /// The drop in points, or in the unit of the score.
    ///
    /// - Throws: `badInput` if it is relative to a score of 0.
    func value(of original: Judgement) throws -> Double {
      switch self {
      case .absolute(let value): return value
      case .relative(let fraction):
        guard original.score != 0 else {
          throw SwiftletError(
            .badInput,
            "the original's \(original.metric.name) is 0, of which no percentage is left",
            at: "--max-drop", fix: "give an absolute number, without %")
        }
        return fraction * abs(original.score * original.metric.dropScale)
      }
    }
  }

  /// Largest acceptable drop of the metric, by default of top-1 accuracy; `nil`: any.
  public var maxDrop: Drop?
  /// Confidence level for ``maxDrop``, above 0.5 and below 1, by a paired test; `nil`: judge by the
  /// drop counted on the test images.
  public var confidence: Double?
  /// Bound on the size of the file, in bytes.
  public var size: Bound?
  /// Bound on multiply–accumulate operations per image.
  public var macs: Bound?
  /// Bound on milliseconds per image at batch 1.
  public var latency: Bound?

  /// Goals with the given requirements; `nil` for those that do not matter.
  public init(
    maxDrop: Drop? = nil, confidence: Double? = nil, size: Bound? = nil, macs: Bound? = nil,
    latency: Bound? = nil
  ) {
    self.maxDrop = maxDrop
    self.confidence = confidence
    self.size = size
    self.macs = macs
    self.latency = latency
  }

  /// Whether there is a goal that stronger compression meets sooner.
  var hasTarget: Bool { size != nil || macs != nil || latency != nil }

  /// Whether there are no goals.
  var isEmpty: Bool { maxDrop == nil && !hasTarget }

  /// The bound on size or operations that a model exceeds, as text; `nil`: none.
  func missedCost(_ before: ModelCost, _ after: ModelCost) -> String? {
    if let bound = size?.value(of: Double(before.fileBytes)), Double(after.fileBytes) > bound {
      return "\(after.fileBytes) bytes, more than \(Int(bound))"
    }
    if let bound = macs?.value(of: Double(before.macs)), Double(after.macs) > bound {
      return "\(after.macs) MACs, more than \(Int(bound))"
    }
    return nil
  }

  /// How a model exceeds ``maxDrop``, as text; `nil` if it does not.
  ///
  /// - Throws: `badInput` if the limit is relative to a score of 0.
  func missedScore(_ before: Judgement, _ after: Judgement) throws -> String? {
    guard let maxDrop else { return nil }
    let test = PairedTest(before, after)
    let samples = before.evaluation == nil ? "samples" : "images"
    let limit = try maxDrop.value(of: before)
    let label = before.metric
    let name = label == Metric.top1.label ? "top-1" : label.name
    let drop = "\(name) \(label.loss)s by \(label.text(ofDrop: test.drop))\(label.unit)"
    var bound = "\(limit)"
    if case .relative(let fraction) = maxDrop {
      bound = "\(plain(rounded(fraction * 100, 4))) % (\(label.text(ofDrop: limit))\(label.unit))"
    }
    guard let confidence else {
      guard test.drop > limit else { return nil }
      return "\(drop) on \(test.images) \(samples), more than \(bound)"
    }
    let reached = test.upperBound(confidence: confidence)
    guard reached > limit else { return nil }
    return "\(drop), below \(label.text(ofDrop: reached)) with "
      + "\(rounded(confidence * 100, 3)) % confidence on \(test.images) \(samples); the limit is "
      + bound
  }
}

/// The size and computational cost of a model.
public struct ModelCost: Sendable, Codable, Equatable {
  /// Size of the ONNX file in bytes.
  public let fileBytes: Int
  /// Number of parameters.
  public let parameters: Int
  /// Multiply–accumulate operations per image.
  public let macs: Int

  init(fileBytes: Int, parameters: Int, macs: Int) {
    (self.fileBytes, self.parameters, self.macs) = (fileBytes, parameters, macs)
  }

  /// Measures a graph.
  ///
  /// - Parameters:
  ///   - graph: The model.
  ///   - fileBytes: Size of the file that the graph comes from; `nil`: of the file that it would be
  ///     written to.
  ///   - extents: Sizes for open dimensions; `nil`: those that their names suggest.
  /// - Throws: The errors of serializing the graph and of inferring its shapes.
  public init(_ graph: Graph, fileBytes: Int? = nil, extents: OpenExtents? = nil) throws {
    self.fileBytes = try fileBytes ?? ONNXFile.encode(graph).count
    parameters = graph.parameterCount
    let sum = try Interpreter(graph).macs(extents: extents).reduce(0, +)
    macs = sum / max(1, graph.fixedBatch ?? 1)
  }
}
