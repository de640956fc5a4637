// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// The discrete Fourier transform along an axis: x …×1 (real) or …×2 (complex) → …×2.
///
/// The signal is truncated or zero-padded to the length that the second input gives. `onesided`
/// keeps the first ⌊n/2⌋ + 1 frequencies of a real signal; the inverse of such a spectrum is a real
/// signal.
///
/// - Source: ONNX `DFT`. The axis is an attribute (by default 1) up to operator set 19, and an
///   input (by default −2) from 20 on.
struct DFT: Operator {
  static let opType = "DFT"
  /// Longer transforms are rejected: their tables would be larger than any signal.
  static let lengthLimit = 1 << 22
  private let attributeAxis: Int
  private let takesAxis: Bool
  private let isInverse, isOneSided: Bool

  init(_ node: Node, opset: Int) throws {
    takesAxis = opset >= 20
    attributeAxis = takesAxis ? -2 : try node.int("axis", default: 1)
    isInverse = try node.int("inverse", default: 0) != 0
    isOneSided = try node.int("onesided", default: 0) != 0
  }

  private struct Layout {
    let axis, length, output: Int
    let isComplex: Bool
    let result: Shape
  }

  private func layout(_ inputs: [TensorInfo?]) throws -> Layout {
    let x = try floating(inputs, 0, "signal")
    let rank = x.shape.rank
    let given = try (takesAxis ? integers(inputs, 2, "axis")?.first : nil) ?? attributeAxis
    let axis = try axis(given, rank: rank)
    guard rank >= 2, axis < rank - 1, 1...2 ~= x.shape[rank - 1] else {
      throw mismatch(
        "axis \(given) does not fit signal \(x.shape), whose last axis has 1 or 2 numbers")
    }
    let isComplex = x.shape[rank - 1] == 2
    var length = x.shape[axis]
    if isInverse, isOneSided { length = max(1, 2 * (length - 1)) }
    if let asked = try integers(inputs, 1, "length")?.first { length = asked }
    guard 1...Self.lengthLimit ~= length else {
      throw mismatch("transform length \(length) is not in 1...\(Self.lengthLimit)")
    }
    guard !isOneSided || isComplex == isInverse else {
      throw mismatch("onesided does not apply to a \(isComplex ? "complex" : "real") signal")
    }
    let output = isOneSided && !isInverse ? length / 2 + 1 : length
    var extents = x.shape.dimensions
    extents[axis] = output
    extents[rank - 1] = isOneSided && isInverse ? 1 : 2
    return Layout(
      axis: axis, length: length, output: output, isComplex: isComplex,
      result: try Shape(checking: extents))
  }

  func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    [TensorInfo(inputs[0]?.dtype ?? .float32, try layout(inputs).result)]
  }

  func forward(_ inputs: inout [AnyTensor?], _ context: ExecutionContext) throws -> [AnyTensor] {
    let x = inputs[0]!
    let layout = try layout(inputs.map { $0.map(TensorInfo.init) })
    let values = try x.converted(to: .float64).require(Double.self).contiguous()
    let extent = x.shape[layout.axis]
    let parts = layout.isComplex ? 2 : 1
    let inner = x.shape.count(of: layout.axis + 1..<x.shape.rank - 1)
    let outer = x.shape.count(of: 0..<layout.axis)
    let results = layout.result.dimensions.last!
    var y = Tensor<Double>(uninitialized: [outer * inner, layout.output * results])
    let transform = DiscreteFourier(count: layout.length)
    context.threads.forEachBlock(of: &y, minimumWork: 1 << 10) { lines, output in
      for line in lines {
        let (row, column) = (line / max(1, inner), line % max(1, inner))
        var signal: DiscreteFourier.Numbers = (
          [Double](repeating: 0, count: layout.length), [Double](repeating: 0, count: layout.length)
        )
        for k in 0..<min(extent, layout.length) {
          let place = ((row * extent + k) * inner + column) * parts
          signal.real[k] = values.span[place]
          if layout.isComplex { signal.imaginary[k] = values.span[place + 1] }
        }
        if isOneSided, isInverse {
          // The other side mirrors the given one.
          for k in 1..<max(1, (layout.length + 1) / 2) {
            (signal.real[layout.length - k], signal.imaginary[layout.length - k]) = (
              signal.real[k], -signal.imaginary[k]
            )
          }
        }
        let result = transform.transformed(signal, inverse: isInverse)
        let start = (line - lines.lowerBound) * layout.output * results
        for k in 0..<layout.output {
          output[start + k * results] = result.real[k]
          if results == 2 { output[start + k * results + 1] = result.imaginary[k] }
        }
      }
    }
    // Lines are consecutive; move their axis back to its position.
    let shape = layout.result
    let apart = [outer, inner, layout.output, results]
    let placed = y.reshaped(to: Shape(apart)).permuted(to: [0, 2, 1, 3]).contiguous()
    return [AnyTensor(placed.reshaped(to: shape)).converted(to: x.dtype)]
  }
}
