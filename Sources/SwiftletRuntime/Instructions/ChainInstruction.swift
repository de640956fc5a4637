// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels

/// An instruction whose results can be computed a few rows at a time: each row needs rows of one
/// input around it, and the same row of its other inputs.
protocol StripedInstruction: Instruction {
  /// The value that windows slide over.
  var input: Int { get }
  /// The rows of that value that rows of the result need.
  var rows: RowWindow { get }

  /// Whether rows may be computed before all of the batch is known.
  var isStriped: Bool { get }
}

extension StripedInstruction {
  var isStriped: Bool { true }
}

/// Row y of a result needs the `reach` rows starting at y · step − padding.
struct RowWindow: Sendable {
  var reach = 1, step = 1, padding = 0

  /// The rows that some rows of the result need, including those outside the image.
  func needed(for rows: Range<Int>) -> Range<Int> {
    let first = rows.lowerBound * step - padding
    return first..<first + (rows.count - 1) * step + reach
  }
}

extension Window {
  func rows(isPooled: Bool = false) -> RowWindow {
    let reach = (height - 1) * dilationY + 1
    return isPooled
      ? RowWindow(reach: reach + strideY, step: 2 * strideY, padding: padTop)
      : RowWindow(reach: reach, step: strideY, padding: padTop)
  }
}

/// Consecutive instructions that are computed in stripes, so that their intermediate values stay in
/// the cache: factored convolutions (1×1, k×k, 1×1), and blocks with a wide middle.
///
/// Between two instructions only the rows that the second one currently needs exist. Rows shared by
/// adjacent stripes are kept rather than recomputed if the same thread computed the previous
/// stripe.
struct ChainInstruction: Instruction {
  private let parts: [any StripedInstruction]
  /// Rows of the last result in a stripe.
  private let stripe: Int

  /// The size of intermediate values, in bytes, that fits the L2 cache besides the weights.
  private static let cachedBytes = 512 << 10
  /// Values below this size per image, in bytes, are not worth chaining.
  private static let burden = 640 << 10

  var label: String { "\(parts[0].label) … \(parts.last!.label)" }
  var reads: [Int] {
    let between = Set(parts.dropLast().map { $0.writes! })
    return parts.flatMap { $0.reads.filter { !between.contains($0) } }
  }
  var writes: Int? { parts.last!.writes }

  /// The instructions, with those that benefit from it merged into chains.
  static func joining(
    _ instructions: [any Instruction], _ values: [Value]
  ) -> [any Instruction] {
    var readers: [Int: [Int]] = [:]
    for (index, instruction) in instructions.enumerated() {
      for value in instruction.reads { readers[value, default: []].append(index) }
    }
    /// The only reader of a part's result, if the two are worth chaining.
    func next(_ part: any StripedInstruction) -> (index: Int, part: any StripedInstruction)? {
      guard let value = part.writes, values[value].height > 1,
        values[value].byteCount(images: 1) > burden,
        let reader = readers[value], reader.count == 1,
        let other = instructions[reader[0]] as? any StripedInstruction, other.input == value,
        other.isStriped
      else { return nil }
      return (reader[0], other)
    }
    var joined: [(any Instruction)?] = instructions
    for start in instructions.indices {
      guard let first = joined[start] as? any StripedInstruction, first.isStriped else { continue }
      var (last, parts) = (start, [first])
      while let (index, part) = next(parts.last!), let chain = Self(parts + [part], values) {
        // A chain takes the position of its last part: the inputs of the others are available by
        // then.
        (joined[last], joined[index]) = (nil, chain)
        last = index
        parts.append(part)
      }
    }
    return joined.compactMap { $0 }
  }

  /// - Returns: `nil` if not even one row at a time fits the cache, or if the whole image does.
  private init?(_ parts: [any StripedInstruction], _ values: [Value]) {
    self.parts = parts
    // Single-pixel steps use a different algorithm.
    guard
      parts.allSatisfy({ part in
        (part.reads + [part.writes!]).allSatisfy { values[$0].width > 1 }
      })
    else { return nil }
    let height = values[parts.last!.writes!].height
    guard height > 1 else { return nil }
    var fitting = 0
    for rows in 1..<height {
      let ranges = Self.ranges(parts, for: 0..<rows)
      let bytes = zip(parts, ranges).dropLast().reduce(0) { sum, pair in
        sum + pair.1.count * values[pair.0.writes!].steps.row
      }
      if bytes > Self.cachedBytes { break }
      fitting = rows
    }
    guard fitting > 0 else { return nil }
    // Stripes of equal height, or one row less.
    let count = (height + fitting - 1) / fitting
    stripe = (height + count - 1) / count
  }

  // MARK: The step

  func step(_ values: [Value], threadsPerImage: Int) -> Step {
    let height = values[writes!].height
    let stripes = stride(from: 0, to: height, by: stripe).map { $0..<min(height, $0 + stripe) }
    var stripeBuilder = StripeBuilder(parts, values, stripe: stripe)
    let runs = stripes.indices.map { index in
      let previous = index > 0 ? stripes[index - 1] : nil
      return (
        cold: stripeBuilder.runs(stripes[index], after: nil),
        warm: previous.map { stripeBuilder.runs(stripes[index], after: $0) } ?? []
      )
    }
    let whole = parts.map { $0.step(values, threadsPerImage: 1) }
    return Step(
      label: label, computations: whole.flatMap(\.computations),
      macs: whole.reduce(0) { $0 + $1.macs }, scratch: stripeBuilder.byteCount,
      items: Step.perImage(stripes.count)
    ) { memory, _, items in
      for item in items {
        let (image, index) = (item / runs.count, item % runs.count)
        // Only this thread's rows of the previous stripe can be reused.
        let isWarm = index > 0 && item > items.lowerBound
        for run in isWarm ? runs[index].warm : runs[index].cold { run.run(memory, image: image) }
      }
    }
  }

  /// The rows of each part's result that rows of the last one need, beyond the edges of the image
  /// if windows reach there.
  fileprivate static func ranges(
    _ parts: [any StripedInstruction], for rows: Range<Int>
  ) -> [Range<Int>] {
    var ranges = [rows]
    for part in parts.dropFirst().reversed() { ranges.append(part.rows.needed(for: ranges.last!)) }
    return ranges.reversed()
  }
}

/// One part's work on one stripe.
private struct StripeRun: Sendable {
  /// `nil` if all rows are kept ones.
  let step: Step?
  let places: [Place]
  /// The value between two parts that the step writes.
  let kept: Kept?

  /// The location of a value for a step.
  struct Place: Sendable {
    let value: Int
    /// Whether the offset is relative to the thread's memory rather than to the value's.
    let isOwn: Bool
    let offset: Int
    /// Bytes between consecutive images.
    let image: Int
  }

  /// Rows kept from the previous stripe, and the halo of the whole value.
  struct Kept: Sendable {
    let value: Value
    /// Offset in the thread's memory, in bytes.
    let offset: Int
    /// The bytes to move to the front, and the distance.
    let byteCount, distance: Int
  }

  func run(_ memory: Memory, image: Int) {
    if let kept {
      let start = unsafe memory.scratch + kept.offset
      if kept.byteCount > 0 && kept.distance > 0 {
        // Rows may overlap: memmove.
        unsafe start.copyMemory(from: start + kept.distance, byteCount: kept.byteCount)
      }
      unsafe kept.value.fillHalo(start + kept.value.origin, images: 0..<1)
    }
    guard let step else { return }
    let own = unsafe memory.scratch - memory.base
    var origins = memory.origins
    for place in places {
      origins[place.value] =
        (place.isOwn ? own : memory.origins[place.value] + image * place.image) + place.offset
    }
    let stripe = unsafe Memory(
      base: memory.base, scratch: memory.scratch, origins: origins, inputs: memory.inputs,
      outputs: memory.outputs)
    step.run(stripe, 1, 0..<step.items(1))
  }
}

/// Builds the runs of each stripe.
private struct StripeBuilder {
  private let parts: [any StripedInstruction]
  private let values: [Value]
  /// The offset in the thread's memory of the value after each part.
  private var offsets: [Int] = []
  private(set) var byteCount = 0
  private var steps: [[Int: Step]]

  init(_ parts: [any StripedInstruction], _ values: [Value], stripe: Int) {
    (self.parts, self.values) = (parts, values)
    steps = parts.map { _ in [:] }
    for (part, rows) in zip(parts, ChainInstruction.ranges(parts, for: 0..<stripe)).dropLast() {
      offsets.append(byteCount)
      // Kernels may read up to a word past the last element.
      byteCount += (rows.count * values[part.writes!].steps.row + 64).roundedUp(to: 64)
    }
  }

  mutating func runs(_ rows: Range<Int>, after previous: Range<Int>?) -> [StripeRun] {
    let ranges = ChainInstruction.ranges(parts, for: rows)
    let before = previous.map { ChainInstruction.ranges(parts, for: $0) }
    return parts.indices.map { index in
      let part = parts[index]
      let (range, result) = (ranges[index], part.writes!)
      let isLast = index == parts.count - 1
      let known = isLast ? range.lowerBound : before?[index].upperBound ?? range.lowerBound
      let new = (max(range.lowerBound, known)..<max(range.upperBound, known))
        .clamped(to: 0..<values[result].height)
      var places = part.reads.filter { $0 != part.input }.map { outer($0, row: new.lowerBound) }
      let first = new.lowerBound * part.rows.step
      places.append(
        index == 0
          ? outer(part.input, row: first) : inner(index - 1, row: first, of: ranges[index - 1]))
      places.append(
        isLast ? outer(result, row: new.lowerBound) : inner(index, row: new.lowerBound, of: range))
      return StripeRun(
        step: new.isEmpty ? nil : step(index, rows: new.count), places: places,
        kept: isLast ? nil : kept(index, range, before?[index]))
    }
  }

  private func outer(_ value: Int, row: Int) -> StripeRun.Place {
    let steps = values[value].steps
    return StripeRun.Place(
      value: value, isOwn: false, offset: row * steps.row, image: steps.image)
  }

  /// A row of the value after a part, of which only a range of rows exists.
  private func inner(_ index: Int, row: Int, of range: Range<Int>) -> StripeRun.Place {
    let value = values[parts[index].writes!]
    return StripeRun.Place(
      value: parts[index].writes!, isOwn: true,
      offset: offsets[index] + (row - range.lowerBound) * value.steps.row
        + value.halo.left * value.steps.pixel, image: 0)
  }

  private func kept(
    _ index: Int, _ range: Range<Int>, _ before: Range<Int>?
  ) -> StripeRun.Kept {
    let value = values[parts[index].writes!]
    let inside = range.clamped(to: 0..<value.height)
    var rows = Value(
      kind: value.kind, channels: value.channels, height: inside.count, width: value.width)
    rows.halo = Value.Halo(
      top: inside.lowerBound - range.lowerBound, left: value.halo.left,
      bottom: range.upperBound - inside.upperBound, right: value.halo.right)
    let row = value.steps.row
    return StripeRun.Kept(
      value: rows, offset: offsets[index],
      byteCount: max(0, (before?.upperBound ?? range.lowerBound) - range.lowerBound) * row,
      distance: before.map { (range.lowerBound - $0.lowerBound) * row } ?? 0)
  }

  /// The part's step for the given number of rows of its result.
  private mutating func step(_ index: Int, rows: Int) -> Step {
    if let known = steps[index][rows] { return known }
    let part = parts[index]
    var values = values
    for value in part.reads + [part.writes!] { values[value].height = rows }
    values[part.input].height = part.rows.needed(for: 0..<rows).count
    let step = part.step(values, threadsPerImage: 1)
    steps[index][rows] = step
    return step
  }
}
