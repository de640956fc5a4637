// SPDX-License-Identifier: Apache-2.0

// Functions have their names in C.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import CSwiftletABI
import SwiftletCore
import SwiftletGraph

@c @implementation
public func swiftlet_conv2d_output(
  _ sizes: UnsafePointer<swiftlet_conv2d>?, _ height: UnsafeMutablePointer<Int64>?,
  _ width: UnsafeMutablePointer<Int64>?
) -> swiftlet_status {
  call {
    let output = try unsafe Conv2D(sizes).output
    let height = try unsafe Arguments.target(height, "height")
    let width = try unsafe Arguments.target(width, "width")
    unsafe (height.pointee, width.pointee) = (Int64(output[2]), Int64(output[3]))
  }
}

@c @implementation
public func swiftlet_conv2d_f32(
  _ sizes: UnsafePointer<swiftlet_conv2d>?, _ x: UnsafePointer<Float>?,
  _ weights: UnsafePointer<Float>?, _ bias: UnsafePointer<Float>?,
  _ y: UnsafeMutablePointer<Float>?, _ yCount: Int, _ threads: Int32
) -> swiftlet_status {
  call {
    let conv = try unsafe Conv2D(sizes)
    let threads = try Arguments.threads(threads)
    guard yCount == conv.output.count else {
      throw Refusal.usage(
        "y_count is \(yCount)", fix: "the result has \(conv.output.count) elements")
    }
    let result = try unsafe row(y, "y", count: yCount)
    func packed(_ start: UnsafePointer<Float>?, _ name: String, _ shape: Shape) throws -> AnyTensor
    {
      let elements = try unsafe row(UnsafeMutablePointer(mutating: start), name, count: shape.count)
      try result.requireApart(from: elements)
      return unsafe AnyTensor(Tensor<Float>(borrowing: elements.start, shape))
    }
    let inputs = try unsafe [
      packed(x, "x", conv.x), packed(weights, "weights", conv.weights),
      bias.map { try unsafe packed($0, "bias", [conv.weights[0]]) },
    ]
    // The result, and the columns that each thread unfolds.
    try MemoryLimit.require(
      Double(yCount) + Double(threads.count) * conv.columns, of: Float.self,
      for: "a convolution of \(conv.x)")
    // The operator gets a separate list, so that each tensor has two holders.
    var operands = inputs
    let context = ExecutionContext(threads: threads)
    let computed: Tensor<Float> = try withExtendedLifetime(inputs) {
      try conv.operator.forward(&operands, context)[0].require()
    }
    result.assign(computed.reshaped(to: [1, yCount]))
  }
}

/// A convolution in ONNX's terms.
private struct Conv2D {
  let x, weights, output: Shape
  let `operator`: Conv

  /// The number of elements that a thread unfolds as columns: about a megabyte, and at least one
  /// row of the result.
  var columns: Double {
    Double(weights[1]) * Double(weights[2]) * Double(weights[3]) * Double(output[3])
      + Double(1 << 18)
  }

  init(_ sizes: UnsafePointer<swiftlet_conv2d>?) throws {
    guard let sizes = try unsafe Options.read(sizes, "sizes") else {
      throw Refusal.usage("sizes is NULL")
    }
    func atLeast(_ least: Int64, _ value: Int64, _ name: String) throws -> Int {
      try Arguments.extent(value, "sizes.\(name)", in: least...Arguments.limit)
    }
    func orOne(_ value: Int64, _ name: String) throws -> Int { max(1, try atLeast(0, value, name)) }
    let groups = try orOne(sizes.groups, "groups")
    let channels = try atLeast(0, sizes.channels, "channels")
    let filters = try atLeast(0, sizes.filters, "filters")
    guard channels % groups == 0, filters % groups == 0 else {
      throw Refusal.usage(
        "\(channels) channels and \(filters) filters are not multiples of \(groups) groups")
    }
    x = try Shape(checking: [
      atLeast(0, sizes.batch, "batch"), channels, atLeast(0, sizes.height, "height"),
      atLeast(0, sizes.width, "width"),
    ])
    weights = try Shape(checking: [
      filters, channels / groups, atLeast(1, sizes.kernel_height, "kernel_height"),
      atLeast(1, sizes.kernel_width, "kernel_width"),
    ])
    let attributes: [String: Attribute] = [
      "group": .int(groups),
      "strides": .ints([
        try orOne(sizes.stride_height, "stride_height"),
        try orOne(sizes.stride_width, "stride_width"),
      ]),
      "dilations": .ints([
        try orOne(sizes.dilation_height, "dilation_height"),
        try orOne(sizes.dilation_width, "dilation_width"),
      ]),
      "pads": .ints([
        try atLeast(0, sizes.pad_top, "pad_top"), try atLeast(0, sizes.pad_left, "pad_left"),
        try atLeast(0, sizes.pad_bottom, "pad_bottom"),
        try atLeast(0, sizes.pad_right, "pad_right"),
      ]),
    ]
    let node = Node(
      "Conv", name: "", inputs: ["x", "w"], outputs: ["y"], attributes: attributes)
    `operator` = try Conv(node, opset: 11)
    output = try `operator`.infer([TensorInfo(.float32, x), TensorInfo(.float32, weights)])[0].shape
    guard output.count <= TensorInfo.elementLimit else {
      throw SwiftletError(.unsupported, "the result \(output) is too large")
    }
  }
}
