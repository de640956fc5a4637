// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import Synchronization

/// The steps of a segment for images of one size, and the memory they need.
///
/// Batches are computed in chunks of images, so that a step's result is still in the cache when the
/// next step reads it; threads take chunks in turn. If there are fewer images than threads, the
/// threads share each step instead. Results are the same either way. An instruction that needs the
/// whole batch makes a single chunk of it.
struct Program: Sendable {
  let steps: [Step]
  private let origins: [Int]
  private let images: Int
  /// The number of chunks of images.
  private let chunks: Int
  private let threads: Threads
  private let sharesSteps: Bool
  /// The size of one chunk's values, in bytes.
  private let byteCount: Int
  /// The private memory of each thread, in bytes.
  private let scratch: Int

  /// The part of the L2 cache that a chunk's values may use, in bytes.
  private static let cachedBytes = 512 << 10

  init(
    _ instructions: [any Instruction], _ values: [Value], images: Int, threads: Threads
  ) {
    self.threads = threads
    let threads = threads.count
    let (instructions, owners) = Self.withoutAliases(instructions, values)
    let isWhole = instructions.contains(where: \.readsAllImages)
    sharesSteps =
      threads > 1
      && (isWhole || images < threads || (images % threads != 0 && images < 4 * threads))
    let lifetimes = Arena.lifetimes(
      instructions.map { ($0.reads + ($0.writes.map { [$0] } ?? [])).map { owners[$0] } },
      values: values.count)
    func arena(images: Int) -> Arena {
      Arena(sizes: values.map { $0.byteCount(images: images) }, lifetimes: lifetimes)
    }
    let share = sharesSteps ? images : (images + threads - 1) / threads
    // As many images as fit; the same number of chunks for each thread, differing by at most one
    // image.
    let fitting = max(1, Self.cachedBytes / max(1, arena(images: 1).byteCount))
    let rounds = isWhole ? 1 : (share + fitting - 1) / fitting
    chunks = min(images, sharesSteps ? rounds : rounds * threads)
    var steps: [Step] = []
    for instruction in instructions {
      if let value = instruction.writes, !values[value].halo.isEmpty {
        steps.append(Self.border(of: value, values[value]))
      }
      steps.append(instruction.step(values, threadsPerImage: sharesSteps ? threads : 1))
    }
    scratch = (steps.map(\.scratch).max() ?? 0).roundedUp(to: 64)
    let arena = arena(images: (images + chunks - 1) / max(1, chunks))
    origins = values.indices.map { arena.offsets[owners[$0]] + values[$0].origin }
    (self.steps, self.images) = (steps, images)
    byteCount = arena.byteCount
  }

  /// The instructions without those that would copy a value onto itself, and for each value the one
  /// whose memory it shares.
  private static func withoutAliases(
    _ instructions: [any Instruction], _ values: [Value]
  ) -> (instructions: [any Instruction], owners: [Int]) {
    var owners = Array(values.indices)
    let kept = instructions.filter { instruction in
      guard let reshape = instruction as? ReshapeInstruction, reshape.isAlias(values) else {
        return true
      }
      owners[reshape.output] = owners[reshape.input]
      return false
    }
    return (kept, owners)
  }

  private static func border(of index: Int, _ value: Value) -> Step {
    Step(label: "border", computations: [Computation(.border)], items: Step.perImage(1)) {
      memory, _, images in
      unsafe value.fillHalo(memory.start(index), images: images)
    }
  }

  /// The size of all chunks that are computed at the same time, in bytes.
  var peakBytes: Int {
    sharesSteps
      ? byteCount + threads.count * scratch : min(threads.count, chunks) * (byteCount + scratch)
  }

  /// Larger chunks come first, so that threads that take them in turn finish together.
  private func chunk(_ index: Int) -> Range<Int> {
    let (size, larger) = images.quotientAndRemainder(dividingBy: chunks)
    let start = index * size + min(index, larger)
    return start..<start + size + (index < larger ? 1 : 0)
  }

  /// The memory of a segment's inputs and outputs, and the bytes between consecutive images.
  @safe
  struct Ends: @unchecked Sendable {
    let inputs: [(base: UnsafeRawPointer, step: Int)]
    let outputs: [(base: UnsafeMutableRawPointer, step: Int)]

    fileprivate func memory(
      _ arena: AlignedMemory, at place: Int = 0, scratch: Int, _ origins: [Int], from image: Int
    ) -> Memory {
      unsafe Memory(
        base: arena.base + place, scratch: arena.base + scratch, origins: origins,
        inputs: inputs.map { unsafe $0.base + image * $0.step },
        outputs: outputs.map { unsafe $0.base + image * $0.step })
    }
  }

  /// Receives a step's index, a chunk's number of images and the time in seconds.
  typealias Observer = (_ step: Int, _ images: Int, _ seconds: Double) -> Void

  /// - Parameter observe: If given, the program runs on one thread.
  func run(_ ends: Ends, observe: Observer? = nil) {
    if let observe {
      let clock = ContinuousClock()
      return forEachChunk(ends) { memory, images in
        for (index, step) in steps.enumerated() {
          let start = clock.now
          step.run(memory, images, 0..<step.items(images))
          observe(index, images, start.duration(to: clock.now) / .seconds(1))
        }
      }
    }
    if threads.count > 1 && images > 0 && (sharesSteps ? runSharing(ends) : runChunks(ends)) {
      return
    }
    forEachChunk(ends) { memory, images in
      for step in steps { step.run(memory, images, 0..<step.items(images)) }
    }
  }

  private func forEachChunk(_ ends: Ends, _ body: (Memory, Int) -> Void) {
    let arena = AlignedMemory(byteCount: byteCount + scratch)
    for chunk in (0..<chunks).lazy.map(chunk) {
      body(
        ends.memory(arena, scratch: byteCount, origins, from: chunk.lowerBound), chunk.count)
    }
  }

  /// Threads take chunks in turn. Each uses the same part of the arena in every run, which is then
  /// in the cache of its core.
  private func runChunks(_ ends: Ends) -> Bool {
    let next = Atomic(0)
    let threads = Threads(count: min(threads.count, chunks))
    let arena = AlignedMemory(byteCount: threads.count * (byteCount + scratch))
    return threads.together { thread in
      let place = thread * (byteCount + scratch)
      while true {
        let index = next.add(1, ordering: .relaxed).oldValue
        guard index < chunks else { break }
        let images = chunk(index)
        let memory = ends.memory(
          arena, at: place, scratch: place + byteCount, origins, from: images.lowerBound)
        for step in steps { step.run(memory, images.count, 0..<step.items(images.count)) }
      }
    }
  }

  /// Threads share each step, and wait for each other between steps.
  private func runSharing(_ ends: Ends) -> Bool {
    let count = threads.count
    let arena = AlignedMemory(byteCount: byteCount + count * scratch)
    let barrier = SpinBarrier(count: count)
    return threads.together { thread in
      for images in (0..<chunks).lazy.map(chunk) {
        let memory = ends.memory(
          arena, scratch: byteCount + thread * scratch, origins, from: images.lowerBound)
        for step in steps {
          let items = step.items(images.count)
          let own = items * thread / count..<items * (thread + 1) / count
          if !own.isEmpty { step.run(memory, images.count, own) }
          // A border and the result that it surrounds do not overlap.
          if !step.isBorder { barrier.wait() }
        }
      }
    }
  }
}
