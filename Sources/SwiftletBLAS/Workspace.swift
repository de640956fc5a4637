// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Scratch memory that factorizations of similar size can share, so that a loop of them allocates
/// once. It grows to the size of the largest one.
///
/// The Swift factorizations take memory that others have freed instead, and leave this empty.
public struct Workspace<T: BLASElement>: ~Copyable {
  private var elements = Tensor<T>(zeros: [0])
  private var integers: [Int32] = []

  /// No memory yet: the first factorisation allocates it.
  public init() {}

  /// The current size in elements.
  public var elementCount: Int { elements.count }

  /// Lends at least the given number of elements and integers.
  mutating func with<R>(
    _ elementCount: Int, integers integerCount: Int = 0,
    _ body: (UnsafeMutablePointer<T>, UnsafeMutablePointer<Int32>) throws -> R
  ) rethrows -> R {
    if elements.count < elementCount { elements = Tensor(uninitialized: [elementCount]) }
    if integers.count <= integerCount {
      integers = [Int32](repeating: 0, count: integerCount + 1)
    }
    return try unsafe Self.lend(&elements, &integers, body)
  }

  private static func lend<R>(
    _ elements: inout Tensor<T>, _ integers: inout [Int32],
    _ body: (UnsafeMutablePointer<T>, UnsafeMutablePointer<Int32>) throws -> R
  ) rethrows -> R {
    var integerSpan = integers.mutableSpan
    return try unsafe elements.withPointer { elements in
      try unsafe integerSpan.withUnsafeMutableBufferPointer { integers in
        try unsafe body(elements, integers.baseAddress!)
      }
    }
  }
}
