// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import Synchronization

/// The packed weights of a session: packed once for all compiled shapes.
final class PackedWeights: Sendable {
  /// Threads used for packing.
  let threads: Threads
  private let memories = Mutex<[String: AlignedMemory]>([:])

  init(_ threads: Threads) { self.threads = threads }

  /// The memory for the key, created on first use.
  func packed(_ key: String, _ make: () -> AlignedMemory) -> AlignedMemory {
    if let known = memories.withLock({ $0[key] }) { return known }
    let made = make()
    return memories.withLock { memories in
      if let known = memories[key] { return known }
      memories[key] = made
      return made
    }
  }

  var byteCount: Int { memories.withLock { $0.values.reduce(0) { $0 + $1.byteCount } } }
}
