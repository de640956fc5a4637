// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// Images sampled at the positions of a grid, given as numbers from −1 to 1 along each axis, last
/// axis first: X N×C×D1×…, grid N×O1×…×rank → N×C×O1×….
///
/// - Source: ONNX `GridSample`, with one to three spatial axes; the cubic kernel is that of Keys
///   1981 with a = −0.75.
public struct GridSample: Operator {
  public static let opType = "GridSample"
  private enum Mode: String { case nearest, linear, cubic }
  private enum Padding: String { case zeros, border, reflection }
  private let mode: Mode
  private let padding: Padding
  private let alignsCorners: Bool

  public init(_ node: Node, opset: Int) throws {
    let name = try node.string("mode", default: "linear")
    // Operator sets up to 19 have other names for the modes of two axes.
    let modern = ["bilinear": "linear", "bicubic": "cubic"][name] ?? name
    let border = try node.string("padding_mode", default: "zeros")
    guard let mode = Mode(rawValue: modern), let padding = Padding(rawValue: border) else {
      throw SwiftletError(
        .badInput,
        "GridSample has mode '\(name)', which must be nearest, linear or cubic, or padding_mode "
          + "'\(border)', which must be zeros, border or reflection")
    }
    (self.mode, self.padding) = (mode, padding)
    alignsCorners = try node.int("align_corners", default: 0) != 0
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "input")
    let grid = try floating(inputs, 1, "grid")
    let rank = x.shape.rank - 2
    guard 1...3 ~= rank, grid.shape.rank == x.shape.rank, grid.shape[0] == x.shape[0],
      grid.shape[rank + 1] == rank, x.shape.count > 0 || grid.shape.count == 0
    else { throw mismatch("grid \(grid.shape) does not match images \(x.shape)") }
    let extents = x.shape.dimensions[..<2] + grid.shape.dimensions[1...rank]
    return [TensorInfo(x.dtype, try Shape(checking: Array(extents)))]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    guard case .float64(let grid)? = inputs[1]?.converted(to: .float64) else { return [] }
    switch inputs[0]! {
    case .float64(let x): return [.float64(try sampled(x, grid, context.threads))]
    case let x: return [.float32(try sampled(x.require(), grid, context.threads))]
    }
  }

  /// Positions along one axis and their weights.
  private typealias Taps = [(position: Int, weight: Double)]

  @specialized(where T == Float)
  @specialized(where T == Double)
  private func sampled<T: LayerElement>(
    _ x: Tensor<T>, _ grid: Tensor<Double>, _ threads: Threads
  ) throws -> Tensor<T> {
    let (x, grid) = (x.contiguous(), grid.contiguous())
    let rank = x.shape.rank - 2
    let (images, channels) = (x.shape[0], x.shape[1])
    let extents = Array(x.shape.dimensions[2...])
    let area = x.shape.count(of: 2..<x.shape.rank)
    let places = grid.shape.count(of: 1..<rank + 1)
    var result = Tensor<T>(zeros: [images, channels * places])
    threads.forEachBlock(of: &result) { rows, output in
      for image in rows {
        for place in 0..<places {
          let start = (image * places + place) * rank
          // All positions in the product of the axes' taps, in order.
          var points: Taps = [(0, 1)]
          for axis in 0..<rank {
            let taps = taps(grid.span[start + rank - 1 - axis], extent: extents[axis])
            points = points.flatMap { point in
              taps.map { (point.position * extents[axis] + $0.position, point.weight * $0.weight) }
            }
          }
          for channel in 0..<channels {
            let plane = (image * channels + channel) * area
            var sum = 0.0
            for point in points { sum += Double(x.span[plane + point.position]) * point.weight }
            output[((image - rows.lowerBound) * channels + channel) * places + place] = T(sum)
          }
        }
      }
    }
    return result.reshaped(
      to: Shape(Array(x.shape.dimensions[..<2] + grid.shape.dimensions[1...rank])))
  }

  private func taps(_ coordinate: Double, extent: Int) -> Taps {
    let length = Double(extent)
    let bounds = alignsCorners ? 0...length - 1 : -0.5...length - 0.5
    var place =
      alignsCorners
      ? (coordinate + 1) / 2 * (length - 1) : ((coordinate + 1) * length - 1) / 2
    // For NaN and positions far outside, any position beyond the ends works.
    place = place.isNaN ? -2 : max(-1e9, min(1e9, place))
    if mode == .nearest { place = place.rounded(.toNearestOrEven) }
    if !(bounds ~= place) {
      switch padding {
      case .zeros: break
      case .border: place = max(0, min(length - 1, place))
      case .reflection: place = reflected(place, bounds)
      }
    }
    let base = Int(place.rounded(.down))
    let fraction = place - Double(base)
    let all: Taps
    switch mode {
    case .nearest: all = [(base, 1)]
    case .linear: all = [(base, 1 - fraction), (base + 1, fraction)]
    case .cubic: all = (-1...2).map { (base + $0, Self.cubic(abs(Double($0) - fraction))) }
    }
    return all.compactMap { position, weight in
      if 0..<extent ~= position { return (position, weight) }
      switch padding {
      case .zeros: return nil
      case .border: return (max(0, min(extent - 1, position)), weight)
      case .reflection:
        let inside = Int(reflected(Double(position), bounds))
        return (max(0, min(extent - 1, inside)), weight)
      }
    }
  }

  /// `place` reflected at the bounds until it lies between them.
  private func reflected(_ place: Double, _ bounds: ClosedRange<Double>) -> Double {
    let span = bounds.upperBound - bounds.lowerBound
    guard span > 0, !(bounds ~= place) else {
      return max(bounds.lowerBound, min(bounds.upperBound, place))
    }
    let distance = abs(place - bounds.lowerBound).truncatingRemainder(dividingBy: 2 * span)
    return bounds.lowerBound + min(distance, 2 * span - distance)
  }

  private static func cubic(_ x: Double) -> Double {
    let a = -0.75
    if x <= 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0
  }
}
