// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels

/// Adds or multiplies by one number per channel, then clamps.
struct ChannelsInstruction: Instruction {
  let label: String
  let input: Int
  let operand: Operand
  let output: Int
  /// Otherwise a product.
  let isSum: Bool
  let low, high: Float

  enum Operand: Sendable {
    case constant(AlignedMemory)
    /// Images of one pixel.
    case value(Int)
  }

  var reads: [Int] {
    if case .value(let value) = operand { [input, value] } else { [input] }
  }
  var writes: Int? { output }

  func step(_ values: [Value], threadsPerImage: Int) -> Step {
    let (from, to) = (values[input], values[output])
    let (instruction, kernel) = (self, PointwiseKernel.current)
    let parts = from.rowParts(threadsPerImage: threadsPerImage)
    let operandStep: Int
    if case .value(let value) = operand {
      operandStep = values[value].steps.image
    } else {
      operandStep = 0
    }
    return Step(
      label: label,
      computations: [Computation(isSum ? .addChannels : .multiplyChannels, kernel.name)],
      items: Step.perImage(from.height * parts)
    ) { memory, _, items in
      for item in items {
        let (image, row) = (item / parts / from.height, item / parts % from.height)
        let part = item % parts
        let columns = from.width * part / parts..<from.width * (part + 1) / parts
        let source =
          unsafe memory.start(instruction.input) + image * from.steps.image
          + row * from.steps.row + columns.lowerBound * from.steps.pixel
        let target =
          unsafe memory.start(instruction.output) + image * to.steps.image + row * to.steps.row
          + columns.lowerBound * to.steps.pixel
        let numbers =
          switch instruction.operand {
          case .constant(let constant): unsafe constant.base
          case .value(let value): unsafe memory.start(value) + image * operandStep
          }
        if instruction.isSum {
          unsafe kernel.addChannelsF32(
            rows: columns.count, channels: from.channels, source, strideA: from.steps.pixel,
            numbers,
            low: instruction.low, high: instruction.high, to: target, strideY: to.steps.pixel)
        } else {
          unsafe kernel.mulChannelsF32(
            rows: columns.count, channels: from.channels, source, strideA: from.steps.pixel,
            numbers,
            low: instruction.low, high: instruction.high, to: target, strideY: to.steps.pixel)
        }
      }
    }
  }
}
