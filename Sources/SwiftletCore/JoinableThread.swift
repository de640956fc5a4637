// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A thread of its own for work that waits, such as reading ahead, beside the team that computes.
package struct JoinableThread: Sendable {
  private let thread: pthread_t

  private final class Work: Sendable {
    let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  /// Starts a thread that runs `body` and ends; `nil` if the system has no thread left.
  package init?(_ body: @escaping @Sendable () -> Void) {
    let work = unsafe Unmanaged.passRetained(Work(body))
    var thread = pthread_t()
    let failure = unsafe pthread_create(
      &thread, nil,
      { argument in
        unsafe Unmanaged<Work>.fromOpaque(argument!).takeRetainedValue().body()
        return nil
      }, work.toOpaque())
    guard failure == 0 else {
      unsafe work.release()
      return nil
    }
    self.thread = thread
  }

  /// Waits until the thread has ended.
  ///
  /// - Precondition: Called exactly once.
  package func join() { pthread_join(thread, nil) }
}

/// A lock with a condition, for threads that wait for each other longer than it pays to spin.
///
/// `@unchecked Sendable`: the system's mutex and condition are made to be shared.
@safe
package final class WaitingLock: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  package init() {
    unsafe pthread_mutex_init(mutex, nil)
    unsafe pthread_cond_init(changed, nil)
  }

  deinit {
    unsafe pthread_cond_destroy(changed)
    unsafe pthread_mutex_destroy(mutex)
    unsafe changed.deallocate()
    unsafe mutex.deallocate()
  }

  /// Runs `body` while no other thread holds the lock.
  package func withLock<Result>(_ body: () throws -> Result) rethrows -> Result {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    return try body()
  }

  /// Lets others have the lock until one of them calls ``wakeAll()``, or for no reason at all.
  ///
  /// - Precondition: The caller holds the lock.
  package func wait() { unsafe pthread_cond_wait(changed, mutex) }

  /// Wakes all threads that wait.
  package func wakeAll() { unsafe pthread_cond_broadcast(changed) }
}
