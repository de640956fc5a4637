// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels

/// Operations on all channels of each pixel together.
struct RowInstruction: Instruction {
  let label: String
  let input, output: Int
  let operation: Operation

  enum Operation: Sendable {
    case softmax
    case normalize(gamma: AlignedMemory, beta: AlignedMemory?, epsilon: Float)
  }

  var reads: [Int] { [input] }
  var writes: Int? { output }

  func step(_ values: [Value], threadsPerImage: Int) -> Step {
    let (from, to) = (values[input], values[output])
    let (instruction, kernel) = (self, PointwiseKernel.current)
    let kind: Computation.Kind = if case .softmax = operation { .softmax } else { .normalize }
    return Step(
      label: label, computations: [Computation(kind, kernel.name)],
      items: Step.perImage(from.pixels)
    ) { memory, _, items in
      for item in items {
        let (image, pixel) = (item / from.pixels, item % from.pixels)
        let (row, column) = (pixel / from.width, pixel % from.width)
        let source =
          unsafe memory.start(instruction.input) + image * from.steps.image
          + row * from.steps.row + column * from.steps.pixel
        let target =
          unsafe memory.start(instruction.output) + image * to.steps.image
          + row * to.steps.row + column * to.steps.pixel
        switch instruction.operation {
        case .softmax:
          unsafe kernel.softmax(
            rows: 1, channels: from.channels, source, strideX: from.steps.pixel, to: target,
            strideY: to.steps.pixel)
        case .normalize(let gamma, let beta, let epsilon):
          unsafe kernel.layerNorm(
            rows: 1, channels: from.channels, source, strideX: from.steps.pixel,
            gamma: UnsafePointer(gamma.base.assumingMemoryBound(to: Float.self)),
            beta: beta.map { unsafe UnsafePointer($0.base.assumingMemoryBound(to: Float.self)) },
            epsilon: epsilon, to: target, strideY: to.steps.pixel)
        }
      }
    }
  }
}

/// The concatenation of values along their channels.
struct ConcatInstruction: Instruction {
  let label: String
  let inputs: [Int]
  let output: Int

  var reads: [Int] { inputs }
  var writes: Int? { output }

  func step(_ values: [Value], threadsPerImage: Int) -> Step {
    let (inputs, output, to) = (inputs, output, values[output])
    let sources = inputs.map { values[$0] }
    return Step(
      label: label, computations: [Computation(.copy)], items: Step.perImage(to.height)
    ) { memory, _, items in
      for item in items {
        let (image, row) = (item / to.height, item % to.height)
        var target = unsafe memory.start(output) + image * to.steps.image + row * to.steps.row
        for (input, from) in zip(inputs, sources) {
          let source =
            unsafe memory.start(input) + image * from.steps.image
            + row * from.steps.row
          let count = from.channels * from.elementSize
          for column in 0..<to.width {
            unsafe (target + column * to.steps.pixel).copyMemory(
              from: source + column * from.steps.pixel, byteCount: count)
          }
          unsafe target += count
        }
      }
    }
  }
}
