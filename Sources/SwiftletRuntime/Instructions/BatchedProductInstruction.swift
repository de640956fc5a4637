// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels

/// Products of matrices that the run computes, one for each index of the leading axes.
///
/// A piece of work is a block of rows of one product. Its right side is packed like weights.
struct BatchedProductInstruction: Instruction {
  let label: String
  let left, right: Operand
  /// Extents per image of the axes before the matrices, and the distances in the result.
  let extents: [Int]
  let to: [Distance]
  /// The matrices: rows × depth times depth × columns.
  let rows, depth, columns: Int
  let output: Int

  var reads: [Int] { [left, right].compactMap(\.source.value) }
  var writes: Int? { output }

  /// Rows per piece: enough to amortize packing.
  private static let block = 256

  func step(_ values: [Value], threadsPerImage: Int) -> Step {
    let result = values[output]
    let (a, b) = (left.steps(values), right.steps(values))
    let rank = extents.count
    let batch = Loops(
      (0..<rank).map {
        Loops.Loop(extent: extents[$0], y: to[$0].bytes(result), a: a.axes[$0], b: b.axes[$0])
      })
    let count = batch.count
    let shared =
      threadsPerImage > count ? (rows * count + threadsPerImage - 1) / threadsPerImage : rows
    let block = max(1, min(Self.block, shared))
    let blocks = (rows + block - 1) / block
    let packing = PanelPacking(depth: depth, columns: columns)
    let (rowA, rowY) = (a.axes[rank], to[rank].bytes(result))
    let product = packing.product(from: rowA, to: rowY, addend: 0)
    // One of the two axes of the right side is contiguous.
    let (depthStep, columnStep) = (b.axes[rank], b.axes[rank + 1])
    let hasRows = columnStep == 4 || columns == 1 && depthStep != 4
    let instruction = self
    let imageStep = result.steps.image
    return Step(
      label: label, computations: [Computation(.batchedProduct, packing.kernel.name)],
      macs: count * rows * depth * columns, scratch: packing.byteCount,
      items: Step.perImage(count * blocks)
    ) { memory, _, range in
      var packed: (image: Int, index: Int)?
      for item in range {
        let (image, index) = (item / blocks / count, item / blocks % count)
        let first = item % blocks * block
        let own = min(block, instruction.rows - first)
        let y = unsafe memory.start(instruction.output) + image * imageStep + first * rowY
        let left = unsafe instruction.left.source.start(memory) + image * a.image + first * rowA
        let right = unsafe instruction.right.source.start(memory) + image * b.image
        batch.forEach(index..<index + 1) { offsetY, offsetA, offsetB in
          if packed?.image != image || packed?.index != index {
            if hasRows {
              unsafe packing.packRows(right + offsetB, step: depthStep, into: memory.scratch)
            } else {
              unsafe packing.packColumns(right + offsetB, step: columnStep, into: memory.scratch)
            }
            packed = (image, index)
          }
          unsafe product.run(
            left + offsetA, weights: memory.scratch, into: y + offsetY, images: own,
            items: 0..<product.items(images: own))
        }
      }
    }
  }
}
