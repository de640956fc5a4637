// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
import SwiftletKernels

/// The largest value of each window: x N×C×… → N×C×…. Padding is ignored.
///
/// The gradient goes to the first position that holds the largest value.
///
/// - Source: ONNX `MaxPool`. The optional second output holds the positions of the values in the
///   whole input, counted in row-major order or with `storage_order = 1` column by column.
public struct MaxPool: FloatOperator {
  public static let opType = "MaxPool"
  public let gradientReads = GradientReads(inputs: [0])
  private let window: SlidingWindow
  private let givesIndices: Bool
  private let countsByColumns: Bool

  public init(_ node: Node, opset: Int) throws {
    window = try SlidingWindow(node)
    givesIndices = node.outputs.count > 1
    countsByColumns = try node.int("storage_order", default: 0) != 0
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input", where: \.isNumber)
    let result = try window.pooled(x)
    guard try window.place(x.shape).alwaysMeetsImage else {
      throw mismatch("a window on input \(x.shape) contains only padding")
    }
    return givesIndices ? [result, TensorInfo(.int64, result.shape)] : [result]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let x = inputs[0].take()!
    if !givesIndices {
      switch x {
      case .float32(let x): return [.float32(try pool(x, context.threads))]
      case .float64(let x): return [.float64(try pool(x, context.threads))]
      default: break
      }
    }
    func opened<T: NumberElement>(_: T.Type) throws -> [AnyTensor] {
      let (y, indices) = try poolWithIndices(x.require(T.self), context.threads)
      return givesIndices ? [AnyTensor(y), .int64(indices)] : [AnyTensor(y)]
    }
    return try opened(x.dtype.numberType())
  }

  public func forward<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> [Tensor<T>] {
    guard !givesIndices else {
      throw SwiftletError(
        .unsupported, "training of MaxPool with an output of indices is not supported")
    }
    return [try pool(inputs[0].take()!, context.threads)]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  private func pool<T: LayerElement>(_ tensor: Tensor<T>, _ threads: Threads) throws -> Tensor<T> {
    let x = tensor.contiguous()
    let place = try window.place(x.shape)
    let (area, size) = (place.inputCount, place.outputCount)
    var y = Tensor<T>(uninitialized: [x.shape[0] * x.shape[1], size])
    threads.forEachBlock(of: &y) { planes, output in
      for plane in planes {
        let image = x.span.extracting(plane * area..<(plane + 1) * area)
        let start = (plane - planes.lowerBound) * size
        var target = output.part(start..<start + size)
        if Self.isTiling(place) {
          T.maxPool2(
            image, height: place.height.output, width: place.width.output, into: &target)
        } else {
          place.forEachOutput { position, z, row, column in
            let winner = Self.argmax(image, place, z, row, column) { $0 > $1 || $0.isNaN }
            target[position] = image[winner]
          }
        }
      }
    }
    return y.reshaped(to: Shape(x.shape.dimensions[..<2] + place.output))
  }

  @specialized(where T == Float)
  @specialized(where T == Int8)
  @specialized(where T == UInt8)
  private func poolWithIndices<T: NumberElement>(
    _ tensor: Tensor<T>, _ threads: Threads
  ) throws -> (Tensor<T>, Tensor<Int64>) {
    let x = tensor.contiguous()
    let place = try window.place(x.shape)
    let (area, size) = (place.inputCount, place.outputCount)
    var winners = Tensor<Int64>(uninitialized: [x.shape[0] * x.shape[1], size])
    threads.forEachBlock(of: &winners) { planes, output in
      for plane in planes {
        let image = x.span.extracting(plane * area..<(plane + 1) * area)
        let start = (plane - planes.lowerBound) * size
        place.forEachOutput { position, z, row, column in
          let winner = Self.argmax(image, place, z, row, column) { $0 > $1 || $0.isNotANumber }
          output[start + position] = Int64(plane * area + winner)
        }
      }
    }
    let shape = Shape(x.shape.dimensions[..<2] + place.output)
    winners = winners.reshaped(to: shape)
    let y = x.gathering(winners.elements.map { Int($0) }, length: 1, shape: shape)
    if countsByColumns { winners = winners.map { Self.byColumns($0, place) } }
    return (y, winners)
  }

  /// The position with the axes of its plane counted in reverse order.
  private static func byColumns(_ position: Int64, _ place: SlidingWindow.Placement) -> Int64 {
    let (plane, rest) = Int(position).quotientAndRemainder(dividingBy: place.inputCount)
    let (row, x) = rest.quotientAndRemainder(dividingBy: place.width.input)
    let (z, y) = row.quotientAndRemainder(dividingBy: place.height.input)
    let transposed = (x * place.height.input + y) * place.depth.input + z
    return Int64(plane * place.inputCount + transposed)
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let x = call.inputs[0]!.contiguous()
    let dy = outputGradient.contiguous()
    let place = try window.place(x.shape)
    let (area, size) = (place.inputCount, place.outputCount)
    var dx = Tensor<T>(uninitialized: [x.shape[0] * x.shape[1], area])
    context.threads.forEachBlock(of: &dx) { planes, output in
      for plane in planes {
        let image = x.span.extracting(plane * area..<(plane + 1) * area)
        let slope = dy.span.extracting(plane * size..<(plane + 1) * size)
        let start = (plane - planes.lowerBound) * area
        var target = output.part(start..<start + area)
        if Self.isTiling(place) {
          T.maxPool2Gradient(
            image, slope, height: place.height.output, width: place.width.output, into: &target)
        } else {
          target.fill(with: 0)
          place.forEachOutput { position, z, row, column in
            let winner = Self.argmax(image, place, z, row, column) { $0 > $1 || $0.isNaN }
            target[winner] += slope[position]
          }
        }
      }
    }
    return [dx.reshaped(to: x.shape)]
  }

  /// The position in the plane of the first largest value of a window.
  @inline(__always)
  private static func argmax<T>(
    _ image: Span<T>, _ place: SlidingWindow.Placement, _ z: Int, _ y: Int, _ x: Int,
    _ beats: (T, T) -> Bool
  ) -> Int {
    // Written out because Swift 6.3 fails on a span captured by a closure here.
    let (rows, columns) = (place.height.taps(y), place.width.taps(x))
    var best = -1
    for plane in place.depth.taps(z) {
      for row in rows {
        let start = (plane * place.height.input + row) * place.width.input
        for column in columns {
          let position = start + column
          if best >= 0, !beats(image[position], image[best]) { continue }
          best = position
        }
      }
    }
    precondition(best >= 0, "inference excludes windows entirely in the padding")
    return best
  }

  /// Whether 2×2 windows tile planes: the common case, which has a kernel.
  private static func isTiling(_ place: SlidingWindow.Placement) -> Bool {
    func halves(_ axis: SlidingWindow.Axis) -> Bool {
      axis.kernel == 2 && axis.stride == 2 && axis.dilation == 1 && axis.before == 0
        && axis.input == 2 * axis.output
    }
    return place.depth == .absent && halves(place.height) && halves(place.width)
  }
}
