// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// Puts the values that a `MaxPool` took back where they came from, among zeros: x and the
/// positions that were given with it, N×C×… → N×C×….
///
/// - Source: ONNX `MaxUnpool`.
public struct MaxUnpool: Operator {
  public static let opType = "MaxUnpool"
  private let kernel, strides, pads: [Int]

  public init(_ node: Node, opset: Int) throws {
    guard let kernel = try node.ints("kernel_shape") else {
      throw SwiftletError(.badInput, "MaxUnpool has no kernel_shape")
    }
    self.kernel = kernel
    strides = try node.ints("strides") ?? kernel.map { _ in 1 }
    pads = try node.ints("pads") ?? kernel.map { _ in 0 } + kernel.map { _ in 0 }
    let limit = 1...SlidingWindow.limit
    guard kernel.allSatisfy({ limit ~= $0 }), strides.count == kernel.count,
      strides.allSatisfy({ limit ~= $0 }), pads.count == 2 * kernel.count,
      pads.allSatisfy({ 0...SlidingWindow.limit ~= $0 })
    else {
      throw SwiftletError(
        .badInput,
        "MaxUnpool has kernel \(kernel), strides \(strides), pads \(pads): all but pads must be at "
          + "least 1, and their numbers must match")
    }
  }

  /// The third input says the whole shape, where the windows alone leave several.
  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input", where: \.isNumber)
    let positions = try required(inputs, 1, "positions") { $0 == .int64 }
    guard x.shape.rank == kernel.count + 2, positions.shape == x.shape else {
      throw mismatch(
        "positions \(positions.shape) and input \(x.shape) must have the same shape, with "
          + "\(kernel.count + 2) axes")
    }
    guard inputs.count > 2, let shape = inputs[2] else {
      let extents = kernel.indices.map { axis in
        (x.shape[axis + 2] - 1) * strides[axis] + kernel[axis] - pads[axis]
          - pads[axis + kernel.count]
      }
      return [TensorInfo(x.dtype, try Shape(checking: x.shape.dimensions[..<2] + extents))]
    }
    guard let extents = shape.value?.integers else {
      throw SwiftletError(.unsupported, "the output shape of MaxUnpool must be constant")
    }
    guard extents.count == x.shape.rank, extents[0] == x.shape[0], extents[1] == x.shape[1] else {
      throw mismatch("an input of shape \(x.shape) cannot be unpooled to \(extents)")
    }
    return [TensorInfo(x.dtype, try Shape(checking: extents))]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let infos = inputs.map { tensor in tensor.map { TensorInfo($0) } }
    let shape = try infer(infos)[0].shape
    let (x, positions) = (inputs[0]!, inputs[1]!.integers)
    guard positions.allSatisfy({ 0..<shape.count ~= $0 }) else {
      throw mismatch("some positions are beyond the \(shape.count) elements of \(shape)")
    }
    func opened<T: NumberElement>(_: T.Type) throws -> AnyTensor {
      let source = try x.require(T.self).contiguous()
      var result = Tensor<T>(shape, repeating: T.zero)
      var target = result.mutableSpan
      let values = source.span
      for (index, position) in positions.enumerated() { target[position] = values[index] }
      return AnyTensor(result)
    }
    return [try opened(x.dtype.numberType())]
  }
}
