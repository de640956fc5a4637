// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels

/// A function of two operands that are broadcast to the result, then clamped.
struct BroadcastInstruction: Instruction {
  let label: String
  let function: BinaryFunction
  let a, b: Operand
  /// Extents per image, and distances in the result, axis by axis.
  let extents: [Int]
  let to: [Distance]
  let output: Int
  let low, high: Float

  var reads: [Int] { [a, b].compactMap(\.source.value) }
  var writes: Int? { output }

  func step(_ values: [Value], threadsPerImage: Int) -> Step {
    let result = values[output]
    let (stepsA, stepsB) = (a.steps(values), b.steps(values))
    var loops = Loops(
      extents.indices.map {
        Loops.Loop(
          extent: extents[$0], y: to[$0].bytes(result), a: stepsA.axes[$0], b: stepsB.axes[$0])
      })
    let single = Loops.Loop(extent: 1, y: 4, a: 4, b: 4)
    let hasRuns = loops.loops.last.map { $0.y == 4 && $0.a <= 4 && $0.b <= 4 } ?? false
    let channels = hasRuns ? loops.popInnermost(orElse: single) : single
    let rows = loops.popInnermost(orElse: single)
    let outer = loops
    let parts =
      threadsPerImage > outer.count ? max(1, min(rows.extent, 4 * threadsPerImage)) : 1
    let (instruction, kernel, imageStep) = (self, PointwiseKernel.current, result.steps.image)
    let items = outer.count * parts
    return Step(
      label: label, computations: [Computation(.binary(function), kernel.name)],
      items: Step.perImage(items)
    ) { memory, _, range in
      forEachImage(range, rows: items) { image, range in
        let y = unsafe memory.start(instruction.output) + image * imageStep
        let a = unsafe instruction.a.source.start(memory) + image * stepsA.image
        let b = unsafe instruction.b.source.start(memory) + image * stepsB.image
        for item in range {
          let part = item % parts
          let own = rows.extent * part / parts..<rows.extent * (part + 1) / parts
          outer.forEach(item / parts..<item / parts + 1) { offsetY, offsetA, offsetB in
            unsafe kernel.binary(
              instruction.function, rows: own.count, channels: channels.extent,
              a + offsetA + own.lowerBound * rows.a, strideA: rows.a, repeatsA: channels.a == 0,
              b + offsetB + own.lowerBound * rows.b, strideB: rows.b, repeatsB: channels.b == 0,
              low: instruction.low, high: instruction.high,
              to: y + offsetY + own.lowerBound * rows.y, strideY: rows.y)
          }
        }
      }
    }
  }
}
