// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// Weights as 8- or 4-bit integers, symmetric around 0, with the scales that restore them.
struct QuantizedWeights: Sendable {
  /// Codes with the shape of the weights: int8 in −127…127 or int4 in −7…7.
  let codes: AnyTensor
  /// One scale per index of ``axis``; with blocks, the shape of the weights with one entry per
  /// block along ``axis``.
  let scales: Tensor<Float>
  let axis: Int
  /// Number of consecutive indices of ``axis`` that share a scale; `nil` if each has its own.
  let blockSize: Int?

  /// The weights of the transposed matrix.
  var turned: QuantizedWeights {
    let turnedCodes: AnyTensor =
      if let codes: Tensor<Int8> = codes.typed() {
        .int8(codes.transposed().contiguous())
      } else {
        .int4(codes.typed(as: Int4.self)!.transposed().contiguous())
      }
    return QuantizedWeights(
      codes: turnedCodes,
      scales: blockSize == nil ? scales : scales.transposed().contiguous(), axis: 1 - axis,
      blockSize: blockSize)
  }

  /// The weights that the codes stand for.
  var restored: Tensor<Float> {
    let layout = WeightLayout(codes.shape, axis: axis, blockSize: blockSize)
    let steps = scales.elements
    let levels: [Int8] =
      codes.typed(as: Int8.self)?.elements
      ?? codes.typed(as: Int4.self)!.elements.map { Int8($0.asInt64) }
    return Tensor(
      codes.shape, levels.indices.map { Float(levels[$0]) * steps[layout.scale(of: $0)] })
  }
}

/// Which elements of weights share a scale.
struct WeightLayout: Sendable {
  let shape: Shape
  let axis: Int
  let blockSize: Int?
  private let inner, extent: Int

  init(_ shape: Shape, axis: Int, blockSize: Int? = nil) {
    (self.shape, self.axis, self.blockSize) = (shape, axis, blockSize)
    extent = shape[axis]
    inner = shape.count(of: axis + 1..<shape.rank)
  }

  private var blocks: Int { blockSize.map { (extent + $0 - 1) / $0 } ?? extent }

  var scaleShape: Shape { blockSize == nil ? [extent] : shape.replacing(axis: axis, with: blocks) }

  /// The index of the scale for the element at a row-major position.
  func scale(of position: Int) -> Int {
    guard let blockSize else { return position / inner % extent }
    let (row, column) = (position / inner, position % inner)
    return (row / extent * blocks + row % extent / blockSize) * inner + column
  }
}

/// The symmetric integer grid of weights.
struct WeightGrid: Sendable {
  /// 8, 7 or 4.
  let bits: Int
  /// Whether scales are rounded up to powers of two.
  var isPowerOfTwo = false

  /// The grid that the settings choose for a layer.
  init(_ settings: QuantizationSettings, _ layer: Node) {
    (bits, isPowerOfTwo) = (settings.bits(of: layer), settings.powerOfTwo)
  }

  init(bits: Int) { self.bits = bits }

  /// The largest code: 127, 63 or 7. The smallest is its negative, so that the grid is symmetric
  /// and the sum of two products of codes fits in 16 bits.
  var highest: Float { Float(1 << (bits - 1) - 1) }

  /// The scales that map the largest weight to the largest code.
  func scales(_ weights: Tensor<Float>, _ layout: WeightLayout) -> [Float] {
    let packed = weights.contiguous()
    let span = packed.span
    var largest = [Float](repeating: 0, count: layout.scaleShape.count)
    for i in span.indices {
      let index = layout.scale(of: i)
      largest[index] = max(largest[index], abs(span[i]))
    }
    // Any scale fits a channel of zeros, but dividing by a subnormal one would overflow.
    return largest.map { max($0 / highest, Float.leastNormalMagnitude) }
  }

  /// The scales with the least squared error among those that clip up to half of the largest
  /// weight.
  ///
  /// With few bits, clipping a few large weights costs less than coarser steps for all.
  func fittedScales(_ weights: Tensor<Float>, _ layout: WeightLayout) -> [Float] {
    let whole = scales(weights, layout)
    let packed = weights.contiguous()
    let span = packed.span
    var best = whole
    var least = [Float](repeating: .infinity, count: whole.count)
    for share in stride(from: Float(1), through: 0.5, by: -0.025) {
      var errors = [Float](repeating: 0, count: whole.count)
      for i in span.indices {
        let index = layout.scale(of: i)
        let error = span[i] - restored(span[i], whole[index] * share)
        errors[index] += error * error
      }
      for index in errors.indices where errors[index] < least[index] {
        (best[index], least[index]) = (
          max(whole[index] * share, .leastNormalMagnitude), errors[index]
        )
      }
    }
    return best
  }

  /// The nearest code for a weight.
  func code(_ weight: Float, _ scale: Float) -> Float {
    min(max((weight / scale).rounded(.toNearestOrEven), -highest), highest)
  }

  func restored(_ weight: Float, _ scale: Float) -> Float { code(weight, scale) * scale }

  /// The scales for a layer's weights: those that minimize the error with 4 bits, where clipping
  /// pays; otherwise those that clip nothing.
  func chosenScales(_ weights: Tensor<Float>, _ layout: WeightLayout) -> [Float] {
    let chosen = bits == 4 ? fittedScales(weights, layout) : scales(weights, layout)
    return isPowerOfTwo ? chosen.map(\.nextPowerOfTwo) : chosen
  }

  /// A layer's weights rounded to nearest, with a scale per output channel.
  func nearest(_ layer: QuantizationScheme.Layer) -> QuantizedWeights {
    let layout = WeightLayout(layer.weights.shape, axis: layer.axis)
    return rounded(layer.weights, layout, scales: chosenScales(layer.weights, layout))
  }

  /// Weights rounded to nearest.
  func rounded(
    _ weights: Tensor<Float>, _ layout: WeightLayout, scales: [Float]
  ) -> QuantizedWeights {
    let packed = weights.contiguous()
    let span = packed.span
    return quantized(
      span.indices.map { Int8(code(span[$0], scales[layout.scale(of: $0)])) }, layout, scales)
  }

  /// - Parameter codes: One per weight, row-major, within ±``highest``.
  func quantized(
    _ codes: [Int8], _ layout: WeightLayout, _ scales: [Float]
  ) -> QuantizedWeights {
    QuantizedWeights(
      codes: bits == 4
        ? .int4(Tensor(layout.shape, codes.map { Int4(converting: Int64($0)) }))
        : .int8(Tensor(layout.shape, codes)),
      scales: Tensor(layout.scaleShape, scales), axis: layout.axis, blockSize: layout.blockSize)
  }
}
