// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import Testing

struct ShapeTests {
  @Test func shapesFromDataHaveFewAxes() throws {
    #expect(try Shape(checking: [Int](repeating: 1, count: 256)).count == 1)
    #expect(throws: SwiftletError.self) {
      try Shape(checking: [Int](repeating: 1, count: 257))
    }
  }

  @Test func stridesAreRowMajor() {
    #expect(Shape([2, 3, 4]).rowMajorStrides == [12, 4, 1])
    #expect(Shape.scalar.rowMajorStrides.isEmpty)
  }

  @Test(arguments: [
    ([2, 3], [3], [2, 3]), ([2, 1], [1, 4], [2, 4]), ([], [5], [5]), ([0, 3], [1], [0, 3]),
  ])
  func shapesBroadcast(a: [Int], b: [Int], result: [Int]) {
    #expect(Shape(a).broadcast(with: Shape(b)) == Shape(result))
    #expect(Shape(b).broadcast(with: Shape(a)) == Shape(result))
  }

  @Test func unequalExtentsDoNotBroadcast() {
    #expect(Shape([2, 3]).broadcast(with: [2]) == nil)
    #expect(Shape([2]).broadcast(with: [3]) == nil)
  }

  @Test(arguments: [[-1], [Int.max, 2], [1 << 40, 1 << 40], [0, 1 << 40, 1 << 40]])
  func impossibleExtentsAreRefused(dimensions: [Int]) {
    #expect(throws: SwiftletError.self) { try Shape(checking: dimensions) }
  }
}
