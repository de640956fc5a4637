import Glibc
import Synchronization

/// Threads that wait for short pieces of work: the one pool of the process.
///
/// Handing work out takes about a microsecond while the workers are awake; they watch for work for
/// some 50 µs before they go to sleep. One computation uses the team at a time; others that come
/// meanwhile, from other threads or from inside the work, do theirs alone.
///
/// `@unchecked Sendable`: `job` is written by the one caller that holds `isBusy`, before it
/// announces the generation that the workers read it in, and the sleeping lock guards the rest.
@safe
final class WorkerTeam: @unchecked Sendable {
  static let shared = WorkerTeam()

  private typealias Job = (Int) -> Void
  private let isBusy = Atomic(false)
  private let generation = Atomic(0)
  /// Workers that have yet to finish the current generation.
  private let pending = Atomic(0)
  private let sleepers = Atomic(0)
  private var job: (count: Int, body: Job)?
  private var workers = 0
  /// The process that started the workers: a fork leaves them behind.
  private var owner = getpid()
  private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let wakeUp = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private static let patience = 50_000

  private init() {
    unsafe pthread_mutex_init(lock, nil)
    unsafe pthread_cond_init(wakeUp, nil)
  }

  /// Calls `body` with 0 ..< count at the same time, each on a thread of its own, the caller's
  /// among them.
  ///
  /// - Returns: False, without having called it, if the team is not to be had.
  func run(_ count: Int, _ body: (Int) -> Void) -> Bool {
    guard getpid() == owner,
      isBusy.compareExchange(
        expected: false, desired: true, ordering: .acquiring
      ).exchanged
    else { return false }
    defer { isBusy.store(false, ordering: .releasing) }
    guard hire(count - 1) else { return false }
    withoutActuallyEscaping(body) { body in
      job = (count, body)
      pending.store(workers, ordering: .relaxed)
      generation.add(1, ordering: .sequentiallyConsistent)
      if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
        unsafe pthread_mutex_lock(lock)
        unsafe pthread_cond_broadcast(wakeUp)
        unsafe pthread_mutex_unlock(lock)
      }
      body(0)
      Self.spin { pending.load(ordering: .acquiring) == 0 }
      job = nil
    }
    return true
  }

  /// Starts workers until there are so many.
  private func hire(_ count: Int) -> Bool {
    while workers < count {
      var thread = pthread_t()
      let seen = generation.load(ordering: .relaxed)
      let start = unsafe Unmanaged.passRetained(Start(team: self, index: workers, seen: seen))
      let failure = unsafe pthread_create(
        &thread, nil,
        { argument in
          let start = unsafe Unmanaged<Start>.fromOpaque(argument!).takeRetainedValue()
          start.team.work(start.index, start.seen)
        }, start.toOpaque())
      guard failure == 0 else {
        unsafe start.release()
        return false
      }
      pthread_detach(thread)
      workers += 1
    }
    return true
  }

  private final class Start {
    let team: WorkerTeam
    let index, seen: Int
    init(team: WorkerTeam, index: Int, seen: Int) {
      (self.team, self.index, self.seen) = (team, index, seen)
    }
  }

  private func work(_ index: Int, _ start: Int) -> Never {
    var seen = start
    while true {
      waitForWork(after: seen)
      seen += 1
      if let job, index + 1 < job.count { job.body(index + 1) }
      pending.subtract(1, ordering: .releasing)
    }
  }

  private func waitForWork(after seen: Int) {
    for _ in 0..<Self.patience where generation.load(ordering: .acquiring) != seen { return }
    unsafe pthread_mutex_lock(lock)
    sleepers.add(1, ordering: .sequentiallyConsistent)
    while generation.load(ordering: .sequentiallyConsistent) == seen {
      unsafe pthread_cond_wait(wakeUp, lock)
    }
    sleepers.subtract(1, ordering: .relaxed)
    unsafe pthread_mutex_unlock(lock)
  }

  /// Watches until the condition holds, giving way to other threads now and then.
  static func spin(until condition: () -> Bool) {
    while true {
      for _ in 0..<2_000 where condition() { return }
      sched_yield()
    }
  }
}

/// A point that all threads of a team reach before any goes on.
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
