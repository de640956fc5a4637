// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// Threads that wait for short pieces of work: the worker threads of the process.
///
/// Dispatching work takes about a microsecond while the workers are awake; they poll for work for
/// about 50 µs before they sleep. One computation uses the team at a time; concurrent ones, from
/// other threads or nested, run on their own thread.
///
/// `@unchecked Sendable`: `job` and `seats` are written only by the caller that holds `isBusy`,
/// before it announces the round in which its workers read them; the lock guards who is asleep.
@safe
final class WorkerTeam: @unchecked Sendable {
  static let shared = WorkerTeam()

  private typealias Job = (Int) -> Void
  private let isBusy = Atomic(false)
  /// Counts rounds, and holds the number of threads that take part in this one, the first workers
  /// among them. Others may miss the round, and never read the job.
  private let round = Atomic(Round(number: 0, threads: 0).word)
  /// Workers that have not finished the current round.
  private let pending = Atomic(0)
  private let sleepers = Atomic(0)
  private var job: Job?
  private var seats: [Seat] = []
  /// The process that started the workers: a fork does not copy them.
  private var owner = getpid()
  private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private static let patience = 50_000

  private struct Round {
    let number, threads: Int

    init(number: Int, threads: Int) { (self.number, self.threads) = (number, threads) }
    init(word: Int) { (number, threads) = (word >> 24, word & 0xFF_FFFF) }

    var word: Int { number << 24 | threads }
  }

  /// The place where a worker waits.
  @safe
  private final class Seat: @unchecked Sendable {
    let index: Int
    /// The round in which it was started, in which it takes no part.
    let hired: Int
    let wakeUp = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    var isAsleep = false

    init(_ index: Int, hired: Int) {
      (self.index, self.hired) = (index, hired)
      unsafe pthread_cond_init(wakeUp, nil)
    }

    deinit {
      unsafe pthread_cond_destroy(wakeUp)
      unsafe wakeUp.deallocate()
    }
  }

  private init() { unsafe pthread_mutex_init(lock, nil) }

  /// Calls `body` with 0 ..< count at the same time, each on a separate thread, including the
  /// caller's.
  ///
  /// - Returns: False, without calling it, if the team is unavailable.
  func run(_ count: Int, _ body: (Int) -> Void) -> Bool {
    guard getpid() == owner,
      isBusy.compareExchange(
        expected: false, desired: true, ordering: .acquiring
      ).exchanged
    else { return false }
    defer { isBusy.store(false, ordering: .releasing) }
    guard hire(count - 1) else { return false }
    withoutActuallyEscaping(body) { body in
      job = body
      pending.store(count - 1, ordering: .relaxed)
      let last = Round(word: round.load(ordering: .relaxed))
      round.store(
        Round(number: last.number + 1, threads: count).word, ordering: .sequentiallyConsistent)
      if sleepers.load(ordering: .sequentiallyConsistent) > 0 { wake(count - 1) }
      body(0)
      Self.spin { pending.load(ordering: .acquiring) == 0 }
      job = nil
    }
    return true
  }

  private func wake(_ count: Int) {
    unsafe pthread_mutex_lock(lock)
    for seat in seats.prefix(count) where seat.isAsleep { unsafe pthread_cond_signal(seat.wakeUp) }
    unsafe pthread_mutex_unlock(lock)
  }

  /// Starts workers until there are `count`.
  private func hire(_ count: Int) -> Bool {
    while seats.count < count {
      var thread = pthread_t()
      let seat = Seat(seats.count, hired: round.load(ordering: .relaxed))
      let start = unsafe Unmanaged.passRetained(seat)
      let failure = unsafe pthread_create(
        &thread, nil,
        { argument in
          WorkerTeam.shared.work(unsafe Unmanaged<Seat>.fromOpaque(argument!).takeRetainedValue())
        }, start.toOpaque())
      guard failure == 0 else {
        unsafe start.release()
        return false
      }
      pthread_detach(thread)
      seats.append(seat)
    }
    return true
  }

  private func work(_ seat: Seat) -> Never {
    var seen = seat.hired
    while true {
      seen = nextRound(after: seen, seat)
      job!(seat.index + 1)
      pending.subtract(1, ordering: .releasing)
    }
  }

  /// Waits for a round in which the worker takes part; such a round cannot end without it. Other
  /// rounds do not keep a worker awake.
  private func nextRound(after seen: Int, _ seat: Seat) -> Int {
    func isOwn(_ word: Int) -> Bool {
      word != seen && seat.index + 1 < Round(word: word).threads
    }
    for _ in 0..<Self.patience {
      let word = round.load(ordering: .acquiring)
      if isOwn(word) { return word }
    }
    unsafe pthread_mutex_lock(lock)
    sleepers.add(1, ordering: .sequentiallyConsistent)
    seat.isAsleep = true
    var word = round.load(ordering: .sequentiallyConsistent)
    while !isOwn(word) {
      unsafe pthread_cond_wait(seat.wakeUp, lock)
      word = round.load(ordering: .sequentiallyConsistent)
    }
    seat.isAsleep = false
    sleepers.subtract(1, ordering: .relaxed)
    unsafe pthread_mutex_unlock(lock)
    return word
  }

  /// Spins until the condition holds, yielding to other threads now and then.
  static func spin(until condition: () -> Bool) {
    while true {
      for _ in 0..<2_000 where condition() { return }
      sched_yield()
    }
  }
}

/// A barrier that all threads of a team reach before any continues.
package final class SpinBarrier: Sendable {
  private let count: Int
  private let arrived = Atomic(0)
  private let phase = Atomic(0)

  package init(count: Int) { self.count = count }

  package func wait() {
    let now = phase.load(ordering: .relaxed)
    if arrived.add(1, ordering: .acquiringAndReleasing).newValue == count {
      arrived.store(0, ordering: .relaxed)
      phase.add(1, ordering: .releasing)
    } else {
      WorkerTeam.spin { phase.load(ordering: .acquiring) != now }
    }
  }
}
