// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
import SwiftletKernels

/// Convolution (cross-correlation) over one to three axes: x N×C×…, weights O×(C/groups)×…, bias O
/// → N×O×….
///
/// - Source: ONNX `Conv`.
public struct Conv: FloatOperator {
  public static let opType = "Conv"
  public let gradientReads = GradientReads(inputs: [0, 1])
  private let geometry: ConvGeometry

  public init(_ node: Node, opset: Int) throws { geometry = try ConvGeometry(node) }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "input")
    let w = try floating(inputs, 1, "weight")
    guard w.dtype == x.dtype else { throw mismatch("weights are \(w.dtype), input \(x.dtype)") }
    let shape = try geometry.infer(x.shape, w.shape)
    if inputs.count > 2, let bias = inputs[2] {
      guard bias.shape == [w.shape[0]], bias.dtype == x.dtype else {
        throw mismatch(
          "bias \(bias.dtype) \(bias.shape) does not match \(w.shape[0]) output channels")
      }
    }
    return [TensorInfo(x.dtype, shape)]
  }

  public func macs(inputs: [Shape?], outputs: [Shape]) -> Int {
    guard let weights = inputs[1] else { return 0 }
    return outputs[0].count * weights.count(of: 1..<weights.rank)
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func forward<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> [Tensor<T>] {
    let x = inputs[0]!.contiguous()
    let w = inputs[1]!.contiguous()
    let bias = inputs.count > 2 ? inputs[2]?.contiguous() : nil
    let convolution = try geometry.convolution(x.shape, w.shape)
    return [convolution.result(of: x, w, bias: bias, context.threads)]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let x = call.inputs[0]!.contiguous()
    let w = call.inputs[1]!.contiguous()
    let dy = outputGradient.contiguous()
    let convolution = try geometry.convolution(x.shape, w.shape)
    var result: [Tensor<T>?] = [nil, nil]
    if call.wanted[0] {
      result[0] = convolution.images(from: dy, w, shape: x.shape, context.threads)
    }
    if call.wanted[1] {
      result[1] = convolution.weights(from: x, dy, shape: w.shape, context.threads)
    }
    if call.wanted.count > 2 {
      result.append(call.wanted[2] ? channelSums(dy, context.threads) : nil)
    }
    return result
  }
}

/// The attributes of a convolution, and the shapes that follow from its inputs.
struct ConvGeometry: Sendable {
  private let node: Node
  private let groups: Int

  init(_ node: Node) throws {
    self.node = node
    groups = try node.int("group", default: 1)
    guard 1...SlidingWindow.limit ~= groups else {
      throw SwiftletError(
        .badInput, "\(node.opType) has group = \(groups), which must be at least 1")
    }
  }

  /// The shape of the result.
  ///
  /// - Throws: `badInput` if input and weights do not match each other or the attributes.
  func infer(_ x: Shape, _ w: Shape) throws -> Shape {
    guard x.rank == w.rank, x.rank >= 3, x[1] % groups == 0, x[1] / groups == w[1],
      w[0] % groups == 0
    else { throw mismatch("input \(x) and weights \(w) do not match for \(groups) group(s)") }
    if let declared = try node.ints("kernel_shape"), declared != Array(w.dimensions[2...]) {
      throw mismatch("kernel_shape \(declared) contradicts weights \(w)")
    }
    return try Shape(checking: [x[0], w[0]] + place(x, w).output)
  }

  private func place(_ x: Shape, _ w: Shape) throws -> SlidingWindow.Placement {
    try SlidingWindow(node, kernel: Array(w.dimensions[2...])).place(x)
  }

  func convolution(_ x: Shape, _ w: Shape) throws -> Convolution {
    Convolution(try place(x, w), inputs: x[1], outputs: w[0], groups: groups)
  }

  private func mismatch(_ what: String) -> SwiftletError {
    SwiftletError(.badInput, "\(node.opType): \(what)")
  }
}

/// The sum of each channel of N×C×…: the gradient of a bias.
func channelSums<T: LayerElement>(_ tensor: Tensor<T>, _ threads: Threads) -> Tensor<T> {
  let area = tensor.shape.count(of: 2..<tensor.shape.rank)
  return sumPerChannel(tensor.shape, threads) { plane, _ in
    T.sum(tensor.span.extracting(plane * area..<(plane + 1) * area))
  }
}
