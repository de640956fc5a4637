// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// How positions of a resized axis map to the input, and how its neighbours are combined.
struct ResizeSampling: Sendable {
  enum Mode: String { case nearest, linear, cubic }
  enum Coordinates: String {
    case halfPixel = "half_pixel"
    case halfPixelSymmetric = "half_pixel_symmetric"
    case pytorchHalfPixel = "pytorch_half_pixel"
    case alignCorners = "align_corners"
    case asymmetric
    case halfPixelForNearest = "tf_half_pixel_for_nn"
    case cropAndResize = "tf_crop_and_resize"
  }
  enum Rounding: String {
    case preferFloor = "round_prefer_floor"
    case preferCeil = "round_prefer_ceil"
    case floor, ceil
    /// The rule of operator sets without the attribute: up when the axis shrinks, otherwise down.
    case legacy
  }
  var mode = Mode.nearest
  var coordinates = Coordinates.halfPixel
  var rounding = Rounding.preferFloor
  var antialias = false
  var cubicCoefficient = -0.75
  var excludesOutside = false

  /// One axis that is resized.
  struct Extents: Sendable {
    let axis, input, output: Int
    /// The scale factor; for given lengths, output / input.
    let scale: Float
    /// The region of the input that is shown, from 0 to 1.
    let region: ClosedRegion

    /// Whether every element is unchanged.
    var isIdentity: Bool {
      input == output && scale == 1 && region.start == 0 && region.end == 1
    }
  }

  /// Bounds given by a model, in any order.
  struct ClosedRegion: Sendable {
    let start, end: Double
    static let whole = ClosedRegion(start: 0, end: 1)
  }

  /// The position in the input of the output position `x`; `nil` if it lies outside.
  ///
  /// In fp32, as in onnxruntime, with the same order of rounded operations: positions near the
  /// midpoint of two elements, or near an element, then fall on the same side.
  private func source(_ x: Int, _ extents: Extents) -> Double? {
    let (x, scale) = (Float(x), extents.scale)
    let (input, output) = (Float(extents.input), Float(extents.output))
    let last = input - 1
    // The length before rounding down, as in ONNX's own tests.
    let length = scale * input
    func halfPixel() -> Float { (x + 0.5) / scale - 0.5 }
    switch coordinates {
    case .halfPixel: return Double(halfPixel())
    case .halfPixelSymmetric:
      let shift = input / 2 * (1 - output / length)
      return Double(Float(Double(shift) + (Double(x) + 0.5) / Double(scale) - 0.5))
    case .pytorchHalfPixel: return extents.output > 1 ? Double(halfPixel()) : 0
    case .alignCorners: return length == 1 ? 0 : Double(x * last / (length - 1))
    case .asymmetric: return Double(x / scale)
    case .halfPixelForNearest: return Double((x + 0.5) / scale)
    case .cropAndResize:
      let (start, end) = (Float(extents.region.start), Float(extents.region.end))
      let place =
        extents.output > 1
        ? start * last + x * (end - start) * last / (output - 1) : (start + end) / 2 * last
      return 0...last ~= place ? Double(place) : nil
    }
  }

  /// The input positions that an axis of the output is computed from.
  func axis(_ extents: Extents) -> ResizeAxis {
    var result = ResizeAxis(axis: extents.axis, input: extents.input, output: extents.output)
    guard extents.output > 0 else { return result }
    let scale = min(1, Double(extents.scale))
    // Neighbours are counted from the last whole position before the requested one.
    let first: Int
    switch mode {
    case .nearest: first = 0
    case .linear: first = antialias ? Int((-1 / scale).rounded(.down)) + 1 : 0
    case .cubic: first = antialias ? Int((-2 / scale).rounded(.down)) + 1 : -1
    }
    let taps = mode == .nearest ? 1 : 2 - 2 * first
    result.taps = taps
    result.sources.reserveCapacity(extents.output * taps)
    let bounds = Double(-2 * taps - 2)...Double(extents.input + 2 * taps + 2)
    for x in 0..<extents.output {
      let source = source(x, extents)
      result.shows.append(source != nil)
      // Positions far outside see only the ends.
      let place = max(bounds.lowerBound, min(bounds.upperBound, source ?? 0))
      if mode == .nearest {
        let nearest = Int(round(place.isNaN ? 0 : place, shrinks: extents.scale < 1))
        result.sources.append(max(0, min(extents.input - 1, nearest)))
        continue
      }
      let base = place.isNaN ? 0 : place.rounded(.up) - 1
      let offsets = (0..<taps).map { Double(first + $0) - (place - base) }
      var weights = offsets.map { kernel(antialias ? $0 * scale : $0) }
      let positions = (0..<taps).map { Int(base) + first + $0 }
      if excludesOutside {
        for (tap, position) in positions.enumerated() where !(0..<extents.input ~= position) {
          weights[tap] = 0
        }
      }
      let total = weights.reduce(0, +)
      if (antialias || excludesOutside) && total != 0 { weights = weights.map { $0 / total } }
      result.sources += positions.map { max(0, min(extents.input - 1, $0)) }
      result.weights += weights
    }
    return result
  }

  private func round(_ place: Double, shrinks: Bool) -> Double {
    switch rounding {
    case .floor: place.rounded(.down)
    case .ceil: place.rounded(.up)
    // Positions within this rounding error of the midpoint count as the midpoint.
    case .preferFloor: (place - 0.5 - 1e-6).rounded(.up)
    case .preferCeil: (place + 0.5 + 1e-6).rounded(.down)
    case .legacy: shrinks ? place.rounded(.up) : place.rounded(.down)
    }
  }

  /// The weight of a neighbour at a distance: a triangle, or two cubic polynomials.
  private func kernel(_ distance: Double) -> Double {
    let x = abs(distance)
    guard mode == .cubic else { return max(0, 1 - x) }
    let a = cubicCoefficient
    if x <= 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0
  }
}

/// One resized axis of a tensor: each of its positions computed from some of the input's.
struct ResizeAxis: Sendable {
  let axis, input, output: Int
  /// The number of input positions per output position.
  var taps = 1
  var sources: [Int] = []
  /// Their weights; empty if a single element is copied.
  var weights: [Double] = []
  /// Whether a position shows any of the input.
  var shows: [Bool] = []

  init(axis: Int, input: Int, output: Int) {
    (self.axis, self.input, self.output) = (axis, input, output)
  }

  /// Copies elements; `filler` where a position shows nothing.
  @specialized(where T == Float)
  @specialized(where T == UInt8)
  func picked<T: TensorElement>(_ x: Tensor<T>, filler: T) -> Tensor<T> {
    let shape = x.shape.replacing(axis: axis, with: output)
    var result = Tensor<T>(uninitialized: shape)
    let inner = x.shape.count(of: axis + 1..<x.shape.rank)
    var target = result.mutableSpan
    let values = x.span
    for outer in 0..<x.shape.count(of: 0..<axis) {
      for (position, source) in sources.enumerated() {
        let (to, from) = ((outer * output + position) * inner, (outer * input + source) * inner)
        if !shows[position] {
          for i in 0..<inner { target[to + i] = filler }
        } else if inner == 1 {
          target[to] = values[from]
        } else {
          target.copy(values.extracting(from..<from + inner), to: to)
        }
      }
    }
    return result
  }

  /// Weighted sums; `filler` where a position shows nothing.
  @specialized(where T == Float)
  @specialized(where T == Double)
  func blended<T: LayerElement>(_ x: Tensor<T>, filler: T, _ threads: Threads) -> Tensor<T> {
    let shape = x.shape.replacing(axis: axis, with: output)
    let inner = x.shape.count(of: axis + 1..<x.shape.rank)
    var result = Tensor<T>(uninitialized: [x.shape.count(of: 0..<axis), output * inner])
    threads.forEachBlock(of: &result) { rows, values in
      for row in rows {
        for position in 0..<output {
          let to = ((row - rows.lowerBound) * output + position) * inner
          var part = values.part(to..<to + inner)
          guard shows[position] else {
            part.fill(with: filler)
            continue
          }
          part.fill(with: 0)
          for tap in position * taps..<(position + 1) * taps {
            let weight = T(weights[tap])
            let from = (row * input + sources[tap]) * inner
            let source = x.span.extracting(from..<from + inner)
            for i in part.indices { part[i] += weight * source[i] }
          }
        }
      }
    }
    return result.reshaped(to: shape)
  }

  /// The gradient with respect to the input from that of the output: the transposed sums.
  @specialized(where T == Float)
  @specialized(where T == Double)
  func spread<T: LayerElement>(_ slope: Tensor<T>, _ threads: Threads) -> Tensor<T> {
    let shape = slope.shape.replacing(axis: axis, with: input)
    let inner = shape.count(of: axis + 1..<shape.rank)
    var result = Tensor<T>(zeros: [shape.count(of: 0..<axis), input * inner])
    threads.forEachBlock(of: &result) { rows, values in
      for row in rows {
        for position in 0..<output where shows[position] {
          let from = (row * output + position) * inner
          let source = slope.span.extracting(from..<from + inner)
          for tap in position * taps..<(position + 1) * taps {
            let weight = weights.isEmpty ? 1 : T(weights[tap])
            let to = ((row - rows.lowerBound) * input + sources[tap]) * inner
            var part = values.part(to..<to + inner)
            for i in part.indices { part[i] += weight * source[i] }
          }
        }
      }
    }
    return result.reshaped(to: shape)
  }
}
