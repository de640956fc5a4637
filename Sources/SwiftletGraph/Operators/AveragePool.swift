public import SwiftletCore

/// The mean of each window: x N×C×H×W → N×C×OH×OW.
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
    [try window.pooled(floating(inputs, 0, "input", rank: 4))]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func forward<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> [Tensor<T>] {
    let x = inputs[0]!.contiguous()
    let place = try window.place(height: x.shape[2], width: x.shape[3])
    var y = Tensor<T>(
      uninitialized: [x.shape[0] * x.shape[1], place.outputHeight, place.outputWidth])
    context.pool.forEachBlock(of: &y) { planes, output in
      for plane in planes {
        let image = x.span.extracting(plane * place.inputArea..<(plane + 1) * place.inputArea)
        for position in 0..<place.outputArea {
          let patch = patch(place, position)
          var sum: T = 0
          for row in patch.rows {
            for column in patch.columns { sum += image[row * place.inputWidth + column] }
          }
          output[(plane - planes.lowerBound) * place.outputArea + position] =
            sum / T(patch.divisor)
        }
      }
    }
    return [
      y.reshaped(to: [x.shape[0], x.shape[1], place.outputHeight, place.outputWidth])
    ]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let shape = call.inputShapes[0]!
    let dy = outputGradient.contiguous()
    let place = try window.place(height: shape[2], width: shape[3])
    var dx = Tensor<T>(uninitialized: [shape[0] * shape[1], place.inputHeight, place.inputWidth])
    context.pool.forEachBlock(of: &dx) { planes, output in
      output.fill(with: 0)
      for plane in planes {
        let start = (plane - planes.lowerBound) * place.inputArea
        var image = output.part(start..<start + place.inputArea)
        for position in 0..<place.outputArea {
          let patch = patch(place, position)
          let share = dy.span[plane * place.outputArea + position] / T(patch.divisor)
          for row in patch.rows {
            for column in patch.columns { image[row * place.inputWidth + column] += share }
          }
        }
      }
    }
    return [dx.reshaped(to: shape)]
  }

  /// The pixels under a window, and the number their sum is divided by.
  private struct Patch {
    let rows, columns: StrideTo<Int>
    let divisor: Int
  }

  private func patch(_ place: SlidingWindow.Placement, _ position: Int) -> Patch {
    let (row, column) = position.quotientAndRemainder(dividingBy: place.outputWidth)
    let (rows, rowCount, paddedRows) = taps(
      row, axis: 0, pad: place.padTop, padAfter: place.padBottom, input: place.inputHeight)
    let (columns, columnCount, paddedColumns) = taps(
      column, axis: 1, pad: place.padLeft, padAfter: place.padRight, input: place.inputWidth)
    return Patch(
      rows: rows, columns: columns,
      divisor: countsPadding ? paddedRows * paddedColumns : rowCount * columnCount)
  }

  /// The taps along one axis: those inside the image, their number, and the number of those inside
  /// the padded image (a window that was rounded up may reach beyond even that).
  private func taps(
    _ output: Int, axis: Int, pad: Int, padAfter: Int, input: Int
  ) -> (StrideTo<Int>, count: Int, padded: Int) {
    let step = window.dilations[axis]
    let start = output * window.strides[axis] - pad
    let end = start + (window.kernel[axis] - 1) * step + 1
    let first = start >= 0 ? start : start + (-start + step - 1) / step * step
    let inside = stride(from: first, to: min(end, input), by: step)
    let padded = stride(from: start, to: min(end, input + padAfter), by: step)
    return (inside, max(1, inside.underestimatedCount), max(1, padded.underestimatedCount))
  }
}
