// SPDX-License-Identifier: Apache-2.0

// Whether the thread sanitizer, with mutex.c, sees what is guarded and what is not: threads that
// fight for one lock, and with the argument "race" write beside it too.
import Glibc
import Synchronization

final class Shared: @unchecked Sendable {
  let guarded = Mutex<[Int]>([])
  var unguarded = 0
}

let shared = Shared()
let races = CommandLine.arguments.contains("race")
var threads = [pthread_t](repeating: 0, count: 8)
for index in threads.indices {
  pthread_create(
    &threads[index], nil,
    { _ in
      for round in 0..<20_000 {
        shared.guarded.withLock {
          $0.append(round)
          if $0.count > 1000 { $0.removeAll() }
        }
        if races { shared.unguarded += 1 }
      }
      return nil
    }, nil)
}
for thread in threads { pthread_join(thread, nil) }
