// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// Puts a graph's values and weights through 8 bits, as quantizers do: pairs of `QuantizeLinear`
/// and `DequantizeLinear`, int8 weights, int32 biases.
struct QuantizedGraph {
  private let source: Graph
  private var result: Graph
  private var numbers: RandomGenerator
  private var ranges: [String: (low: Float, high: Float)] = [:]
  private let isSigned: Bool
  private let isPerChannel: Bool
  private var scales: [String: (scale: Float, zeroPoint: Int)] = [:]
  /// What the nodes read in place of a value.
  private var restored: [String: String] = [:]
  /// The size of a step of each output.
  private(set) var steps: [String: Float] = [:]

  /// - Parameter sample: Inputs that show how large values get.
  init(_ graph: Graph, seed: UInt64, sample: AnyTensor) throws {
    source = graph
    numbers = RandomGenerator(seed: seed, stream: 2)
    (isSigned, isPerChannel) = (numbers.below(2) == 0, numbers.below(3) > 0)
    result = graph
    result.nodes = []
    var ranges: [String: (low: Float, high: Float)] = [:]
    func observe(_ name: String, _ value: AnyTensor) {
      guard let values = value.typed(as: Float.self)?.elements else { return }
      ranges[name] = (min(0, values.min() ?? 0), max(0, values.max() ?? 0))
    }
    observe("x", sample)
    _ = try Interpreter(graph).run(["x": sample], ExecutionContext()) { observe($0, $1) }
    self.ranges = ranges
    quantize("x", like: nil)
    for node in graph.nodes { add(node) }
    for index in result.outputs.indices { replaceOutput(index) }
    result.removeUnusedInitializers()
  }

  var graph: Graph { result }

  private mutating func constant(_ name: String, _ tensor: AnyTensor) -> String {
    result.initializers[name] = tensor
    return name
  }

  private func point(_ value: Int) -> AnyTensor {
    isSigned ? .int8(Tensor([], [Int8(value)])) : .uint8(Tensor([], [UInt8(value)]))
  }

  /// - Parameter source: A value whose scale is taken over.
  private mutating func quantize(_ name: String, like source: String?) {
    let (low, high) = ranges[name]!
    let own: (scale: Float, zeroPoint: Int)
    if let source, let known = scales[source] {
      own = known
    } else if isSigned && numbers.below(2) == 0 {
      own = (max(max(-low, high), 1e-3) / 127, 0)
    } else {
      let scale = max(high - low, 1e-3) / 255
      let zeroPoint = Int((-low / scale).rounded())
      own = (scale, isSigned ? zeroPoint - 128 : zeroPoint)
    }
    scales[name] = own
    let parameters = [
      constant("\(name) scale", .float32(Tensor([], [own.scale]))),
      constant("\(name) zero", point(own.zeroPoint)),
    ]
    result.nodes.append(
      Node(
        "QuantizeLinear", name: "\(name) q", inputs: [name] + parameters, outputs: ["\(name) q"]))
    result.nodes.append(
      Node(
        "DequantizeLinear", name: "\(name) d", inputs: ["\(name) q"] + parameters,
        outputs: ["\(name) d"]))
    restored[name] = "\(name) d"
  }

  private mutating func add(_ node: Node) {
    var node = node
    let original = node.inputs
    if ["Conv", "Gemm", "MatMul"].contains(node.opType) {
      let data = scales[original[0]]
      node.inputs[1] = quantizeWeights(node)
      if node.inputs.count > 2, let data { node.inputs[2] = quantizeBias(node, data.scale) }
    }
    node.inputs = node.inputs.map { restored[$0] ?? $0 }
    result.nodes.append(node)
    let name = node.outputs[0]
    let readers = source.consumers(of: name).map { source.nodes[$0] }
    let isClamped =
      readers.count == 1 && ["Relu", "Clip"].contains(readers[0].opType)
      && !source.outputs.contains { $0.name == name }
    // A few values stay in fp32, as where quantizers leave layers out.
    guard !isClamped, numbers.below(12) > 0 else { return }
    let keepsScale = ["MaxPool", "Flatten", "Reshape"].contains(node.opType)
    quantize(name, like: keepsScale && numbers.below(4) > 0 ? original[0] : nil)
  }

  private func isTransposed(_ node: Node) -> Bool {
    node.opType == "MatMul"
      || (node.opType == "Gemm" && (try? node.int("transB", default: 0)) == 0)
  }

  private mutating func quantizeWeights(_ node: Node) -> String {
    let name = node.inputs[1]
    let weights = source.initializers[name]!.typed(as: Float.self)!
    let axis = isTransposed(node) ? 1 : 0
    let (channels, inner) = (weights.shape[axis], weights.shape.rowMajorStrides[axis])
    var largest = [Float](repeating: 1e-3, count: channels)
    for (index, value) in weights.elements.enumerated() {
      let channel = index / inner % channels
      largest[channel] = max(largest[channel], abs(value))
    }
    if !isPerChannel { largest = [largest.max()!] }
    let steps = largest.map { $0 / 127 }
    let codes = weights.elements.enumerated().map { index, value in
      Int8((value / steps[isPerChannel ? index / inner % channels : 0]).rounded())
    }
    var inputs = [
      constant("\(name) q", .int8(Tensor(weights.shape, codes))),
      constant(
        "\(name) scale", .float32(Tensor(isPerChannel ? [channels] : [], steps))),
    ]
    if numbers.below(2) == 0 {
      inputs.append(
        constant(
          "\(name) zero", .int8(Tensor(zeros: isPerChannel ? [channels] : []))))
    }
    result.nodes.append(
      Node(
        "DequantizeLinear", name: "\(name) d", inputs: inputs, outputs: ["\(name) d"],
        attributes: ["axis": .int(axis)]))
    return "\(name) d"
  }

  private mutating func quantizeBias(_ node: Node, _ inputScale: Float) -> String {
    let name = node.inputs[2]
    let bias = source.initializers[name]!.typed(as: Float.self)!
    let steps = result.initializers["\(node.inputs[1].dropLast(2)) scale"]!
      .typed(as: Float.self)!.elements.map { $0 * inputScale }
    guard bias.shape.rank == 1, steps.count == 1 || steps.count == bias.count else { return name }
    let codes = bias.elements.enumerated().map {
      Int32(($1 / steps[steps.count == 1 ? 0 : $0]).rounded())
    }
    let inputs = [
      constant("\(name) q", .int32(Tensor(bias.shape, codes))),
      constant(
        "\(name) scale", .float32(Tensor(steps.count == 1 ? [] : [steps.count], steps))),
    ]
    result.nodes.append(
      Node(
        "DequantizeLinear", name: "\(name) d", inputs: inputs, outputs: ["\(name) d"],
        attributes: ["axis": .int(0)]))
    return "\(name) d"
  }

  private mutating func replaceOutput(_ index: Int) {
    let info = result.outputs[index]
    guard let own = scales[info.name] else { return }
    if numbers.below(2) == 0 {
      steps["\(info.name) q"] = 1
      result.outputs[index] = ValueInfo(
        "\(info.name) q", isSigned ? .int8 : .uint8, info.dimensions)
    } else {
      steps["\(info.name) d"] = own.scale
      result.outputs[index] = ValueInfo("\(info.name) d", .float32, info.dimensions)
    }
  }
}
