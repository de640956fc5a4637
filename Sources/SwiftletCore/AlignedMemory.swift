// SPDX-License-Identifier: Apache-2.0

/// Untyped memory, aligned for SIMD: packed weights, and the values of a running model.
///
/// `@unchecked Sendable`: the owner that shares it must prevent concurrent writes.
@safe
package final class AlignedMemory: @unchecked Sendable {
  package let base: UnsafeMutableRawPointer
  package let byteCount: Int
  private let block: MemoryPool.Block

  /// Undefined contents.
  package init(byteCount: Int) {
    self.byteCount = byteCount
    block = MemoryPool.shared.allocate(byteCount: max(1, byteCount))
    unsafe base = block.base
  }

  /// A copy of the elements.
  package convenience init<Element: BitwiseCopyable>(_ elements: [Element]) {
    self.init(byteCount: elements.count * MemoryLayout<Element>.stride)
    unsafe elements.withUnsafeBytes { source in
      if let start = source.baseAddress {
        unsafe base.copyMemory(from: start, byteCount: source.count)
      }
    }
  }

  deinit { MemoryPool.shared.free(block) }
}
