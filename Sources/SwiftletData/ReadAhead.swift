// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Values that workers make in order, ahead of those who take them.
///
/// Every value can be taken at any time and in any order: one that no worker has begun is made by
/// the one who takes it. So nobody ever waits for room, only for a value that is being made, and
/// what is taken never depends on the number of workers.
///
/// `@unchecked Sendable`: the lock guards everything that changes.
@safe
package final class ReadAhead<Value: Sendable>: @unchecked Sendable {
  private enum Slot {
    /// A worker makes the value.
    case begun
    /// A worker has made it, or failed to.
    case made(Result<Value, any Error>)
    /// It was taken before a worker came to it.
    case skipped
  }

  private let end: Int
  /// The most values that are begun or made, but not taken.
  private let capacity: Int
  private let make: @Sendable (Int) throws -> Value
  private let lock = WaitingLock()
  /// What is known about positions near ``next``; those before it that are missing were taken.
  private var slots: [Int: Slot] = [:]
  /// The first position that no worker has begun.
  private var next: Int
  private var ahead = 0
  private var isStopped = false

  /// - Parameters:
  ///   - positions: Those whose values are made ahead, in order.
  ///   - capacity: The most values to make ahead; at least one is.
  ///   - make: Makes the value for a position. Called on several threads at once; once for each
  ///     position that is taken once.
  package init(
    _ positions: Range<Int>, capacity: Int, _ make: @escaping @Sendable (Int) throws -> Value
  ) {
    (next, end) = (positions.lowerBound, positions.upperBound)
    self.capacity = max(1, capacity)
    self.make = make
  }

  /// Calls `body` while workers make values ahead. They have ended when this returns or throws,
  /// each after the value that it was making.
  ///
  /// - Parameters:
  ///   - workers: The number of threads. If the system has fewer, the values come later.
  ///   - body: Takes values.
  package func run<Outcome>(workers: Int, _ body: () throws -> Outcome) rethrows -> Outcome {
    let threads = (0..<workers).compactMap { _ in JoinableThread { self.work() } }
    defer {
      lock.withLock {
        isStopped = true
        lock.wakeAll()
      }
      for thread in threads { thread.join() }
    }
    return try body()
  }

  /// The value for a position. A value is kept until it was taken once, and made again after that.
  ///
  /// - Throws: What making it threw.
  package func take(_ position: Int) throws -> Value {
    let made = lock.withLock { () -> Result<Value, any Error>? in
      while true {
        switch slots[position] {
        case .begun?: lock.wait()
        case .made(let result)?:
          slots[position] = nil
          ahead -= 1
          lock.wakeAll()
          return result
        case .skipped?: return nil
        case nil:
          if position >= next { slots[position] = .skipped }
          return nil
        }
      }
    }
    return try made.map { try $0.get() } ?? make(position)
  }

  private func work() {
    while let position = begin() {
      let result = Result { try make(position) }
      lock.withLock {
        slots[position] = .made(result)
        lock.wakeAll()
      }
    }
  }

  /// The next position for a worker, as soon as there is room for its value; `nil` at the end.
  private func begin() -> Int? {
    lock.withLock {
      while !isStopped {
        while case .skipped? = slots[next] {
          slots[next] = nil
          next += 1
        }
        guard next < end else { return nil }
        if ahead < capacity {
          defer { next += 1 }
          slots[next] = .begun
          ahead += 1
          return next
        }
        lock.wait()
      }
      return nil
    }
  }
}
