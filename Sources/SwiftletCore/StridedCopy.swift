// SPDX-License-Identifier: Apache-2.0

/// Packs the elements of a view, by runs along its innermost axis.
///
/// Moves bytes regardless of their meaning, so the same code serves all element types.
@safe
struct StridedCopy {
  private let extents: [Int]
  private let strides: [Int]

  /// Merges adjacent axes whose elements are evenly spaced, so that runs are long.
  init(_ shape: Shape, _ strides: [Int]) {
    var extents = [1]
    var joined = [0]
    for axis in 0..<shape.rank where shape[axis] != 1 {
      if joined[joined.count - 1] == strides[axis] * shape[axis] && extents[extents.count - 1] != 1
      {
        extents[extents.count - 1] *= shape[axis]
        joined[joined.count - 1] = strides[axis]
      } else {
        extents.append(shape[axis])
        joined.append(strides[axis])
      }
    }
    (self.extents, self.strides) = (extents, joined)
  }

  func run(from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, elementSize: Int) {
    guard !extents.contains(0) else { return }
    switch elementSize {
    case 1: unsafe copy(source, target, as: UInt8.self)
    case 2: unsafe copy(source, target, as: UInt16.self)
    case 4: unsafe copy(source, target, as: UInt32.self)
    default:
      precondition(elementSize == 8, "no element has \(elementSize) bytes")
      unsafe copy(source, target, as: UInt64.self)
    }
  }

  private func copy<Bits: FixedWidthInteger>(
    _ source: UnsafeRawPointer, _ target: UnsafeMutableRawPointer, as _: Bits.Type
  ) {
    let size = MemoryLayout<Bits>.size
    let last = extents.count - 1
    let (length, step) = (extents[last], strides[last])
    var index = [Int](repeating: 0, count: last)
    var (from, to) = unsafe (source, target)
    for _ in 0..<extents[..<last].reduce(1, *) {
      if step == 1 {
        unsafe to.copyMemory(from: from, byteCount: length * size)
      } else {
        for i in 0..<length {
          let bits = unsafe from.loadUnaligned(fromByteOffset: i * step * size, as: Bits.self)
          unsafe to.storeBytes(of: bits, toByteOffset: i * size, as: Bits.self)
        }
      }
      unsafe to += length * size
      var axis = last - 1
      while axis >= 0 {
        index[axis] += 1
        unsafe from += strides[axis] * size
        if index[axis] < extents[axis] { break }
        unsafe from -= index[axis] * strides[axis] * size
        index[axis] = 0
        axis -= 1
      }
    }
  }
}

// MARK: - Blocks

extension Tensor {
  /// A packed tensor of blocks of this one: `length` consecutive elements in row-major order from
  /// each of `starts`.
  ///
  /// - Precondition: The blocks lie inside, and `shape` has as many elements as all blocks
  ///   together.
  package func gathering(_ starts: [Int], length: Int, shape: Shape) -> Tensor {
    precondition(shape.count == starts.count * length, "\(starts.count) blocks for \(shape)")
    let packed = contiguous()
    let result = Tensor(uninitialized: shape)
    let size = MemoryLayout<Element>.size
    let source = unsafe UnsafeRawPointer(packed.storage.base + packed.offset)
    let target = unsafe UnsafeMutableRawPointer(result.storage.base)
    for (place, start) in starts.enumerated() {
      precondition(start >= 0 && start + length <= count, "block \(start) of \(self.shape)")
      let from = unsafe source + start * size
      let to = unsafe target + place * length * size
      // A function call per element would dominate the time.
      switch length * size {
      case 4: unsafe to.storeBytes(of: from.loadUnaligned(as: UInt32.self), as: UInt32.self)
      case 8: unsafe to.storeBytes(of: from.loadUnaligned(as: UInt64.self), as: UInt64.self)
      default: unsafe to.copyMemory(from: from, byteCount: length * size)
      }
    }
    return result
  }

  /// Overwrites `length` consecutive elements from each of `starts` with those of `blocks`, in
  /// order.
  ///
  /// - Precondition: The blocks lie inside, and `blocks` has as many elements.
  package mutating func scatter(_ blocks: Tensor, to starts: [Int], length: Int) {
    precondition(blocks.count == starts.count * length, "\(starts.count) blocks of \(blocks.shape)")
    let packed = blocks.contiguous()
    var target = mutableSpan
    for (place, start) in starts.enumerated() {
      target.copy(packed.span.extracting(place * length..<(place + 1) * length), to: start)
    }
  }
}
