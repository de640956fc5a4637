// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import Testing

struct TensorTests {
  private let counting = Tensor<Int32>([2, 3], [0, 1, 2, 3, 4, 5])

  @Test func copiesShareUntilWritten() {
    let original = counting
    var copy = original
    copy[1, 2] = 50
    #expect(original.elements == [0, 1, 2, 3, 4, 5])
    #expect(copy.elements == [0, 1, 2, 3, 4, 50])
  }

  @Test func writingAViewLeavesTheWholeAlone() {
    let original = counting
    var row = original.slice(axis: 0, range: 1..<2)
    row[0, 0] = -1
    #expect(row.elements == [-1, 4, 5])
    #expect(original.elements == [0, 1, 2, 3, 4, 5])
  }

  @Test func writingThroughASpanLeavesCopiesAlone() {
    let original = counting
    var copy = original.transposed()
    var span = copy.mutableSpan
    span[0] = 9
    #expect(copy.elements == [9, 3, 1, 4, 2, 5])
    #expect(original.elements == [0, 1, 2, 3, 4, 5])
  }

  @Test func viewsSeeTheRightElements() {
    #expect(counting.transposed().elements == [0, 3, 1, 4, 2, 5])
    #expect(counting.slice(axis: 1, range: 1..<3).elements == [1, 2, 4, 5])
    #expect(counting.slice(axis: 1, range: 1..<3).transposed().elements == [1, 4, 2, 5])
    #expect(counting.transposed().reshaped(to: [6]).elements == [0, 3, 1, 4, 2, 5])
    let cube = Tensor<Int32>([2, 3, 2], (0..<12).map(Int32.init))
    #expect(cube.permuted(to: [2, 0, 1]).elements == [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11])
  }

  @Test func contiguityIsKnown() {
    #expect(counting.isContiguous)
    #expect(!counting.transposed().isContiguous)
    #expect(counting.slice(axis: 0, range: 1..<2).isContiguous)
    #expect(!counting.slice(axis: 1, range: 0..<2).isContiguous)
    #expect(Tensor<Float>(zeros: [1, 4]).transposed().isContiguous)
  }

  @Test func emptyTensorsWork() {
    let empty = Tensor<Float>(zeros: [0, 4])
    #expect(empty.elements.isEmpty)
    #expect(empty.transposed().contiguous().shape == [4, 0])
    #expect(empty.slice(axis: 1, range: 2..<3).count == 0)
    #expect(empty == empty.reshaped(to: [4, 0]).reshaped(to: [0, 4]))
  }

  @Test func scalarsHaveOneElement() {
    let scalar = Tensor<Double>(.scalar, [2.5])
    #expect(scalar.shape.count == 1)
    #expect(scalar.elements == [2.5])
    #expect("\(scalar.shape)" == "scalar")
  }

  @Test func equalityIgnoresLayout() {
    let square = Tensor<Int32>([2, 2], [1, 2, 3, 4])
    #expect(square.transposed().transposed() == square)
    #expect(square.transposed() != square)
    #expect(square.transposed() == Tensor([2, 2], [1, 3, 2, 4]))
  }

  @Test func bytesRoundTrip() {
    var bytes: [UInt8] = []
    counting.transposed().appendBytes(to: &bytes)
    #expect(bytes.count == 24)
    #expect(Tensor<Int32>([3, 2], bytes: bytes.span) == counting.transposed())
  }

  @Test func finitenessIsFound() {
    #expect(Tensor<Float>([2], [1, 2]).isFinite)
    #expect(!Tensor<Float>([2], [1, .nan]).isFinite)
    #expect(!Tensor<Double>([2], [-.infinity, 0]).isFinite)
  }

  @Test func theWrongTypeIsNamed() {
    #expect(throws: SwiftletError(.badInput, "expected float32 elements, found int32")) {
      let _: Tensor<Float> = try AnyTensor(counting).require()
    }
  }

  @Test func indicesAreChecked() async {
    await #expect(processExitsWith: .failure) {
      _ = Tensor<Float>(zeros: [2, 2])[0, 2]
    }
  }
}
