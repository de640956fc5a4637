// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels

/// Copies boxes of elements of one or more values into a value: transpositions, slices,
/// concatenations and the like.
struct CopyInstruction: Instruction {
  let label: String
  let boxes: [Box]
  let output: Int

  /// The elements of a source that go to the result, axis by axis.
  struct Box: Sendable {
    let source: OperandSource
    /// Extents per image.
    var extents: [Int]
    /// Distances between neighbours; for a constant channels are elements.
    var from, to: [Distance]
    /// The first element.
    var first = Distance()
    var target = Distance()

    init(_ source: OperandSource, _ extents: [Int], from: [Distance], to: [Distance]) {
      (self.source, self.extents, self.from, self.to) = (source, extents, from, to)
    }
  }

  var reads: [Int] { boxes.compactMap(\.source.value) }
  var writes: Int? { output }

  func step(_ values: [Value], threadsPerImage: Int) -> Step {
    let to = values[output]
    let copies = boxes.map { BoxCopy($0, values, to) }
    let items = copies.reduce(0) { $0 + $1.items }
    let (output, step) = (output, to.steps.image)
    let kernel = copies.contains(where: \.isTransposed) ? BoxCopy.kernel.name : nil
    return Step(
      label: label, computations: [Computation(.copy, kernel)],
      items: Step.perImage(items)
    ) { memory, _, range in
      forEachImage(range, rows: items) { image, range in
        let target = unsafe memory.start(output) + image * step
        var start = 0
        for copy in copies {
          let own = range.clamped(to: start..<start + copy.items)
          if !own.isEmpty {
            unsafe copy.run(
              memory, image: image, target, own.lowerBound - start..<own.upperBound - start)
          }
          start += copy.items
        }
      }
    }
  }
}

/// A box with strides in bytes.
private struct BoxCopy: Sendable {
  static let kernel = PointwiseKernel.current
  private let source: OperandSource
  private let imageStep, first, target, elementSize: Int
  private let outer: Loops
  private let inner: Inner
  /// The number of independent pieces of work per image.
  let items: Int

  private enum Inner {
    /// Elements that are contiguous on both sides.
    case run(byteCount: Int)
    /// A matrix whose rows are contiguous in the source, and its columns in the result. A piece is
    /// some columns of the source.
    case transposition(PlanesGeometry, pieces: Int)
    case elements(Loops.Loop)
  }

  /// Columns in a piece of a transposition.
  private static let pieceWidth = 64

  init(_ box: CopyInstruction.Box, _ values: [Value], _ to: Value) {
    let size = to.elementSize
    elementSize = size
    source = box.source
    imageStep = source.imageStep(values)
    func step(_ distance: Distance) -> Int {
      box.source.bytes(distance, values, elementSize: size)
    }
    (first, target) = (step(box.first), box.target.bytes(to))
    var loops = Loops(
      box.extents.indices.map {
        Loops.Loop(extent: box.extents[$0], y: box.to[$0].bytes(to), a: step(box.from[$0]))
      })
    let innermost = loops.popInnermost(orElse: Loops.Loop(extent: 1, y: size, a: size))
    if innermost.y == size && innermost.a == size {
      inner = .run(byteCount: innermost.extent * size)
      items = loops.count
    } else if size == 4, innermost.y == 4, let row = loops.pop(where: { $0.a == 4 }) {
      let pieces = (row.extent + Self.pieceWidth - 1) / Self.pieceWidth
      inner = .transposition(
        PlanesGeometry(
          channels: innermost.extent, width: row.extent, height: 1, plane: innermost.a, x: row.y,
          y: row.extent * row.y), pieces: pieces)
      items = loops.count * pieces
    } else {
      inner = .elements(innermost)
      items = loops.count
    }
    outer = loops
  }

  var isTransposed: Bool { if case .transposition = inner { true } else { false } }

  func run(
    _ memory: Memory, image: Int, _ target: UnsafeMutableRawPointer, _ items: Range<Int>
  ) {
    let from = unsafe source.start(memory) + image * imageStep + first
    let to = unsafe target + self.target
    switch inner {
    case .run(let byteCount):
      outer.forEach(items) { y, a, _ in
        unsafe (to + y).copyMemory(from: from + a, byteCount: byteCount)
      }
    case .transposition(let geometry, let pieces):
      for item in items {
        let start = item % pieces * Self.pieceWidth
        var piece = geometry
        piece.width = min(Self.pieceWidth, geometry.width - start)
        outer.forEach(item / pieces..<item / pieces + 1) { y, a, _ in
          unsafe Self.kernel.planesToPixelsF32(
            piece, from: from + a + 4 * start, to: to + y + start * geometry.x, rows: 0..<1)
        }
      }
    case .elements(let loop):
      outer.forEach(items) { y, a, _ in
        for index in 0..<loop.extent {
          unsafe (to + y + index * loop.y).copyMemory(
            from: from + a + index * loop.a, byteCount: elementSize)
        }
      }
    }
  }
}
