// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletLinalg
import Testing
import _SwiftletTestSupport

struct MatmulTests {
  @Test(arguments: [1, 3], [(false, false), (true, false), (false, true), (true, true)])
  func productsAgreeWithPlainLoops(threads: Int, transposed: (Bool, Bool)) throws {
    var generator = RandomGenerator(seed: 9)
    let a = Tensor<Double>(transposed.0 ? [300, 70] : [70, 300], normalUsing: &generator)
    let b = Tensor<Double>(transposed.1 ? [40, 300] : [300, 40], normalUsing: &generator)
    let product = try matmul(
      a, b, transposeA: transposed.0, transposeB: transposed.1, threads: Threads(count: threads))
    let plain = Tensor.product(
      transposed.0 ? a.transposed() : a, transposed.1 ? b.transposed() : b)
    #expect(TestRatio.difference(plain, product) < 30)
  }

  @Test(arguments: [1, 2], [(false, false), (true, true)])
  func batchesAreProductsOneByOne(threads: Int, transposed: (Bool, Bool)) throws {
    var generator = RandomGenerator(seed: 10)
    let a = Tensor<Float>(transposed.0 ? [5, 7, 4] : [5, 4, 7], normalUsing: &generator)
    let b = Tensor<Float>(transposed.1 ? [5, 3, 7] : [5, 7, 3], normalUsing: &generator)
    let products = try batchedMatmul(
      a, b, transposeA: transposed.0, transposeB: transposed.1, threads: Threads(count: threads))
    #expect(products.shape == [5, 4, 3])
    func matrix(_ tensor: Tensor<Float>, _ index: Int) -> Tensor<Float> {
      tensor.slice(axis: 0, range: index..<index + 1).reshaped(
        to: [tensor.shape[1], tensor.shape[2]])
    }
    for index in 0..<5 {
      let single = try matmul(
        matrix(a, index), matrix(b, index), transposeA: transposed.0, transposeB: transposed.1)
      #expect(matrix(products, index) == single)
    }
  }

  @Test func transposedViewsAreNotCopiedButRead() throws {
    var generator = RandomGenerator(seed: 13)
    let a = Tensor<Double>([6, 4], normalUsing: &generator)
    let b = Tensor<Double>([6, 5], normalUsing: &generator)
    #expect(try matmul(a.transposed(), b) == matmul(a, b, transposeA: true))
  }

  @Test func emptyProductsAreZeros() throws {
    #expect(
      try matmul(Tensor<Float>(zeros: [2, 0]), Tensor<Float>(zeros: [0, 3]))
        == Tensor(zeros: [2, 3]))
    #expect(
      try batchedMatmul(Tensor<Float>(zeros: [0, 2, 2]), Tensor<Float>(zeros: [0, 2, 2])).shape
        == [0, 2, 2])
  }

  @Test func shapesThatDoNotFitAreRefused() {
    let (a, b) = (Tensor<Double>(zeros: [2, 3]), Tensor<Double>(zeros: [4, 2]))
    expect(.badInput) { _ = try matmul(a, b) }
    expect(.badInput) { _ = try matmul(a, a) }
    expect(.badInput) { _ = try matmul(a, Tensor(zeros: [3])) }
    expect(.badInput) { _ = try matmul(a, b, transposeA: true) }
    #expect(throws: Never.self) { try matmul(b, a) }
    let batch = Tensor<Double>(zeros: [2, 2, 3])
    expect(.badInput) { _ = try batchedMatmul(batch, batch) }
    expect(.badInput) { _ = try batchedMatmul(batch, Tensor(zeros: [3, 3, 2])) }
    expect(.badInput) { _ = try batchedMatmul(a, b) }
    expect(.badInput) { _ = try a.unfolded(mode: 2) }
    expect(.badInput) { _ = try a.folded(mode: 0, to: [2, 4]) }
    expect(.badInput) { _ = try a.modeProduct(b, mode: 0, transposed: true) }
    expect(.badInput) { _ = try a.modeProduct(b, mode: -1) }
  }
}
