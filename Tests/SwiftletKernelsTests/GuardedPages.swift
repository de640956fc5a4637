// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Memory between two pages that nobody may touch: a kernel that reads or writes beyond either end
/// ends the process.
@safe
final class GuardedPages {
  enum Side { case first, last }

  private static let page = sysconf(Int32(_SC_PAGESIZE))
  private let region: UnsafeMutableRawPointer
  private let capacity: Int

  init(capacity: Int) {
    self.capacity = (capacity + Self.page - 1) / Self.page * Self.page
    unsafe region = mmap(
      nil, self.capacity + 2 * Self.page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0
    )!
    precondition(unsafe region != MAP_FAILED)
    for offset in [0, Self.page + self.capacity] {
      precondition(unsafe mprotect(region + offset, Self.page, PROT_NONE) == 0)
    }
  }

  deinit { unsafe munmap(region, capacity + 2 * Self.page) }

  /// The elements, right behind the first guarded page or right before the last one.
  ///
  /// - Parameter slack: Bytes behind the elements that may be read as well.
  @unsafe func place<Element: BitwiseCopyable>(
    _ elements: some Collection<Element>, slack: Int = 0, at side: Side
  ) -> UnsafeMutableRawPointer {
    let count = elements.count * MemoryLayout<Element>.stride
    precondition(count + slack <= capacity)
    let offset = side == .first ? 0 : capacity - count - slack
    let start = unsafe region + Self.page + offset
    unsafe start.initializeMemory(as: UInt8.self, repeating: 0xEE, count: count + slack)
    let target = unsafe UnsafeMutableRawBufferPointer(start: start, count: count)
    unsafe Array(elements).withUnsafeBytes { unsafe target.copyMemory(from: $0) }
    return unsafe start
  }
}
