// SPDX-License-Identifier: Apache-2.0

import RealModule
import SwiftletCore

/// The elements of an output, sample by sample.
struct SampleRows {
  /// Elements as fp64, row by row; integers and booleans as numbers.
  private let elements: Tensor<Double>
  /// Elements of one sample.
  let width: Int
  /// Whether the elements were floating-point numbers.
  let isFloat: Bool
  /// The extents of one sample.
  let shape: Shape

  /// - Throws: `unsupported` unless the output has one row for each sample.
  init(_ output: AnyTensor, named name: String, samples: Int) throws {
    let extents = output.shape.dimensions
    if extents.first == samples {
      shape = Shape(Array(extents.dropFirst()))
    } else if samples == 1 {
      // A model without an axis of samples.
      shape = output.shape
    } else {
      throw SwiftletError(
        .unsupported,
        "output '\(name)' is \(output.shape) for \(samples) samples: it must have one row for each",
        fix: "choose another output with --judged-output")
    }
    guard case .float64(let wide) = output.converted(to: .float64) else {
      throw SwiftletError(.internal, "a conversion to fp64 gave another type")
    }
    elements = wide.contiguous()
    width = shape.count
    isFloat = output.dtype.isFloat
  }

  /// The elements of a sample.
  @_lifetime(borrow self)
  borrowing func row(_ sample: Int) -> Span<Double> {
    elements.span.extracting(sample * width..<(sample + 1) * width)
  }
}

extension Span where Element == Double {
  /// The index of the first largest number; `nil` without numbers.
  var firstLargest: Int? {
    var best: Int?
    for i in indices where !self[i].isNaN {
      if best.map({ self[i] > self[$0] }) ?? true { best = i }
    }
    return best
  }

  /// Whether all elements are finite.
  var isFinite: Bool {
    for i in indices where !self[i].isFinite { return false }
    return true
  }
}

extension MetricBatch {
  /// The elements of an output of the judged model.
  func rows(_ name: String) throws -> SampleRows {
    guard let output = outputs[name] else {
      throw SwiftletError(.badInput, "the model has no output '\(name)'")
    }
    return try SampleRows(output, named: name, samples: samples.count)
  }

  /// The elements of an output of the original model.
  func originalRows(_ name: String) throws -> SampleRows {
    guard let output = original[name] else {
      throw SwiftletError(
        .badInput, "the original model has no output '\(name)'",
        fix: "compare models with the same outputs")
    }
    return try SampleRows(output, named: name, samples: samples.count)
  }

  /// Names of the outputs that hold floating-point numbers.
  var floatNames: [String] { outputNames.filter { outputs[$0]?.dtype.isFloat ?? false } }

  /// The only output that a metric of embeddings or score maps can judge.
  ///
  /// - Throws: `badInput` if there is none, or more than one.
  func onlyOutput(
    for metric: String, _ what: String, _ fits: (AnyTensor) -> Bool
  ) throws -> String {
    let able = outputNames.filter { outputs[$0].map(fits) ?? false }
    guard able.count != 1 else { return able[0] }
    let shapes = outputNames.map { "'\($0)' \(outputs[$0]?.shape.description ?? "")" }
      .joined(separator: ", ")
    throw SwiftletError(
      able.isEmpty ? .unsupported : .badInput,
      able.isEmpty
        ? "no output holds \(what): \(shapes)" : "several outputs may hold \(what): \(shapes)",
      at: "metric '\(metric)'",
      fix: able.isEmpty
        ? "choose another metric, see 'swiftlet help goals'" : "choose one with --judged-output")
  }
}
