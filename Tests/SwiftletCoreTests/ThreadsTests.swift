// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import Testing

struct ThreadsTests {
  @Test(arguments: [1, 2, 3, 8], [0, 1, 2, 5, 64, 1000])
  func piecesCoverEverythingOnce(threads: Int, total: Int) {
    let pieces = Threads(count: threads).partition(total)
    #expect(pieces.count <= threads)
    #expect(pieces.flatMap(Array.init) == Array(0..<total))
    let lengths = pieces.map(\.count)
    #expect((lengths.max() ?? 0) - (lengths.min() ?? 0) <= 1)
  }

  @Test(arguments: [1, 2, 5])
  func blocksFillTheTensor(threads: Int) {
    var tensor = Tensor<Int32>(zeros: [7, 3])
    Threads(count: threads).forEachBlock(of: &tensor, minimumWork: 1) { rows, values in
      for i in values.indices { values[i] = Int32(rows.lowerBound * 3 + i) }
    }
    #expect(tensor.elements == (0..<21).map(Int32.init))
  }

  @Test func blocksDoNotTouchCopies() {
    let original = Tensor<Int32>(zeros: [4])
    var copy = original
    Threads(count: 2).forEachBlock(of: &copy, minimumWork: 1) { _, values in
      values.fill(with: 1)
    }
    #expect(original.elements == [0, 0, 0, 0])
    #expect(copy.elements == [1, 1, 1, 1])
  }

  @Test func mapKeepsTheOrderAndThrowsTheFirstError() throws {
    let threads = Threads(count: 3)
    #expect(try threads.map(10) { $0 * $0 } == (0..<10).map { $0 * $0 })
    #expect(throws: SwiftletError(.badInput, "4")) {
      try threads.map(10) { if $0 >= 4 { throw SwiftletError(.badInput, "\($0)") } }
    }
  }
}
