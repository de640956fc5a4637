// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletKernels

/// Constant 4-bit weights of a `Gemm` or `MatMul` after a `DequantizeLinear`, with one scale for
/// the whole depth or per block of it.
struct GroupwiseWeights: Sendable {
  let depth, group, columns: Int
  private let codes: AnyTensor
  private let scales: [Float]
  private let zeroPoints: AnyTensor?
  /// Strides between terms and between columns, of codes and of scales, in elements.
  private let codeSteps, scaleSteps: (row: Int, column: Int)

  /// - Parameter transposed: Whether the matrix is K×N, not N×K.
  init?(_ node: Node, _ facts: GraphFacts, transposed: Bool) {
    guard let source = facts.producer(node.inputs[1]), source.opType == "DequantizeLinear",
      let codes = facts.constant(source, 0), [.int4, .uint4].contains(codes.dtype),
      codes.shape.rank == 2, codes.shape.count > 0, let scales = facts.floats(source, 1),
      let axis = try? source.int("axis", default: 1),
      let blockSize = try? source.int("block_size", default: 0)
    else { return nil }
    zeroPoints = facts.constant(source, 2)
    guard zeroPoints != nil || !facts.has(source, 2) else { return nil }
    let depthAxis = transposed ? 0 : 1
    (depth, columns) = (codes.shape[depthAxis], codes.shape[1 - depthAxis])
    codeSteps = transposed ? (columns, 1) : (1, depth)
    if scales.count == 1 && scales.shape.rank <= 1 {
      // The axis is ignored and may be any number.
      (group, scaleSteps) = (depth, (0, 0))
    } else if blockSize == 0 {
      guard (axis + 2) % 2 != depthAxis else { return nil }
      (group, scaleSteps) = (depth, (0, 1))
    } else {
      guard blockSize > 0, (axis + 2) % 2 == depthAxis,
        blockSize >= depth || blockSize % GroupwiseKernel.groupMultiple == 0
      else { return nil }
      group = min(blockSize, depth)
      scaleSteps = transposed ? (columns, 1) : (1, (depth + group - 1) / group)
    }
    (self.codes, self.scales) = (codes, scales.elements)
  }

  /// The weights in the kernel's order; scales are multiplied by that of the bytes.
  func packed(_ kernel: GroupwiseKernel, _ input: Lowering.Quantized?) -> AlignedMemory {
    let factor = input?.scale ?? 1
    var source = GroupwiseKernel.Source(
      codes: Self.unsigned(codes), codeRow: codeSteps.row, codeColumn: codeSteps.column,
      scales: scales.map { $0 * factor },
      zeros: zeroPoints.map(Self.unsigned) ?? scales.map { _ in middle },
      scaleRow: scaleSteps.row, scaleColumn: scaleSteps.column)
    source.inputZero = input?.zeroPoint ?? 0
    return kernel.packed(source, depth: depth, group: group, columns: columns)
  }

  /// The zero point of all groups and columns, if there is only one.
  var commonZero: UInt8? {
    guard let points = zeroPoints.map(Self.unsigned) else { return middle }
    return points.allSatisfy { $0 == points[0] } ? points[0] : nil
  }

  /// The code of zero if no zero point is given.
  private var middle: UInt8 { codes.dtype == .int4 ? 8 : 0 }

  /// Codes 0…15; those of int4 are shifted by 8.
  private static func unsigned(_ tensor: AnyTensor) -> [UInt8] {
    switch tensor {
    case .int4(let codes): codes.elements.map { $0.bits ^ 8 }
    case .uint4(let codes): codes.elements.map(\.bits)
    default: preconditionFailure("codes of type \(tensor.dtype)")
    }
  }
}

/// Constant weights after a `DequantizeLinear` that no kernel accepts directly.
struct Dequantized {
  private let operands: [AnyTensor?]
  private let dequantize: any Operator
  private let transposed: Bool

  init?(_ node: Node, _ facts: GraphFacts, transposed: Bool) {
    guard let source = facts.producer(node.inputs[1]), source.opType == "DequantizeLinear",
      facts.constant(source, 0) != nil,
      let dequantize = try? OperatorRegistry.make(source, opset: facts.graph.opset)
    else { return nil }
    var operands: [AnyTensor?] = []
    for index in source.inputs.indices {
      let constant = facts.constant(source, index)
      guard constant != nil || !facts.has(source, index) else { return nil }
      operands.append(constant)
    }
    (self.operands, self.dequantize, self.transposed) = (operands, dequantize, transposed)
  }

  /// Rows of weights, one per output channel.
  var floats: Tensor<Float> {
    var operands = operands
    // Inference has checked everything that the operator may reject.
    let result = try! dequantize.forward(&operands, ExecutionContext())[0]
    let tensor = result.typed(as: Float.self)!
    return transposed ? tensor.permuted(to: [1, 0]) : tensor
  }
}

extension Lowering {
  /// A matrix product with 4-bit weights, and the clamps after it.
  mutating func addGroupwise(
    _ node: Node, _ weights: GroupwiseWeights, _ operands: GroupwiseKernel.Operands, bias: [Float]
  ) {
    var quantized: Quantized?
    let input: Int
    if operands == .bytes, let (value, by) = dequantized(node.inputs[0]) {
      (input, quantized) = (value, by)
    } else {
      input = float(node.inputs[0])
    }
    var ending = Ending(bias: .float(bias))
    let last = takeClamps(after: node.outputs[0], low: &ending.low, high: &ending.high)
    ending.output = newValue(for: last, .float)
    bind(last, .float(ending.output))
    add(
      GroupwiseInstruction(
        label: node.label, key: node.outputs[0], input: input, quantized: quantized,
        weights: weights, bias: bias, ending: ending, cache: cache))
  }
}
