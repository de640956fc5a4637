import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// 8-bit weights and activations, as QuantizeLinear and DequantizeLinear around each Conv and Gemm.
///
/// Weights: int8, symmetric, one scale per output channel, −127…127. Activations: uint8 with a zero
/// point, from the range seen on calibration images. Biases: int32 in units of the product of both
/// scales. Any ONNX runtime can fuse the result into integer kernels.
///
/// - Source: Krishnamoorthi 2018, arXiv:1806.08342; Jacob et al. 2018.
struct QuantizePass: CompressionPass {
  private let step: CompressionStep

  init(_ step: CompressionStep) { self.step = step }

  func apply(
    to graph: Graph, _ context: CompressionContext
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    let layers = graph.nodes.filter { WeightedLayer.operators.contains($0.opType) }
    guard !layers.isEmpty else {
      throw SwiftletError(.unsupported, "the model has no Conv or Gemm to quantize")
    }
    let ranges = try observedRanges(graph, Set(layers.map { $0.inputs[0] }), context)
    var draft = Draft(graph: graph, ranges: ranges)
    let reports = try layers.map { try draft.quantize($0) }
    draft.graph.removeUnusedInitializers()
    return (draft.graph, reports)
  }

  private func observedRanges(
    _ graph: Graph, _ values: Set<String>, _ context: CompressionContext
  ) throws -> [String: ActivationRange] {
    var ranges: [String: ActivationRange] = [:]
    try context.observe(graph, images: step.calibrationImages) { name, value in
      guard values.contains(name), let tensor: Tensor<Float> = value.typed() else { return }
      guard tensor.isFinite else {
        throw SwiftletError(
          .numerical, "the calibration images give NaN or infinite values", at: "value '\(name)'")
      }
      ranges[name, default: ActivationRange()].widen(to: tensor)
    }
    return ranges
  }

  /// The graph while it is being rewritten.
  private struct Draft {
    var graph: Graph
    let ranges: [String: ActivationRange]
    /// Values that were quantized already: the name to read instead, and the scale.
    private var quantized: [String: (name: String, scale: Float)] = [:]

    init(graph: Graph, ranges: [String: ActivationRange]) {
      self.graph = graph
      self.ranges = ranges
    }

    mutating func quantize(_ node: Node) throws -> LayerReport {
      guard let weight: Tensor<Float> = graph.initializers[node.inputs[1]]?.typed() else {
        return LayerReport(node, .quantize, changed: false, "its weights are no fp32 constant")
      }
      guard weight.isFinite else {
        return LayerReport(node, .quantize, changed: false, "its weights are not finite")
      }
      guard let range = ranges[node.inputs[0]] else {
        return LayerReport(node, .quantize, changed: false, "its input is computed from constants")
      }
      let isColumnwise = try node.opType == "Gemm" && node.int("transB", default: 0) == 0
      let axis = isColumnwise ? 1 : 0
      let (codes, scales) = Self.quantizeWeights(weight, axis: axis)
      let activation = quantizeActivation(node.inputs[0], range)
      var inputs = [activation.name]
      inputs.append(
        dequantized(
          node.inputs[1], .int8(codes), scales: scales, zero: .int8(Tensor(zeros: [scales.count])),
          axis: axis))
      if node.inputs.count > 2 {
        inputs.append(try quantizedBias(node, scales.map { $0 * activation.scale }))
      }
      guard let index = graph.nodes.firstIndex(of: node) else {
        preconditionFailure("\(node.label) was found in the graph and must still be there")
      }
      graph.nodes[index].inputs = inputs
      return LayerReport(
        node, .quantize, changed: true,
        "int8 weights per channel, uint8 input in \(range.lower)…\(range.upper)")
    }

    /// Codes and one scale per index of `axis`: the largest weight becomes ±127.
    private static func quantizeWeights(
      _ weight: Tensor<Float>, axis: Int
    ) -> (codes: Tensor<Int8>, scales: [Float]) {
      let channels = weight.shape[axis]
      let inner = weight.shape.count(of: axis + 1..<weight.shape.rank)
      let values = weight.contiguous()
      var largest = [Float](repeating: 0, count: channels)
      for i in 0..<values.count {
        let channel = i / inner % channels
        largest[channel] = max(largest[channel], abs(values.span[i]))
      }
      // A channel of zeros takes any scale; a subnormal one would overflow the division.
      let scales = largest.map { max($0 / 127, Float.leastNormalMagnitude) }
      var codes = Tensor<Int8>(uninitialized: weight.shape)
      var target = codes.mutableSpan
      for i in 0..<values.count {
        let code = (values.span[i] / scales[i / inner % channels]).rounded(.toNearestOrEven)
        target[i] = Int8(min(max(code, -127), 127))
      }
      return (codes, scales)
    }

    /// Puts QuantizeLinear and DequantizeLinear behind a value, once.
    private mutating func quantizeActivation(
      _ value: String, _ range: ActivationRange
    ) -> (name: String, scale: Float) {
      if let known = quantized[value] { return known }
      let (scale, zeroPoint) = range.parameters
      let scaleName = graph.freshName("\(value).scale")
      graph.initializers[scaleName] = .float32(Tensor(.scalar, [scale]))
      let zeroName = graph.freshName("\(value).zero")
      graph.initializers[zeroName] = .uint8(Tensor(.scalar, [zeroPoint]))
      let codes = graph.freshName("\(value).quantized")
      let restored = graph.freshName("\(value).dequantized")
      let nodes = [
        Node(
          "QuantizeLinear", name: graph.freshName("\(value).QuantizeLinear"),
          inputs: [value, scaleName, zeroName], outputs: [codes]),
        Node(
          "DequantizeLinear", name: graph.freshName("\(value).DequantizeLinear"),
          inputs: [codes, scaleName, zeroName], outputs: [restored]),
      ]
      let position = graph.producer(of: value).map { $0 + 1 } ?? 0
      graph.nodes.insert(contentsOf: nodes, at: position)
      quantized[value] = (restored, scale)
      return (restored, scale)
    }

    /// Adds constant codes and a DequantizeLinear that restores them; returns its output.
    private mutating func dequantized(
      _ name: String, _ codes: AnyTensor, scales: [Float], zero: AnyTensor, axis: Int
    ) -> String {
      let codesName = graph.freshName("\(name).quantized")
      graph.initializers[codesName] = codes
      let scaleName = graph.freshName("\(name).scale")
      graph.initializers[scaleName] = .float32(Tensor([scales.count], scales))
      let zeroName = graph.freshName("\(name).zero")
      graph.initializers[zeroName] = zero
      let restored = graph.freshName("\(name).dequantized")
      graph.nodes.insert(
        Node(
          "DequantizeLinear", name: graph.freshName("\(name).DequantizeLinear"),
          inputs: [codesName, scaleName, zeroName], outputs: [restored],
          attributes: ["axis": .int(axis)]),
        at: 0)
      return restored
    }

    /// The bias in units of input scale times weight scale, or the bias as it is where it does not
    /// fit them.
    private mutating func quantizedBias(_ node: Node, _ scales: [Float]) throws -> String {
      let name = node.inputs[2]
      guard let bias: Tensor<Float> = graph.initializers[name]?.typed(),
        bias.shape == [scales.count],
        zip(bias.elements, scales).allSatisfy({ abs($0 / $1) < 0x1p30 && $1 > 0 })
      else { return name }
      let codes = zip(bias.elements, scales).map {
        Int32(($0 / $1).rounded(.toNearestOrEven))
      }
      return dequantized(
        name, .int32(Tensor([codes.count], codes)), scales: scales,
        zero: .int32(Tensor(zeros: [codes.count])), axis: 0)
    }
  }
}

/// The smallest and largest value seen, zero included.
struct ActivationRange {
  private(set) var lower: Float = 0
  private(set) var upper: Float = 0

  mutating func widen(to tensor: Tensor<Float>) {
    let packed = tensor.contiguous()
    let values = packed.span
    for i in values.indices {
      lower = min(lower, values[i])
      upper = max(upper, values[i])
    }
  }

  /// Scale and zero point that map the range to 0…255, zero exactly.
  var parameters: (scale: Float, zeroPoint: UInt8) {
    let scale = max((upper - lower) / 255, Float.leastNormalMagnitude)
    let zero = (-lower / scale).rounded(.toNearestOrEven)
    return (scale, UInt8(min(max(zero, 0), 255)))
  }
}
