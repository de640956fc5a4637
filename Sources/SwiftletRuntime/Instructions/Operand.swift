// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels

/// Where the elements come from that an instruction reads axis by axis.
enum OperandSource: Sendable {
  case value(Int)
  /// Elements of the result's type; the bytes between those of consecutive images.
  case constant(AlignedMemory, image: Int)

  var value: Int? { if case .value(let value) = self { value } else { nil } }

  /// Bytes between images.
  func imageStep(_ values: [Value]) -> Int {
    switch self {
    case .value(let value): values[value].steps.image
    case .constant(_, let image): image
    }
  }

  /// A distance in bytes; for a constant channels are elements of the given size.
  func bytes(_ distance: Distance, _ values: [Value], elementSize: Int) -> Int {
    switch self {
    case .value(let value): distance.bytes(values[value])
    case .constant: distance.channels * elementSize
    }
  }

  /// The first image's elements.
  func start(_ memory: Memory) -> UnsafeRawPointer {
    switch self {
    case .value(let value): unsafe UnsafeRawPointer(memory.start(value))
    case .constant(let constant, _): unsafe UnsafeRawPointer(constant.base)
    }
  }
}

/// An operand of fp32 that is repeated along some axes of the result.
struct Operand: Sendable {
  let source: OperandSource
  /// Distances for each axis, 0 where it is repeated; for a constant channels are elements.
  let from: [Distance]

  /// Bytes between images, and between neighbours along each axis.
  func steps(_ values: [Value]) -> (image: Int, axes: [Int]) {
    (source.imageStep(values), from.map { source.bytes($0, values, elementSize: 4) })
  }
}
