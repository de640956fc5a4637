// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// The memory of a tensor: a fixed number of elements, aligned for SIMD unless it is borrowed.
///
/// `@unchecked Sendable`: elements are written only through a `mutating` access of a `Tensor` that
/// has verified that it holds the only reference; otherwise they are only read.
@safe
final class Storage<Element: BitwiseCopyable>: @unchecked Sendable {
  let base: UnsafeMutablePointer<Element>
  let count: Int
  /// `nil` if the memory is borrowed.
  private let block: MemoryPool.Block?

  /// Memory with undefined contents: the caller must write every element before it is read.
  init(uninitializedCount count: Int) {
    self.count = count
    let (bytes, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
    precondition(!overflow, "\(count) elements overflow the address space")
    let block = MemoryPool.shared.allocate(byteCount: bytes)
    unsafe base = block.base.bindMemory(to: Element.self, capacity: count)
    self.block = block
  }

  /// Borrowed memory. The lender keeps it alive and prevents writes by holding the tensor, so it
  /// never looks uniquely referenced.
  @unsafe init(borrowing base: UnsafeMutablePointer<Element>, count: Int) {
    unsafe self.base = base
    self.count = count
    block = nil
  }

  deinit {
    if let block { MemoryPool.shared.free(block) }
  }
}

/// Keeps freed blocks for the next tensor of the same size.
///
/// Training and inference allocate the same sizes over and over. Returning large blocks to the
/// system and touching fresh pages again costs more than many of the operators themselves, so up to
/// ``capacity`` bytes stay with the process.
@safe
final class MemoryPool: Sendable {
  /// A piece of memory of `byteCount` bytes, rounded up to its size class.
  @safe
  struct Block: @unchecked Sendable {
    let base: UnsafeMutableRawPointer
    let byteCount: Int
  }

  private struct State {
    var freeBlocks: [Int: [Block]] = [:]
    var freeBytes = 0
  }

  static let shared = MemoryPool(capacity: 256 << 20)
  /// One cache line, and the width of an AVX-512 register.
  static let alignment = 64
  /// malloc serves smaller blocks well enough.
  static let smallestPooled = 32 << 10

  private let capacity: Int
  private let state = Mutex(State())

  init(capacity: Int) { self.capacity = capacity }

  func allocate(byteCount: Int) -> Block {
    let size = Self.sizeClass(byteCount)
    let recycled = state.withLock { state -> Block? in
      guard let block = state.freeBlocks[size]?.popLast() else { return nil }
      state.freeBytes -= size
      return block
    }
    if let recycled { return recycled }
    if let base = unsafe aligned_alloc(Self.alignment, size) {
      return unsafe Block(base: base, byteCount: size)
    }
    giveBack()
    guard let base = unsafe aligned_alloc(Self.alignment, size) else {
      MemoryLimit.whenExhausted(byteCount)
    }
    return unsafe Block(base: base, byteCount: size)
  }

  /// The size of the freed blocks kept, in bytes.
  var heldBytes: Int { state.withLock { $0.freeBytes } }

  /// Returns the freed blocks to the system.
  func giveBack() {
    let blocks = state.withLock { state in
      defer { state = State() }
      return state.freeBlocks.values.flatMap { $0 }
    }
    for block in blocks { unsafe Glibc.free(block.base) }
  }

  func free(_ block: Block) {
    let kept = state.withLock { state in
      guard block.byteCount >= Self.smallestPooled, state.freeBytes + block.byteCount <= capacity
      else { return false }
      state.freeBlocks[block.byteCount, default: []].append(block)
      state.freeBytes += block.byteCount
      return true
    }
    if !kept { unsafe Glibc.free(block.base) }
  }

  /// Rounds up so that blocks can be reused: to a cache line when small, to an eighth of the
  /// next power of two when pooled (at most 12.5 % is wasted).
  static func sizeClass(_ byteCount: Int) -> Int {
    guard byteCount >= smallestPooled else { return max(byteCount, 1).roundedUp(to: alignment) }
    let step = max(4096, (1 << (Int.bitWidth - 1 - byteCount.leadingZeroBitCount)) / 8)
    return byteCount.roundedUp(to: step)
  }
}

extension Int {
  /// The smallest multiple of `multiple` that is not below this number.
  package func roundedUp(to multiple: Int) -> Int {
    (self + multiple - 1) / multiple * multiple
  }
}
