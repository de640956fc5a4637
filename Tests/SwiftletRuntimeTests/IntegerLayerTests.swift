// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletRuntime
import Testing

/// One quantized layer with all it needs, as a graph and as plain loops over integers.
private struct IntegerLayer {
  enum Kind: Sendable { case conv, gemm, gemmTransposed, matmul, flattened }

  let kind: Kind
  private let x, w: [Int]
  private let bias: [Int32]?
  private let channels, filters, groups: Int
  private let images, height, width, outHeight, outWidth: Int
  private let kernel, strides, dilations, pads: [Int]
  private let scaleX, scaleY: Float
  private let scaleW: [Float]
  private let zeroX, zeroY: Int
  private let isSignedX, isSignedY, isPerTensor: Bool
  /// Whether the result is quantized.
  private let toBytes: Bool
  private let clamp: (low: Float, high: Float)?

  init(_ kind: Kind, seed: UInt64) {
    var generator = RandomGenerator(seed: seed, stream: 3)
    func pick<Value>(_ values: [Value]) -> Value { values[generator.below(values.count)] }
    self.kind = kind
    let isImage = kind == .conv
    let isDepthwise = isImage && pick([0, 0, 1]) == 1
    groups = isDepthwise ? pick([2, 5, 17, 33]) : isImage ? pick([1, 1, 2]) : 1
    channels = isDepthwise ? groups : groups * pick([1, 3, 4, 5, 16, 17, 33])
    filters = isDepthwise ? groups : groups * pick([1, 3, 8, 9, 16, 33])
    images = pick([1, 2, 3])
    height = isImage || kind == .flattened ? 5 + generator.below(5) : 1
    width = isImage || kind == .flattened || kind == .matmul ? 3 + generator.below(9) : 1
    kernel =
      kind == .flattened
      ? [height, width] : isImage ? [pick([1, 3, 3]), pick([1, 2, 3])] : [1, 1]
    strides = isImage ? [pick([1, 1, 2]), pick([1, 1, 3])] : [1, 1]
    dilations = isImage && pick([0, 0, 1]) == 1 ? [pick([1, 2]), 1] : [1, 1]
    pads = isImage ? (0..<4).map { _ in generator.below(3) } : [0, 0, 0, 0]
    let (kernel, strides, dilations, pads) = (kernel, strides, dilations, pads)
    func extent(_ size: Int, _ axis: Int) -> Int {
      (size + pads[axis] + pads[axis + 2] - (kernel[axis] - 1) * dilations[axis] - 1)
        / strides[axis] + 1
    }
    (outHeight, outWidth) = (extent(height, 0), extent(width, 1))
    (isSignedX, isSignedY) = (pick([false, true]), pick([false, true]))
    let lowest = isSignedX ? -128 : 0
    zeroX = lowest + pick([0, 128, 128, 255, 7])
    zeroY = (isSignedY ? -128 : 0) + pick([0, 128, 128, 255, 100])
    x = (0..<images * channels * height * width).map { _ in
      lowest + (pick([0, 0, 1]) == 1 ? pick([0, 255]) : generator.below(256))
    }
    let depth = channels / groups * kernel[0] * kernel[1]
    w = (0..<filters * depth).map { _ in
      pick([0, 0, 0, 1]) == 1 ? pick([-128, -127, 127]) : generator.below(256) - 128
    }
    let biases = (0..<filters).map { _ in Int32(generator.below(200_001)) - 100_000 }
    bias = kind == .matmul || pick([0, 0, 1]) == 1 ? nil : biases
    isPerTensor = pick([true, false, false])
    scaleX = pick([0.0173, 0.02, 0x1p-6])
    scaleW = (0..<(isPerTensor ? 1 : filters)).map { _ in pick([0.0031, 0.004, 0x1p-8, 0.0117]) }
    // Most results fit into a byte, some do not, and some are ties.
    scaleY = pick([0.5, 1, 2.2]) * Float(depth).squareRoot() * pick([0x1p-5, 0.021])
    toBytes = pick([true, true, false])
    clamp = pick([nil, nil, (0, .infinity), (0, 6), (-0.5, 0.25)])
  }

  // MARK: Definition

  private func total(_ image: Int, _ filter: Int, _ y: Int, _ x: Int) -> Int32 {
    let share = channels / groups
    let group = filter / (filters / groups)
    var sum: Int32 = bias?[filter] ?? 0
    for c in 0..<share {
      for ky in 0..<kernel[0] {
        let row = y * strides[0] + ky * dilations[0] - pads[0]
        guard 0..<height ~= row else { continue }
        for kx in 0..<kernel[1] {
          let column = x * strides[1] + kx * dilations[1] - pads[1]
          guard 0..<width ~= column else { continue }
          // Pixels of a matrix product's rows have their channels last.
          let channel = group * share + c
          let place =
            kind == .matmul
            ? (image * width + column) * channels + channel
            : ((image * channels + channel) * height + row) * width + column
          sum +=
            Int32(self.x[place] - zeroX)
            * Int32(w[((filter * share + c) * kernel[0] + ky) * kernel[1] + kx])
        }
      }
    }
    return sum
  }

  private func result(_ sum: Int32, _ filter: Int) -> Float {
    let scale = scaleX * scaleW[isPerTensor ? 0 : filter]
    guard toBytes else {
      let value = Float(sum) * scale
      return clamp.map { min(max(value, $0.low), $0.high) } ?? value
    }
    var value = Float(sum) * (scale / scaleY)
    if let clamp { value = min(max(value, clamp.low / scaleY), clamp.high / scaleY) }
    let lowest = isSignedY ? -128 : 0
    let steps = min(max(value, Float(lowest - zeroY)), Float(lowest + 255 - zeroY))
    return steps.rounded(.toNearestOrEven) + Float(zeroY)
  }

  var expected: AnyTensor {
    var values: [Float] = []
    for image in 0..<images {
      if kind == .matmul {
        for x in 0..<outWidth {
          for n in 0..<filters { values.append(result(total(image, n, 0, x), n)) }
        }
        continue
      }
      for n in 0..<filters {
        for y in 0..<outHeight {
          for x in 0..<outWidth { values.append(result(total(image, n, y, x), n)) }
        }
      }
    }
    let shape: Shape =
      switch kind {
      case .conv: [images, filters, outHeight, outWidth]
      case .matmul: [images, outWidth, filters]
      default: [images, filters]
      }
    if !toBytes { return .float32(Tensor(shape, values)) }
    return isSignedY
      ? .int8(Tensor(shape, values.map { Int8($0) }))
      : .uint8(Tensor(shape, values.map { UInt8($0) }))
  }

  // MARK: Graph

  var input: AnyTensor {
    let shape: Shape =
      switch kind {
      case .conv, .flattened: [images, channels, height, width]
      case .matmul: [images, width, channels]
      default: [images, channels]
      }
    return .float32(Tensor(shape, x.map { Float($0 - zeroX) * scaleX }))
  }

  private func point(_ value: Int, _ isSigned: Bool) -> AnyTensor {
    isSigned ? .int8(Tensor([], [Int8(value)])) : .uint8(Tensor([], [UInt8(value)]))
  }

  var graph: Graph {
    var graph = Graph(name: "integer layer")
    graph.inputs = [ValueInfo("x", .float32, input.shape.dimensions.map(Dimension.fixed))]
    graph.initializers["sx"] = .float32(Tensor([], [scaleX]))
    graph.initializers["zx"] = point(zeroX, isSignedX)
    graph.initializers["sw"] = .float32(Tensor(isPerTensor ? [] : [filters], scaleW))
    let depth = w.count / filters
    let isTransposed = kind == .gemm || kind == .matmul
    let codes =
      isTransposed
      ? (0..<w.count).map { Int8(w[$0 % filters * depth + $0 / filters]) } : w.map { Int8($0) }
    graph.initializers["w"] = .int8(
      Tensor(
        kind == .conv
          ? [filters, channels / groups, kernel[0], kernel[1]]
          : isTransposed ? [depth, filters] : [filters, depth], codes))
    var value = "x"
    func add(
      _ opType: String, _ inputs: [String], _ output: String,
      _ attributes: [String: Attribute] = [:]
    ) {
      graph.nodes.append(
        Node(opType, name: output, inputs: inputs, outputs: [output], attributes: attributes))
    }
    add("QuantizeLinear", ["x", "sx", "zx"], "xq")
    add("DequantizeLinear", ["xq", "sx", "zx"], "xd")
    add("DequantizeLinear", ["w", "sw"], "wd", ["axis": .int(isTransposed ? 1 : 0)])
    value = "xd"
    if kind == .flattened {
      add("Flatten", [value], "flat")
      value = "flat"
    }
    var inputs = [value, "wd"]
    if let bias {
      graph.initializers["b"] = .int32(Tensor([filters], bias))
      graph.initializers["sb"] = .float32(
        Tensor(isPerTensor ? [] : [filters], scaleW.map { scaleX * $0 }))
      add("DequantizeLinear", ["b", "sb"], "bd", ["axis": .int(0)])
      inputs.append("bd")
    }
    switch kind {
    case .conv:
      add(
        "Conv", inputs, "y",
        [
          "group": .int(groups), "strides": .ints(strides), "dilations": .ints(dilations),
          "pads": .ints(pads),
        ])
    case .matmul: add("MatMul", inputs, "y")
    case .gemm: add("Gemm", inputs, "y")
    case .gemmTransposed, .flattened: add("Gemm", inputs, "y", ["transB": .int(1)])
    }
    value = "y"
    if let clamp {
      graph.initializers["low"] = .float32(Tensor([], [clamp.low]))
      graph.initializers["high"] = .float32(Tensor([], [clamp.high]))
      if clamp.high == .infinity {
        add("Relu", [value], "clamped")
      } else {
        add("Clip", [value, "low", "high"], "clamped")
      }
      value = "clamped"
    }
    if toBytes {
      graph.initializers["sy"] = .float32(Tensor([], [scaleY]))
      graph.initializers["zy"] = point(zeroY, isSignedY)
      add("QuantizeLinear", [value, "sy", "zy"], "yq")
      value = "yq"
    }
    let result = expected
    graph.outputs = [
      ValueInfo(value, result.dtype, result.shape.dimensions.map(Dimension.fixed))
    ]
    return graph
  }
}

/// Quantized layers give exactly roundTiesToEven(Float(Σ + bias) · (scaleX · scaleW / scaleY)) +
/// zero point, on every instruction set.
struct IntegerLayerTests {
  private func check(_ kind: IntegerLayer.Kind, _ seed: Int) throws {
    let layer = IntegerLayer(kind, seed: UInt64(seed))
    let (graph, expected) = (layer.graph, layer.expected)
    for threads in 1...2 {
      let session = try Session(graph, threads: Threads(count: threads))
      let result = try session.run(["x": layer.input])[graph.outputs[0].name]!
      #expect(result == expected, "\(threads) threads: \(graph.listing)")
    }
  }

  @Test(arguments: 0..<200)
  func convolutions(seed: Int) throws { try check(.conv, seed) }

  @Test(arguments: 0..<30)
  func matricesBehindVectors(seed: Int) throws {
    try check(.gemm, seed)
    try check(.gemmTransposed, seed)
  }

  @Test(arguments: 0..<30)
  func matricesBehindImages(seed: Int) throws { try check(.flattened, seed) }

  @Test(arguments: 0..<30)
  func matricesBehindRows(seed: Int) throws { try check(.matmul, seed) }
}
