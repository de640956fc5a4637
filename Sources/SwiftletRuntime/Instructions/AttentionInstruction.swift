// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels

/// softmax(q·kᵀ·scale + mask)·v, for each head on its channels of the rows.
///
/// A piece of work is one head's answers to a block of queries: its keys and values are packed like
/// weights, and they and the scores stay in the thread's cache.
struct AttentionInstruction: Instruction {
  let label: String
  let query, key, value: Int
  let mask: Mask
  let heads: Int
  let scale: Float
  let output: Int

  /// The term added to the scores: one row of keys for all queries, or one per query.
  enum Mask: Sendable {
    case none
    case constant(AlignedMemory, rows: Int)
    case value(Int)
  }

  var reads: [Int] {
    if case .value(let mask) = mask { [query, key, value, mask] } else { [query, key, value] }
  }
  var writes: Int? { output }

  /// Queries per block: enough to amortize packing the keys.
  private static let block = 128

  func step(_ values: [Value], threadsPerImage: Int) -> Step {
    let head = AttentionHead(self, values)
    let (rows, heads) = (values[query].width, heads)
    // With few heads the queries are divided among the threads.
    let shared =
      threadsPerImage > heads ? (rows * heads + threadsPerImage - 1) / threadsPerImage : rows
    let block = max(1, min(Self.block, shared))
    let blocks = (rows + block - 1) / block
    return Step(
      label: label, computations: [Computation(.attention, ProductKernel.float.name)],
      macs: heads * rows * head.keys * (head.depth + head.width), scratch: head.byteCount(block),
      items: Step.perImage(heads * blocks)
    ) { memory, _, items in
      for item in items {
        let start = item % blocks * block
        head.run(
          memory, image: item / blocks / heads, head: item / blocks % heads,
          rows: start..<min(start + block, rows))
      }
    }
  }
}

/// The computation of one head, with the positions of its inputs and outputs.
private struct AttentionHead: Sendable {
  private let pointwise = PointwiseKernel.current
  private let instruction: AttentionInstruction
  private let query, key, value, output: ImageSteps
  /// Keys per image; channels of a head's queries and keys, and of its values.
  let keys, depth, width: Int
  /// Strides between the masks of consecutive images and of consecutive queries.
  private let maskSteps: (image: Int, row: Int)
  /// Bytes per row of scores.
  private let scoreStep: Int
  private let packedKeys, packedValues: PanelPacking
  private let scores, answers: Product
  private let factor: AlignedMemory

  init(_ instruction: AttentionInstruction, _ values: [Value]) {
    self.instruction = instruction
    let (query, key, value) = (
      values[instruction.query], values[instruction.key], values[instruction.value]
    )
    let output = values[instruction.output]
    (self.query, self.key, self.value) = (query.steps, key.steps, value.steps)
    self.output = output.steps
    keys = key.width
    (depth, width) = (query.channels / instruction.heads, value.channels / instruction.heads)
    switch instruction.mask {
    case .none: maskSteps = (0, 0)
    case .constant(_, let rows): maskSteps = (0, rows > 1 ? 4 * keys : 0)
    case .value(let mask):
      let mask = values[mask]
      maskSteps = (mask.steps.image, mask.width > 1 ? mask.steps.pixel : 0)
    }
    // As in ``Value``, not a multiple of the distance at which rows share cache lines.
    let length = (4 * keys).roundedUp(to: 64)
    scoreStep = length % 2048 == 0 ? length + 64 : length
    packedKeys = PanelPacking(depth: depth, columns: keys)
    packedValues = PanelPacking(depth: keys, columns: width)
    scores = packedKeys.product(
      from: query.steps.pixel, to: scoreStep, addend: maskSteps.row)
    answers = packedValues.product(from: scoreStep, to: output.steps.pixel, addend: 0)
    factor = AlignedMemory([instruction.scale])
  }

  /// The memory for a block of queries, in bytes.
  func byteCount(_ queries: Int) -> Int {
    packedKeys.byteCount + packedValues.byteCount + queries * scoreStep + 64
  }

  func run(_ memory: Memory, image: Int, head: Int, rows: Range<Int>) {
    let keyPanels = unsafe memory.scratch
    let valuePanels = unsafe keyPanels + packedKeys.byteCount
    let table = unsafe valuePanels + packedValues.byteCount
    unsafe packedKeys.packColumns(
      memory.start(instruction.key) + image * key.image + 4 * head * depth, step: key.pixel,
      factor: factor.base, into: keyPanels)
    unsafe packedValues.packRows(
      memory.start(instruction.value) + image * value.image + 4 * head * width, step: value.pixel,
      into: valuePanels)
    let mask: UnsafeRawPointer? =
      switch instruction.mask {
      case .none: nil
      case .constant(let numbers, _):
        unsafe UnsafeRawPointer(numbers.base) + rows.lowerBound * maskSteps.row
      case .value(let mask):
        unsafe UnsafeRawPointer(memory.start(mask)) + image * maskSteps.image
          + rows.lowerBound * maskSteps.row
      }
    let first = image * query.image + rows.lowerBound * query.pixel + 4 * head * depth
    let count = rows.count
    unsafe scores.run(
      memory.start(instruction.query) + first, weights: keyPanels, addend: mask, into: table,
      images: count, items: 0..<scores.items(images: count))
    unsafe pointwise.softmax(
      rows: count, channels: keys, table, strideX: scoreStep, to: table, strideY: scoreStep)
    if let mask = unsafe mask { unsafe clearForbidden(mask, table, rows: count) }
    let target = image * output.image + rows.lowerBound * output.pixel + 4 * head * width
    unsafe answers.run(
      table, weights: valuePanels, into: memory.start(instruction.output) + target, images: count,
      items: 0..<answers.items(images: count))
  }

  /// Queries whose keys are all masked attend to nothing.
  private func clearForbidden(
    _ mask: UnsafeRawPointer, _ table: UnsafeMutableRawPointer, rows: Int
  ) {
    for row in 0..<rows {
      let numbers = unsafe (mask + row * maskSteps.row).assumingMemoryBound(to: Float.self)
      var key = 0
      while unsafe key < keys && numbers[key] == -.infinity { key += 1 }
      guard key == keys else { continue }
      unsafe (table + row * scoreStep).initializeMemory(
        as: UInt8.self, repeating: 0, count: 4 * keys)
    }
  }
}
