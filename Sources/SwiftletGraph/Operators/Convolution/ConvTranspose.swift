// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The transpose of a convolution over one to three axes: x N×C×…, weights C×(O/groups)×…, bias O →
/// N×O×…, with each input spread over a window of the output.
///
/// - Source: ONNX `ConvTranspose`. With `output_shape` or `auto_pad` the padding follows from the
///   size of the output.
public struct ConvTranspose: FloatOperator {
  public static let opType = "ConvTranspose"
  public let gradientReads = GradientReads(inputs: [0, 1])
  private let node: Node
  private let groups: Int

  public init(_ node: Node, opset: Int) throws {
    self.node = node
    groups = try node.int("group", default: 1)
    guard 1...SlidingWindow.limit ~= groups else {
      throw mismatch("group is \(groups), but must be at least 1")
    }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "input")
    let w = try floating(inputs, 1, "weight")
    guard w.dtype == x.dtype else { throw mismatch("weights are \(w.dtype), input \(x.dtype)") }
    guard x.shape.rank == w.shape.rank, x.shape.rank >= 3, x.shape[1] == w.shape[0],
      w.shape[0] % groups == 0, 0...1 << 40 ~= w.shape[1]
    else {
      throw mismatch("input \(x.shape) and weights \(w.shape) do not match for \(groups) group(s)")
    }
    let kernel = Array(w.shape.dimensions[2...])
    if let declared = try node.ints("kernel_shape"), declared != kernel {
      throw mismatch("kernel_shape \(declared) contradicts weights \(w.shape)")
    }
    if inputs.count > 2, let bias = inputs[2] {
      guard bias.shape == [w.shape[1] * groups], bias.dtype == x.dtype else {
        throw mismatch("bias \(bias.dtype) \(bias.shape) does not match weights \(w.shape)")
      }
    }
    return [TensorInfo(x.dtype, try result(x.shape, w.shape, place(x.shape, w.shape)))]
  }

  public func macs(inputs: [Shape?], outputs: [Shape]) -> Int {
    guard let x = inputs[0], let weights = inputs[1] else { return 0 }
    return x.count * weights.count(of: 1..<weights.rank)
  }

  private func result(_ x: Shape, _ w: Shape, _ place: SlidingWindow.Placement) throws -> Shape {
    try Shape(checking: [x[0], w[1] * groups] + place.input)
  }

  /// The window that moves over the output, once per input.
  private func place(_ x: Shape, _ w: Shape) throws -> SlidingWindow.Placement {
    let kernel = Array(w.dimensions[2...])
    let window = try SlidingWindow(node, kernel: kernel)
    let extra = try node.ints("output_padding") ?? kernel.map { _ in 0 }
    let declared = try node.ints("output_shape")
    guard extra.count == kernel.count, extra.allSatisfy({ 0...SlidingWindow.limit ~= $0 }),
      declared.map({ $0.count == kernel.count && $0.allSatisfy(SlidingWindow.extents.contains) })
        ?? true
    else { throw mismatch("output_padding \(extra) or output_shape \(declared ?? []) is invalid") }
    return SlidingWindow.Placement(
      try kernel.indices.map { index in
        let (input, step) = (x[index + 2], window.strides[index])
        guard SlidingWindow.extents ~= input else {
          throw mismatch("input \(x) is empty or too large")
        }
        let reach = (kernel[index] - 1) * window.dilations[index] + 1
        let full = (input - 1) * step + reach + extra[index]
        let isSame = window.autoPad == .sameUpper || window.autoPad == .sameLower
        let (before, size): (Int, Int)
        if let wanted = declared?[index] ?? (isSame ? input * step : nil) {
          let total = max(0, full - wanted)
          (before, size) = (window.autoPad == .sameUpper ? total / 2 : total - total / 2, wanted)
        } else {
          before = window.pads[index]
          size = full - before - window.pads[index + kernel.count]
        }
        guard SlidingWindow.extents ~= size else {
          throw mismatch("input \(x) leaves \(size) positions along axis \(index + 2)")
        }
        return SlidingWindow.Axis(
          kernel: kernel[index], stride: step, dilation: window.dilations[index], input: size,
          output: input, before: before, after: 0)
      })
  }

  private func convolution(_ x: Shape, _ w: Shape) throws -> (Convolution, image: Shape) {
    let place = try place(x, w)
    let image = try result(x, w, place)
    return (Convolution(place, inputs: image[1], outputs: w[0], groups: groups), image)
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func forward<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> [Tensor<T>] {
    let x = inputs[0]!.contiguous()
    let w = inputs[1]!.contiguous()
    let bias = inputs.count > 2 ? inputs[2]?.contiguous() : nil
    let (convolution, shape) = try convolution(x.shape, w.shape)
    return [convolution.images(from: x, w, bias: bias, shape: shape, context.threads)]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let x = call.inputs[0]!.contiguous()
    let w = call.inputs[1]!.contiguous()
    let dy = outputGradient.contiguous()
    let convolution = try convolution(x.shape, w.shape).0
    var result: [Tensor<T>?] = [
      call.wanted[0] ? convolution.result(of: dy, w, bias: nil, context.threads) : nil,
      call.wanted[1] ? convolution.weights(from: dy, x, shape: w.shape, context.threads) : nil,
    ]
    if call.wanted.count > 2 {
      result.append(call.wanted[2] ? channelSums(dy, context.threads) : nil)
    }
    return result
  }
}
