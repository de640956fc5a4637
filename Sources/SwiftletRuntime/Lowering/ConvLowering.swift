// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// `Conv` over two axes with constant weights, fp32 or quantized.
enum ConvLowering: LoweredOperator {
  static let opTypes = ["Conv"]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    facts.isImages(node.inputs[0], ranks: 4...4)
      && facts.isImages(node.outputs[0], ranks: 4...4)
      && ProductWeights(node, facts, transposed: false, columns: facts.shape(node.outputs[0])[1])
        != nil
      && place(node, facts) != nil
  }

  private static func place(_ node: Node, _ facts: GraphFacts) -> SlidingWindow.Placement? {
    let kernel = Array(facts.shape(node.inputs[1]).dimensions[2...])
    return try? SlidingWindow(node, kernel: kernel).place(facts.shape(node.inputs[0]))
  }

  private static func window(_ place: SlidingWindow.Placement) -> Window {
    Window(
      height: place.height.kernel, width: place.width.kernel, strideY: place.height.stride,
      strideX: place.width.stride, dilationY: place.height.dilation,
      dilationX: place.width.dilation, padTop: place.height.before, padLeft: place.width.before)
  }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    let facts = lowering.facts
    let window = window(place(node, facts)!)
    let weights = ProductWeights(
      node, facts, transposed: false, columns: facts.shape(node.outputs[0])[1])!
    let groups = (try? LinearLayer(node))?.groups ?? 1
    lowering.addProduct(node, weights, window, groups: groups)
  }

  static func takesBFloat(_ node: Node, _ name: String, _ lowering: Lowering) -> Bool {
    let facts = lowering.facts
    guard name == node.inputs[0], !node.inputs.dropFirst().contains(name),
      let weights = facts.floats(node, 1), let place = place(node, facts)
    else { return false }
    let (image, result) = (facts.shape(name), facts.shape(node.outputs[0]))
    let groups = (try? LinearLayer(node))?.groups ?? 1
    if Lowering.isDepthwise(groups: groups, image[1], result[1]) {
      return lowering.prefersBFloat(node.outputs[0])
    }
    return lowering.multipliesBFloats(
      window(place), groups: groups, .float(weights), Value(shape: image, .float),
      Value(shape: result, .float))
  }
}

/// `Gemm` and `MatMul` with a constant matrix.
///
/// A matrix after a flattened image is a convolution with a window as large as the image.
enum GemmLowering: LoweredOperator {
  static let opTypes = ["Gemm", "MatMul"]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    guard let layer = try? LinearLayer(node), layer.isPlain,
      facts.isImages(node.inputs[0], ranks: 2...(layer.kind == .gemm ? 2 : 3)),
      facts.isImages(node.outputs[0], ranks: 2...3),
      facts.shape(node.inputs[1]).rank == 2
    else { return false }
    return weights(node, facts) != nil
  }

  private static func weights(_ node: Node, _ facts: GraphFacts) -> ProductWeights? {
    let shape = facts.shape(node.outputs[0])
    return ProductWeights(
      node, facts, transposed: isTransposed(node), columns: shape[shape.rank - 1])
  }

  /// Whether the matrix is K×N.
  private static func isTransposed(_ node: Node) -> Bool {
    (try? LinearLayer(node))?.isOutputMajor != true
  }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    let facts = lowering.facts
    let image = lowering.size(of: node.inputs[0])
    let isFlattened = facts.shape(node.inputs[0]).rank == 2
    // Groups follow the elements of a flattened image, which have a different order here.
    if !isFlattened || image.pixels == 1,
      let groupwise = GroupwiseWeights(node, facts, transposed: isTransposed(node))
    {
      return lowering.addGroupwise(node, groupwise, bias: weights(node, facts)!.bias)
    }
    let window = isFlattened ? Window(height: image.height, width: image.width) : Window()
    lowering.addProduct(node, weights(node, facts)!, window, groups: 1)
  }

  static func takesBFloat(_ node: Node, _ name: String, _ lowering: Lowering) -> Bool {
    name == node.inputs[0] && !node.inputs.dropFirst().contains(name)
      && lowering.facts.floats(node, 1) != nil
  }
}

/// Constant weights and bias of a `Conv` or `Gemm` in the form that a product needs: one row of
/// weights per output channel. A transposed matrix stays a view until it is packed.
struct ProductWeights {
  private let values: Values
  /// The scale of each output channel, for integer weights.
  private let scales: [Float]
  let bias: [Float]

  private enum Values {
    case float(Tensor<Float>)
    case integer(Tensor<Int8>)
    /// Any other constant after a `DequantizeLinear`; computed on demand.
    case dequantized(Dequantized)
  }

  /// Sums of more products of bytes could overflow.
  static let integerDepth = 1 << 15

  /// - Parameter transposed: Whether the columns of the matrix are the output channels.
  init?(_ node: Node, _ facts: GraphFacts, transposed: Bool, columns: Int) {
    guard facts.has(node, 1) else { return nil }
    if let weights = facts.floats(node, 1) {
      values = .float(transposed ? weights.permuted(to: [1, 0]) : weights)
      scales = []
    } else if let quantized = Self.integers(node, facts, transposed, columns) {
      values = .integer(quantized.values)
      scales = quantized.scales
    } else {
      guard let constant = Dequantized(node, facts, transposed: transposed) else { return nil }
      values = .dequantized(constant)
      scales = []
    }
    if facts.has(node, 2) {
      guard let given = Self.bias(node, facts), given.count == columns || given.count == 1
      else { return nil }
      bias = given.count == columns ? given : [Float](repeating: given[0], count: columns)
    } else {
      bias = [Float](repeating: 0, count: columns)
    }
  }

  /// Constant int8 weights after a `DequantizeLinear` with zero points of 0.
  private static func integers(
    _ node: Node, _ facts: GraphFacts, _ transposed: Bool, _ columns: Int
  ) -> (values: Tensor<Int8>, scales: [Float])? {
    guard let source = facts.producer(node.inputs[1]), source.opType == "DequantizeLinear",
      case .int8(let tensor)? = facts.constant(source, 0),
      let scales = facts.floats(source, 1)?.elements, scales.allSatisfy({ $0.isFinite && $0 > 0 }),
      (try? source.int("block_size", default: 0)) == 0, facts.isCentred(source, zeroPoint: 2)
    else { return nil }
    let axis = (try? source.int("axis", default: 1)) ?? 1
    let channelAxis = transposed ? 1 : 0
    guard
      scales.count == 1
        || (scales.count == columns
          && (axis + tensor.shape.rank) % tensor.shape.rank == channelAxis)
    else { return nil }
    let rows = transposed ? tensor.permuted(to: [1, 0]) : tensor
    guard rows.count / columns <= integerDepth else { return nil }
    return (
      rows, scales.count == 1 ? [Float](repeating: scales[0], count: columns) : scales
    )
  }

  private static func bias(_ node: Node, _ facts: GraphFacts) -> [Float]? {
    if let constant = facts.floats(node, 2) {
      return constant.shape.dimensions.last == constant.count || constant.count == 1
        ? constant.elements : nil
    }
    guard let source = facts.producer(node.inputs[2]), source.opType == "DequantizeLinear",
      case .int32(let tensor)? = facts.constant(source, 0), tensor.shape.rank == 1,
      let scales = facts.floats(source, 1)?.elements,
      scales.count == 1 || scales.count == tensor.count
    else { return nil }
    var points = [Int32](repeating: 0, count: scales.count)
    if facts.has(source, 2) {
      guard case .int32(let given)? = facts.constant(source, 2), given.count == scales.count
      else { return nil }
      points = given.elements
    }
    return tensor.elements.enumerated().map { index, value in
      let place = scales.count == 1 ? 0 : index
      return Float(value &- points[place]) * scales[place]
    }
  }

  /// Weights and bias in fp32.
  var floats: (weights: Tensor<Float>, bias: [Float]) {
    switch values {
    case .float(let tensor): return (tensor, bias)
    case .dequantized(let constant): return (constant.floats, bias)
    case .integer(let tensor):
      let depth = tensor.count / bias.count
      let elements = tensor.elements.enumerated().map { Float($1) * scales[$0 / depth] }
      return (Tensor(tensor.shape, elements), bias)
    }
  }

  /// Weights, the bias in units of the sums, and the factor that converts a sum to fp32.
  ///
  /// The zero point z of the inputs is subtracted at the end: Σ (x − z) · w = Σ x · w − z · Σ w.
  func integers(
    input: Lowering.Quantized
  ) -> (weights: Tensor<Int8>, bias: [Int32], scale: [Float])? {
    guard case .integer(let tensor) = values else { return nil }
    let weightSums = tensor.rowSums
    var sums: [Int32] = []
    for column in bias.indices {
      let units = (Double(bias[column]) / (Double(input.scale) * Double(scales[column]))).rounded(
        .toNearestOrEven)
      let total = units - Double(Int(weightSums[column]) * Int(input.zeroPoint))
      // The range of int32 that the sums leave.
      guard abs(total) < Double(1 << 30) else { return nil }
      sums.append(Int32(total))
    }
    return (tensor, sums, scales.map { $0 * input.scale })
  }
}

extension Lowering {
  /// A convolution or matrix product, with the addition, the clamps and the quantization that
  /// follow it.
  mutating func addProduct(
    _ node: Node, _ weights: ProductWeights, _ window: Window, groups: Int
  ) {
    let name = node.outputs[0]
    let (image, result) = (size(of: node.inputs[0]), Value(shape: facts.shape(name), .float))
    let isDepthwise = Self.isDepthwise(groups: groups, image.channels, result.channels)
    let input: Int
    let constants: Weights
    var ending: Ending
    if let (value, by) = dequantized(node.inputs[0]), let integers = weights.integers(input: by) {
      input = value
      constants = .integer(integers.weights)
      ending = Ending(bias: .integer(integers.bias, scale: integers.scale))
      finishIntegers(&ending, after: name, takesPool: !isDepthwise)
    } else {
      let (tensor, bias) = weights.floats
      constants = .float(tensor)
      ending = Ending(bias: .float(bias))
      if isDepthwise {
        input = finishDepthwise(&ending, of: node.inputs[0], after: name)
      } else if hasBFloatFactors(node.inputs[0], tensor),
        multipliesBFloats(window, groups: groups, constants, image, result)
      {
        input = bfloat(node.inputs[0])
        finishFloats(&ending, after: name, areBFloats: true)
      } else {
        input = float(node.inputs[0])
        finishFloats(&ending, after: name, areBFloats: false)
      }
    }
    let results = ending.results(values)
    let tiles =
      values[input].kind == .float && WinogradInstruction.fits(window, groups: groups, constants)
    require(
      tiles ? WinogradInstruction.halo(window, image, for: results) : window.halo(image, for: results),
      on: input)
    if isDepthwise {
      add(
        DepthwiseInstruction(
          label: node.label, key: name, input: input, window: window, weights: constants,
          ending: ending, cache: cache))
    } else {
      let shape = facts.shape(name)
      add(
        ProductInstruction(
          label: node.label, key: name, input: input, window: window,
          columns: shape.rank == 4 ? shape[1] : shape[shape.rank - 1], groups: groups,
          weights: constants, ending: ending, cache: cache))
    }
  }

  private mutating func finishIntegers(
    _ ending: inout Ending, after name: String, takesPool: Bool
  ) {
    var last = takeClamps(after: name, low: &ending.low, high: &ending.high)
    if takesPool { takePool(&ending, after: &last) }
    guard let (quantized, by) = takeQuantization(after: last) else {
      ending.output = newValue(for: last, .float)
      return bind(last, .float(ending.output))
    }
    if case .integer(let bias, let scale) = ending.bias {
      ending.bias = .integer(bias, scale: scale.map { $0 / by.scale })
    }
    // Kernels round before or after they clamp, so the limits are whole numbers.
    ending.low = min(max(ending.low / by.scale, by.low), by.high).rounded(.toNearestOrEven)
    ending.high = max(min(ending.high / by.scale, by.high), by.low).rounded(.toNearestOrEven)
    ending.zeroPoint = Int32(by.zeroPoint)
    if takesPool, !ending.isPooled, let pool = takeQuantizedPool(after: quantized, by) {
      ending.isPooled = true
      ending.output = newValue(for: pool, by.kind)
      return bind(pool, .dequantized(ending.output, by))
    }
    ending.output = newValue(for: quantized, by.kind)
    bind(quantized, .quantized(ending.output, by))
  }

  static func isDepthwise(groups: Int, _ inputs: Int, _ outputs: Int) -> Bool {
    groups > 1 && groups == inputs && groups == outputs
  }

  /// - Returns: The input, as bf16 if it was written so and the result is to be bf16.
  private mutating func finishDepthwise(
    _ ending: inout Ending, of input: String, after name: String
  ) -> Int {
    let last = takeClamps(after: name, low: &ending.low, high: &ending.high)
    var isBFloat = false
    if case .bfloat = binding(input) { isBFloat = prefersBFloat(last) }
    ending.output = newValue(for: last, isBFloat ? .bfloat : .float)
    bind(last, floatBinding(ending.output))
    return isBFloat ? bfloat(input) : float(input)
  }

  private mutating func finishFloats(
    _ ending: inout Ending, after name: String, areBFloats: Bool
  ) {
    var last = takeBias(&ending, after: name)
    if let (index, sum, other) = addition(after: last) {
      if areBFloats, case .bfloat(let value) = binding(other) {
        ending.addend = value
      } else {
        ending.addend = float(other)
      }
      last = sum
      markDone(index)
    }
    last = takeClamps(after: last, low: &ending.low, high: &ending.high)
    if ending.addend == nil { takePool(&ending, after: &last) }
    ending.output = newValue(for: last, areBFloats ? floatKind(last) : .float)
    bind(last, floatBinding(ending.output))
  }

  /// Absorbs a constant per column that is added after a matrix product.
  ///
  /// - Returns: The name of the sum.
  private mutating func takeBias(_ ending: inout Ending, after name: String) -> String {
    guard let (index, node) = onlyReader(of: name), node.opType == "Add",
      case .float(let bias) = ending.bias, facts.shape(name).rank < 4,
      facts.shape(node.outputs[0]) == facts.shape(name),
      let added = facts.floats(node, node.inputs[0] == name ? 1 : 0),
      added.shape.dimensions.last == bias.count, added.count == bias.count
    else { return name }
    markDone(index)
    ending.bias = .float(zip(bias, added.elements).map { $0 + $1 })
    return node.outputs[0]
  }

  /// Absorbs a pool, and the clamps after it.
  private mutating func takePool(_ ending: inout Ending, after name: inout String) {
    guard let (index, node) = onlyReader(of: name), PoolLowering.halves(node, facts) else { return }
    markDone(index)
    ending.isPooled = true
    name = takeClamps(after: node.outputs[0], low: &ending.low, high: &ending.high)
  }

  /// Absorbs a pool of dequantized 8-bit values.
  ///
  /// - Returns: The name of its result.
  private mutating func takeQuantizedPool(after name: String, _ by: Quantized) -> String? {
    guard let (first, dequantize) = onlyReader(of: name), dequantize.opType == "DequantizeLinear",
      facts.quantization(dequantize) == by,
      let (second, pool) = onlyReader(of: dequantize.outputs[0]), PoolLowering.halves(pool, facts)
    else { return nil }
    markDone(first)
    markDone(second)
    return pool.outputs[0]
  }

  /// An addition of an existing value of the same shape.
  private func addition(after name: String) -> (index: Int, sum: String, other: String)? {
    guard let (index, node) = onlyReader(of: name), node.opType == "Add" else { return nil }
    let other = node.inputs[0] == name ? node.inputs[1] : node.inputs[0]
    guard facts.isImages(other), facts.shape(other) == facts.shape(name), isReady(other),
      dequantized(other) == nil
    else { return nil }
    return (index, node.outputs[0], other)
  }
}
