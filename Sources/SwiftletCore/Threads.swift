// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// The threads that one computation may use.
///
/// Work is divided into at most ``count`` contiguous pieces whose bounds depend only on the sizes,
/// so sums are the same in every run with the same thread count. BLAS stays single-threaded inside
/// the pieces: two computations never use the threads at the same time.
public struct Threads: Sendable, Hashable {
  /// The number of threads that work at once, including the caller.
  public let count: Int

  /// - Precondition: `count ≥ 1`.
  public init(count: Int) {
    precondition(count >= 1, "at least one thread is needed, not \(count)")
    self.count = count
  }

  /// One thread per online processor.
  public static let available = Threads(count: max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))

  /// Only the calling thread.
  public static let serial = Threads(count: 1)

  /// Divides `0 ..< total` into at most `count` ranges whose lengths differ by at most one.
  public func partition(_ total: Int, minimumLength: Int = 1) -> [Range<Int>] {
    let pieces = max(1, min(count, total / max(1, minimumLength)))
    return (0..<pieces).map { total * $0 / pieces..<total * ($0 + 1) / pieces }
  }

  /// Runs `body` for each piece of `0 ..< total` concurrently.
  public func forEachRange(
    _ total: Int, minimumLength: Int = 1, _ body: @Sendable (Range<Int>) -> Void
  ) {
    let pieces = partition(total, minimumLength: minimumLength)
    if pieces.count == 1 { return body(pieces[0]) }
    if !WorkerTeam.shared.run(pieces.count, { body(pieces[$0]) }) { pieces.forEach(body) }
  }

  /// Calls `body` once on each of ``count`` threads at the same time, so they may wait for each
  /// other.
  ///
  /// - Returns: False, without calling it, if another computation holds the threads.
  package func together(_ body: @Sendable (_ thread: Int) -> Void) -> Bool {
    if count == 1 {
      body(0)
      return true
    }
    return WorkerTeam.shared.run(count, body)
  }

  /// The results of `body` for `0 ..< count`, in order; the calls run concurrently.
  ///
  /// - Throws: The error of the first failing call, after all calls have ended.
  public func map<Result: Sendable>(
    _ count: Int, _ body: @Sendable (Int) throws -> Result
  ) throws -> [Result] {
    let results = Mutex([Swift.Result<Result, any Error>?](repeating: nil, count: count))
    forEachRange(count) { range in
      for index in range {
        let result = Swift.Result { try body(index) }
        results.withLock { $0[index] = result }
      }
    }
    return try results.withLock { try $0.map { try $0!.get() } }
  }

  /// Lets several threads fill one tensor: its leading axis is divided into pieces, and each call
  /// of `body` gets the indices of its piece and their elements.
  ///
  /// Pieces have at least about `minimumWork` elements; less does not justify a second thread.
  public func forEachBlock<Element>(
    of tensor: inout Tensor<Element>, minimumWork: Int = 1 << 14,
    _ body: @Sendable (Range<Int>, inout MutableSpan<Element>) -> Void
  ) {
    guard tensor.count > 0 else { return }
    let rows = tensor.shape.rank == 0 ? 1 : tensor.shape[0]
    let rowLength = tensor.count / rows
    tensor.makeUnique()
    let output = unsafe DisjointOutput(base: tensor.storage.base + tensor.offset)
    forEachRange(rows, minimumLength: minimumWork / rowLength) { range in
      var part = unsafe MutableSpan(
        _unsafeStart: output.base + range.lowerBound * rowLength, count: range.count * rowLength)
      body(range, &part)
    }
  }
}

/// `threads: 4` says what `threads: Threads(count: 4)` does.
extension Threads: ExpressibleByIntegerLiteral {
  public init(integerLiteral count: Int) { self.init(count: count) }
}

/// Memory divided into one part per thread.
@safe
private struct DisjointOutput<Element>: @unchecked Sendable {
  let base: UnsafeMutablePointer<Element>
}
