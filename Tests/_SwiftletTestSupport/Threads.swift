// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Runs `body` with 0 ..< count, each on a thread of its own, and waits for all of them.
public func onThreads(_ count: Int, _ body: @escaping @Sendable (_ thread: Int) -> Void) {
  let threads = (0..<count).map { index in
    let start = unsafe Unmanaged.passRetained(ThreadStart { body(index) }).toOpaque()
    var thread = pthread_t()
    let failure = unsafe pthread_create(
      &thread, nil,
      { argument in
        unsafe Unmanaged<ThreadStart>.fromOpaque(argument!).takeRetainedValue().body()
        return nil
      }, start)
    precondition(failure == 0, "cannot start thread \(index)")
    return thread
  }
  for thread in threads { pthread_join(thread, nil) }
}

private final class ThreadStart: Sendable {
  let body: @Sendable () -> Void
  init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}
