// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// Rearranges blocks of channels into blocks of positions, or the reverse, of images N×C×H×W.
///
/// - Source: ONNX `DepthToSpace` and `SpaceToDepth`, modes `DCR` and `CRD`.
public struct DepthToSpace: MovingOperator, FloatOperator {
  public static let opType = "DepthToSpace"
  public let gradientReads = GradientReads()
  public static let opTypes = ["DepthToSpace", "SpaceToDepth"]
  private let block: Int
  private let spreads: Bool
  private let columnsFirst: Bool

  public init(_ node: Node, opset: Int) throws {
    block = try node.int("blocksize", default: 0)
    spreads = node.opType == "DepthToSpace"
    let mode = try node.string("mode", default: "DCR")
    columnsFirst = mode == "CRD"
    guard 1...1 << 20 ~= block, ["DCR", "CRD"].contains(mode) else {
      throw SwiftletError(
        .badInput,
        "\(node.opType) has blocksize \(block), which must be at least 1, and mode '\(mode)', "
          + "which must be DCR or CRD")
    }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    let (shape, area) = (x.shape, block * block)
    guard shape.rank == 4,
      spreads ? shape[1] % area == 0 : shape[2] % block == 0 && shape[3] % block == 0
    else { throw mismatch("input \(shape) cannot be divided into blocks of \(block)") }
    let extents =
      spreads
      ? [shape[0], shape[1] / area, shape[2] * block, shape[3] * block]
      : [shape[0], shape[1] * area, shape[2] / block, shape[3] / block]
    return [TensorInfo(x.dtype, try Shape(checking: extents))]
  }

  public func move<T: TensorElement>(
    _ x: consuming Tensor<T>, _ inputs: [AnyTensor?]
  ) throws -> [Tensor<T>] {
    let shape = x.shape
    let (n, c, h, w) = (shape[0], shape[1], shape[2], shape[3])
    if !spreads {
      return [
        x.reshaped(to: [n, c, h / block, block, w / block, block])
          .permuted(to: columnsFirst ? [0, 1, 3, 5, 2, 4] : [0, 3, 5, 1, 2, 4])
          .reshaped(to: [n, c * block * block, h / block, w / block])
      ]
    }
    let depth = c / (block * block)
    let apart = columnsFirst ? [n, depth, block, block, h, w] : [n, block, block, depth, h, w]
    return [
      x.reshaped(to: Shape(apart))
        .permuted(to: columnsFirst ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2])
        .reshaped(to: [n, depth, h * block, w * block])
    ]
  }

  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] { try movedGradient(call, outputGradient) }
}
