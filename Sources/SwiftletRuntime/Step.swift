// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// One step of a program, ready to execute.
struct Step: Sendable {
  /// The node it came from.
  let label: String
  /// What it computes: one computation, or several that are chained.
  let computations: [Computation]
  /// Multiply–accumulate operations per image.
  var macs = 0
  /// The private memory that each thread needs while it runs the step, in bytes.
  var scratch = 0
  /// The number of independent pieces of work for the given number of images.
  let items: @Sendable (_ images: Int) -> Int
  /// Computes some of the pieces.
  let run: @Sendable (_ memory: Memory, _ images: Int, _ items: Range<Int>) -> Void

  var isBorder: Bool { computations[0].kind == .border }

  /// The given number of pieces for each image.
  static func perImage(_ count: Int) -> @Sendable (_ images: Int) -> Int { { $0 * count } }
}

/// The memory of a running program's values. Images are those of the current chunk.
@safe
struct Memory {
  let base: UnsafeMutableRawPointer
  /// Private memory of the running thread.
  let scratch: UnsafeMutableRawPointer
  /// Bytes from the base to the first pixel of each value.
  let origins: [Int]
  /// The first of the chunk's images in each input and output of the segment.
  let inputs: [UnsafeRawPointer]
  let outputs: [UnsafeMutableRawPointer]

  /// The first pixel of the first image of a value.
  func start(_ value: Int) -> UnsafeMutableRawPointer { unsafe base + origins[value] }
}

/// A computation on known values whose locations are not yet known. Most layers of a network become
/// one instruction.
protocol Instruction: Sendable {
  var label: String { get }
  var reads: [Int] { get }
  var writes: Int? { get }
  /// Whether it needs all images of the batch at a time.
  var readsAllImages: Bool { get }

  /// - Parameter threadsPerImage: The number of threads that share one image.
  func step(_ values: [Value], threadsPerImage: Int) -> Step
}

extension Instruction {
  var readsAllImages: Bool { false }
}
