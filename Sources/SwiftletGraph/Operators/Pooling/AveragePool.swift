// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The mean of each window: x N×C×… → N×C×….
///
/// - Source: ONNX `AveragePool`, with `count_include_pad` (0: padding does not count).
public struct AveragePool: FloatOperator {
  public static let opType = "AveragePool"
  public let gradientReads = GradientReads()
  private let window: SlidingWindow
  private let countsPadding: Bool

  public init(_ node: Node, opset: Int) throws {
    window = try SlidingWindow(node)
    countsPadding = try node.int("count_include_pad", default: 0) != 0
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    [try window.pooled(floating(inputs, 0, "input"))]
  }

  /// The divisor of each window's sum.
  private func divisors<T: LayerElement>(_ place: SlidingWindow.Placement) -> [T] {
    func count(_ axis: SlidingWindow.Axis) -> [Int] {
      (0..<axis.output).map {
        max(1, countsPadding ? axis.paddedTaps($0) : axis.taps($0).underestimatedCount)
      }
    }
    let (depth, height, width) = (count(place.depth), count(place.height), count(place.width))
    return depth.flatMap { z in height.flatMap { y in width.map { T(z * y * $0) } } }
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func forward<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> [Tensor<T>] {
    let x = inputs[0]!.contiguous()
    let place = try window.place(x.shape)
    let (area, size) = (place.inputCount, place.outputCount)
    let divisors: [T] = divisors(place)
    var y = Tensor<T>(uninitialized: [x.shape[0] * x.shape[1], size])
    context.threads.forEachBlock(of: &y) { planes, output in
      for plane in planes {
        let image = x.span.extracting(plane * area..<(plane + 1) * area)
        let start = (plane - planes.lowerBound) * size
        place.forEachOutput { position, z, row, column in
          var sum: T = 0
          place.forEachTap(z, row, column) { sum += image[$0] }
          output[start + position] = sum / divisors[position]
        }
      }
    }
    return [y.reshaped(to: Shape(x.shape.dimensions[..<2] + place.output))]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let shape = call.inputShapes[0]!
    let dy = outputGradient.contiguous()
    let place = try window.place(shape)
    let (area, size) = (place.inputCount, place.outputCount)
    let divisors: [T] = divisors(place)
    var dx = Tensor<T>(uninitialized: [shape[0] * shape[1], area])
    context.threads.forEachBlock(of: &dx) { planes, output in
      output.fill(with: 0)
      for plane in planes {
        let start = (plane - planes.lowerBound) * area
        place.forEachOutput { position, z, row, column in
          let share = dy.span[plane * size + position] / divisors[position]
          place.forEachTap(z, row, column) { output[start + $0] += share }
        }
      }
    }
    return [dx.reshaped(to: shape)]
  }
}
