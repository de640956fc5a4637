// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// Constant weights as integers of 8 or 4 bits, symmetric around 0, and the scales that restore
/// them.
struct QuantizedWeights: Sendable {
  /// int8 in −127…127 or int4 in −7…7.
  let codes: AnyTensor
  /// One for each index of ``axis``, or with blocks one for each block of indices of ``axis``.
  let scales: Tensor<Float>
  let axis: Int
  /// How many indices of ``axis`` share a scale; `nil` where each has its own.
  let blockSize: Int?

  /// Those of the transposed matrix.
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

  /// The index of the scale of the element at a position.
  func scale(of position: Int) -> Int {
    guard let blockSize else { return position / inner % extent }
    let (row, column) = (position / inner, position % inner)
    return (row / extent * blocks + row % extent / blockSize) * inner + column
  }
}

/// The integers that weights may become.
struct WeightGrid: Sendable {
  /// 8, 7 or 4.
  let bits: Int
  /// Whether scales are powers of two, the next larger ones.
  var isPowerOfTwo = false

  /// What the settings give a layer.
  init(_ settings: QuantizationSettings, _ layer: Node) {
    (bits, isPowerOfTwo) = (settings.bits(of: layer), settings.powerOfTwo)
  }

  init(bits: Int) { self.bits = bits }

  /// The largest code: 127, 63 or 7. The code below its negative is left out, so that the grid is
  /// symmetric and products of two of them fit.
  var highest: Float { Float(1 << (bits - 1) - 1) }

  /// The scales at which the largest weight becomes the largest code.
  func scales(_ weights: Tensor<Float>, _ layout: WeightLayout) -> [Float] {
    let packed = weights.contiguous()
    let span = packed.span
    var largest = [Float](repeating: 0, count: layout.scaleShape.count)
    for i in span.indices {
      let index = layout.scale(of: i)
      largest[index] = max(largest[index], abs(span[i]))
    }
    // A channel of zeros takes any scale; a subnormal one would overflow the division.
    return largest.map { max($0 / highest, Float.leastNormalMagnitude) }
  }

  /// The scales with the least square error, of those that clip up to half of the largest weight.
  ///
  /// With few bits, clipping the few large weights costs less than coarser steps for all.
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

  /// The nearest code of a weight.
  func code(_ weight: Float, _ scale: Float) -> Float {
    min(max((weight / scale).rounded(.toNearestOrEven), -highest), highest)
  }

  func restored(_ weight: Float, _ scale: Float) -> Float { code(weight, scale) * scale }

  /// The scales of a layer's weights. Many steps hold the largest weight well; of few, fitting ones
  /// lose less.
  func chosenScales(_ weights: Tensor<Float>, _ layout: WeightLayout) -> [Float] {
    let chosen = bits == 4 ? fittedScales(weights, layout) : scales(weights, layout)
    return isPowerOfTwo ? chosen.map(\.nextPowerOfTwo) : chosen
  }

  /// A layer's weights as the nearest codes, with a scale per output channel.
  func nearest(_ layer: QuantizationScheme.Layer) -> QuantizedWeights {
    let layout = WeightLayout(layer.weights.shape, axis: layer.axis)
    return rounded(layer.weights, layout, scales: chosenScales(layer.weights, layout))
  }

  /// Each weight as the nearest code.
  func rounded(
    _ weights: Tensor<Float>, _ layout: WeightLayout, scales: [Float]
  ) -> QuantizedWeights {
    let packed = weights.contiguous()
    let span = packed.span
    return quantized(
      span.indices.map { Int8(code(span[$0], scales[layout.scale(of: $0)])) }, layout, scales)
  }

  /// - Parameter codes: One for each weight, row-major, none beyond ``highest``.
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
