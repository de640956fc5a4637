import SwiftletCore

/// One layer of a program, with everything decided.
struct Step: Sendable {
  /// The node it came from, and the kernel it runs on, for profiles.
  let label, kernel: String
  /// Multiply–accumulate operations of one image.
  var macs = 0
  /// Bytes that each thread needs for itself while it runs the step.
  var scratch = 0
  /// Whether it fills the border around a value, which nothing else writes, instead of computing a layer.
  var isBorder = false
  /// How many independent pieces of work so many images are.
  let items: @Sendable (_ images: Int) -> Int
  /// Computes some of the pieces.
  let run: @Sendable (_ memory: Memory, _ images: Int, _ items: Range<Int>) -> Void

  /// So many pieces for each image.
  static func perImage(_ count: Int) -> @Sendable (_ images: Int) -> Int { { $0 * count } }
}

/// Where the values of a running program lie. Images are those of the chunk that is being computed.
@safe
struct Memory {
  let base: UnsafeMutableRawPointer
  /// Memory of the running thread's own.
  let scratch: UnsafeMutableRawPointer
  /// Bytes from the base to the first pixel of each value.
  let origins: [Int]
  /// The first of the chunk's images in each input and output of the segment.
  let inputs: [UnsafeRawPointer]
  let outputs: [UnsafeMutableRawPointer]

  /// The first pixel of the first image of a value.
  func start(_ value: Int) -> UnsafeMutableRawPointer { unsafe base + origins[value] }
}

/// A layer that knows what it computes and between which values, but not yet where they lie.
protocol Layer: Sendable {
  var label: String { get }
  var reads: [Int] { get }
  var writes: Int? { get }
  /// Whether it needs all images of the batch at a time.
  var readsAllImages: Bool { get }

  /// - Parameter threads: How many threads will share one image.
  func step(_ values: [Value], threads: Int) -> Step
}

extension Layer {
  var readsAllImages: Bool { false }
}
