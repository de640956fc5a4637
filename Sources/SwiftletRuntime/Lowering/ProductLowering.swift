// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletKernels

extension Lowering {
  /// A convolution or matrix product, with the addition, the clamps and the quantization that
  /// follow it.
  ///
  /// - Parameter layout: That in which it reads its input.
  mutating func addProduct(
    _ node: Node, _ weights: ProductWeights, _ window: Window, groups: Int, in layout: Layout
  ) {
    let name = node.outputs[0]
    let (image, result) = (size(of: node.inputs[0], layout), facts.value(name, .float))
    let selection = Selection(
      window, groups: groups, inputs: image.channels, outputs: result.channels)
    let operands: ProductKernel.Operands
    let input: Int
    let constants: Weights
    var ending: Ending
    if let (value, by) = dequantized(node.inputs[0], layout),
      let integers = weights.integers(input: by)
    {
      (input, operands) = (value, .integer)
      constants = .integer(integers.weights)
      ending = Ending(bias: .integer(integers.bias, scale: integers.scale))
      finishIntegers(&ending, after: name, takesPool: !selection.isDepthwise)
    } else {
      let (tensor, bias) = weights.floats
      constants = .float(tensor)
      ending = Ending(bias: .float(bias))
      if selection.isDepthwise {
        input = finishDepthwise(&ending, of: node.inputs[0], layout, after: name)
        operands = values[input].kind == .bfloat ? .bfloat : .float
      } else if mayRoundFactors(node.inputs[0], tensor),
        selection.prefersBFloat(height: result.height, width: result.width)
      {
        (input, operands) = (bfloat(node.inputs[0], layout), .bfloat)
        finishFloats(&ending, after: name, areBFloats: true)
      } else {
        (input, operands) = (float(node.inputs[0], layout), .float)
        finishFloats(&ending, after: name, areBFloats: false)
      }
    }
    // After a pool only an even number of rows and columns is needed.
    let results = ending.results(values)
    let algorithm = selection.algorithm(operands, height: results.height, width: results.width)
    require(algorithm.halo(window, image, for: results), on: input)
    addInstruction(algorithm, node, selection, input: input, constants, ending)
  }

  /// The instruction of the chosen algorithm.
  private mutating func addInstruction(
    _ algorithm: Algorithm, _ node: Node, _ selection: Selection, input: Int, _ weights: Weights,
    _ ending: Ending
  ) {
    let (key, window) = (node.outputs[0], selection.window)
    switch (algorithm, weights, ending.bias) {
    case (.winograd(let m), .float(let tensor), .float(let bias)):
      add(
        WinogradInstruction(
          label: node.label, key: key, input: input, window: window, m: m, weights: tensor,
          bias: bias, ending: ending, cache: cache))
    case (.depthwise(let operands), _, _):
      add(
        DepthwiseInstruction(
          label: node.label, key: key, input: input, window: window, weights: weights,
          operands: operands, ending: ending, cache: cache))
    case (.product(let operands), _, _):
      add(
        ProductInstruction(
          label: node.label, key: key, input: input, window: window, columns: selection.outputs,
          groups: selection.groups, weights: weights,
          kernel: Selection.kernel(operands, weights), ending: ending, cache: cache))
    default: preconditionFailure("\(algorithm) for such weights")
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

  /// - Returns: The input, as bf16 if it was written so and the result is to be bf16.
  private mutating func finishDepthwise(
    _ ending: inout Ending, of input: String, _ layout: Layout, after name: String
  ) -> Int {
    let last = takeClamps(after: name, low: &ending.low, high: &ending.high)
    var isBFloat = false
    if layout == facts.layout(input), case .bfloat = binding(input) {
      isBFloat = prefersBFloat(last)
    }
    ending.output = newValue(for: last, isBFloat ? .bfloat : .float)
    bind(last, floatBinding(ending.output))
    return isBFloat ? bfloat(input) : float(input, layout)
  }

  private mutating func finishFloats(
    _ ending: inout Ending, after name: String, areBFloats: Bool
  ) {
    var last = takeBias(&ending, after: name)
    if let (index, sum, other) = addition(after: last) {
      if areBFloats, facts.layout(other) == facts.layout(name),
        case .bfloat(let value) = binding(other)
      {
        ending.addend = value
      } else {
        ending.addend = float(other, facts.layout(name))
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
      case .float(let bias) = ending.bias,
      facts.layout(name).channelAxis == facts.shape(name).rank - 1,
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
    guard facts.isValue(other), facts.layout(node.outputs[0]) == facts.layout(name),
      facts.shape(other) == facts.shape(name), isReady(other),
      dequantized(other) == nil
    else { return nil }
    return (index, node.outputs[0], other)
  }
}
