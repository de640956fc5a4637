import SwiftletCore
import Synchronization

/// The steps of a segment for images of one size, and the memory they need.
///
/// Batches are computed a chunk of images at a time, so that what one layer writes is still in the
/// cache when the next reads it; threads take chunks in turn. Where there are fewer images than
/// threads, the threads share each layer instead. Results do not depend on which of the two it is.
/// A layer that needs the whole batch makes one chunk of it.
struct Program: Sendable {
  let steps: [Step]
  private let origins: [Int]
  /// Images that are computed at a time.
  private let chunk: Int
  private let images: Int
  private let pool: ThreadPool
  private let sharesLayers: Bool
  /// Bytes for the values of one chunk.
  private let byteCount: Int
  /// Bytes that each thread needs for itself.
  private let scratch: Int

  /// What a chunk's values may take of the second-level cache.
  private static let cachedBytes = 512 << 10

  init(_ layers: [any Layer], _ values: [Value], images: Int, pool: ThreadPool) {
    let threads = pool.count
    let isWhole = layers.contains(where: \.readsAllImages)
    sharesLayers =
      threads > 1
      && (isWhole || images < threads || (images % threads != 0 && images < 4 * threads))
    let arena = Arena(layers, values)
    let share = sharesLayers ? images : (images + threads - 1) / threads
    // As many as fit, evened out so that all threads have the same number of chunks.
    let fitting = max(1, Self.cachedBytes / max(1, arena.byteCount(images: 1)))
    let rounds = max(1, (share + fitting - 1) / fitting)
    chunk = isWhole ? max(1, images) : max(1, (share + rounds - 1) / rounds)
    var steps: [Step] = []
    for layer in layers {
      if let value = layer.writes, !values[value].halo.isEmpty {
        steps.append(Self.border(of: value, values[value]))
      }
      steps.append(layer.step(values, threads: sharesLayers ? threads : 1))
    }
    scratch = (steps.map(\.scratch).max() ?? 0).roundedUp(to: 64)
    let (offsets, byteCount) = arena.offsets(images: chunk)
    origins = zip(offsets, values).map { $0 + $1.origin }
    (self.steps, self.images, self.pool) = (steps, images, pool)
    self.byteCount = byteCount
  }

  private static func border(of index: Int, _ value: Value) -> Step {
    Step(label: "border", kernel: "fill", items: Step.perImage(1)) {
      memory, _, images in
      unsafe value.fillHalo(memory.start(index), images: images)
    }
  }

  /// Bytes of all chunks that are computed at the same time.
  var peakBytes: Int {
    sharesLayers
      ? byteCount + pool.count * scratch : min(pool.count, chunks) * (byteCount + scratch)
  }

  private var chunks: Int { (images + chunk - 1) / chunk }

  /// The memory of a segment's inputs and outputs, and bytes from one image to the next.
  @safe
  struct Ends: @unchecked Sendable {
    let inputs: [(base: UnsafeRawPointer, step: Int)]
    let outputs: [(base: UnsafeMutableRawPointer, step: Int)]

    fileprivate func memory(
      _ arena: AlignedMemory, scratch: Int, _ origins: [Int], from image: Int
    ) -> Memory {
      unsafe Memory(
        base: arena.base, scratch: arena.base + scratch, origins: origins,
        inputs: inputs.map { unsafe $0.base + image * $0.step },
        outputs: outputs.map { unsafe $0.base + image * $0.step })
    }
  }

  /// Sees a step, by position, with a chunk's images and the seconds it took.
  typealias Observer = (_ step: Int, _ images: Int, _ seconds: Double) -> Void

  /// - Parameter observe: Runs on one thread if it is given.
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
    if pool.count > 1 && images > 0 && (sharesLayers ? runSharing(ends) : runChunks(ends)) {
      return
    }
    forEachChunk(ends) { memory, images in
      for step in steps { step.run(memory, images, 0..<step.items(images)) }
    }
  }

  private func forEachChunk(_ ends: Ends, _ body: (Memory, Int) -> Void) {
    let arena = AlignedMemory(byteCount: byteCount + scratch)
    for start in stride(from: 0, to: images, by: chunk) {
      body(
        ends.memory(arena, scratch: byteCount, origins, from: start), min(chunk, images - start))
    }
  }

  /// Threads take chunks in turn.
  private func runChunks(_ ends: Ends) -> Bool {
    let next = Atomic(0)
    return ThreadPool(count: min(pool.count, chunks)).together { _ in
      let arena = AlignedMemory(byteCount: byteCount + scratch)
      while true {
        let start = next.add(1, ordering: .relaxed).oldValue * chunk
        guard start < images else { break }
        let memory = ends.memory(arena, scratch: byteCount, origins, from: start)
        let count = min(chunk, images - start)
        for step in steps { step.run(memory, count, 0..<step.items(count)) }
      }
    }
  }

  /// Threads share each layer, and wait for each other between layers.
  private func runSharing(_ ends: Ends) -> Bool {
    let threads = pool.count
    let arena = AlignedMemory(byteCount: byteCount + threads * scratch)
    let barrier = SpinBarrier(count: threads)
    return pool.together { thread in
      for start in stride(from: 0, to: images, by: chunk) {
        let memory = ends.memory(
          arena, scratch: byteCount + thread * scratch, origins, from: start)
        let count = min(chunk, images - start)
        for step in steps {
          let items = step.items(count)
          let own = items * thread / threads..<items * (thread + 1) / threads
          if !own.isEmpty { step.run(memory, count, own) }
          // A border and the layer that fills what is inside it do not meet.
          if step.kernel != "fill" { barrier.wait() }
        }
      }
    }
  }
}

/// Places values in memory so that those alive at the same time do not overlap.
private struct Arena {
  private let values: [Value]
  /// The first and the last layer that touch each value.
  private let lifetimes: [ClosedRange<Int>?]

  init(_ layers: [any Layer], _ values: [Value]) {
    var lifetimes = [ClosedRange<Int>?](repeating: nil, count: values.count)
    for (index, layer) in layers.enumerated() {
      for value in layer.reads + (layer.writes.map { [$0] } ?? []) {
        lifetimes[value] = (lifetimes[value]?.lowerBound ?? index)...index
      }
    }
    (self.values, self.lifetimes) = (values, lifetimes)
  }

  func byteCount(images: Int) -> Int { offsets(images: images).byteCount }

  /// Largest first, each at the lowest place that is free while it lives.
  ///
  /// - Source: greedy by size, Pisarchyk and Lee 2020.
  func offsets(images: Int) -> (offsets: [Int], byteCount: Int) {
    let sizes = values.map { $0.byteCount(images: images).roundedUp(to: 64) }
    var offsets = [Int](repeating: 0, count: values.count)
    var placed: [Int] = []
    for value in values.indices.sorted(by: { (sizes[$0], $1) > (sizes[$1], $0) }) {
      guard let lifetime = lifetimes[value] else { continue }
      let neighbours = placed.filter { lifetimes[$0]!.overlaps(lifetime) }
        .sorted { offsets[$0] < offsets[$1] }
      var offset = 0
      for other in neighbours {
        if offset + sizes[value] <= offsets[other] { break }
        offset = max(offset, offsets[other] + sizes[other])
      }
      offsets[value] = offset
      placed.append(value)
    }
    return (offsets, placed.map { offsets[$0] + sizes[$0] }.max() ?? 0)
  }
}
