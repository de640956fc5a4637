public import SwiftletCore
import SwiftletKernels

/// The largest value of each window: x N×C×H×W → N×C×OH×OW. Padding never wins.
///
/// The gradient goes to the first position that holds the largest value.
///
/// - Source: ONNX `MaxPool`; the optional output of indices is not supported.
public struct MaxPool: FloatOperator {
  public static let opType = "MaxPool"
  public let gradientReads = GradientReads(inputs: [0])
  private let window: SlidingWindow

  public init(_ node: Node, opset: Int) throws {
    window = try SlidingWindow(node)
    guard node.outputs.count == 1 else {
      throw SwiftletError(.unsupported, "MaxPool with an output of indices")
    }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "input", rank: 4)
    let result = try window.pooled(x)
    guard try window.alwaysMeetsImage(window.place(height: x.shape[2], width: x.shape[3])) else {
      throw mismatch("a window on input \(x.shape) sees nothing but padding")
    }
    return [result]
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
        let start = (plane - planes.lowerBound) * place.outputArea
        var target = output.part(start..<start + place.outputArea)
        if isTiling(place) {
          T.maxPool2(
            image, height: place.outputHeight, width: place.outputWidth, into: &target)
        } else {
          for position in 0..<place.outputArea {
            target[position] = image[argmax(image, place, position)]
          }
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
    let x = call.inputs[0]!.contiguous()
    let dy = outputGradient.contiguous()
    let place = try window.place(height: x.shape[2], width: x.shape[3])
    var dx = Tensor<T>(uninitialized: [
      x.shape[0] * x.shape[1], place.inputHeight, place.inputWidth,
    ])
    context.pool.forEachBlock(of: &dx) { planes, output in
      for plane in planes {
        let image = x.span.extracting(plane * place.inputArea..<(plane + 1) * place.inputArea)
        let slope = dy.span.extracting(plane * place.outputArea..<(plane + 1) * place.outputArea)
        let start = (plane - planes.lowerBound) * place.inputArea
        var target = output.part(start..<start + place.inputArea)
        if isTiling(place) {
          T.maxPool2Gradient(
            image, slope, height: place.outputHeight, width: place.outputWidth, into: &target)
        } else {
          target.fill(with: 0)
          for position in 0..<place.outputArea {
            target[argmax(image, place, position)] += slope[position]
          }
        }
      }
    }
    return [dx.reshaped(to: x.shape)]
  }

  /// The position in the plane of the first largest value of a window.
  private func argmax<T: LayerElement>(
    _ image: Span<T>, _ place: SlidingWindow.Placement, _ position: Int
  ) -> Int {
    let (row, column) = position.quotientAndRemainder(dividingBy: place.outputWidth)
    var best = -1
    for ky in 0..<window.kernel[0] {
      let y = row * window.strides[0] - place.padTop + ky * window.dilations[0]
      guard y >= 0, y < place.inputHeight else { continue }
      for kx in 0..<window.kernel[1] {
        let x = column * window.strides[1] - place.padLeft + kx * window.dilations[1]
        guard x >= 0, x < place.inputWidth else { continue }
        let candidate = y * place.inputWidth + x
        if best < 0 || image[candidate] > image[best] || image[candidate].isNaN {
          best = candidate
        }
      }
    }
    precondition(best >= 0, "inference lets no window lie wholly in the padding")
    return best
  }

  /// Whether 2×2 windows tile the image: the usual case, which has a kernel.
  private func isTiling(_ place: SlidingWindow.Placement) -> Bool {
    window.kernel == [2, 2] && window.strides == [2, 2] && window.dilations == [1, 1]
      && place.padTop == 0 && place.padLeft == 0
      && place.inputHeight == 2 * place.outputHeight && place.inputWidth == 2 * place.outputWidth
  }
}
