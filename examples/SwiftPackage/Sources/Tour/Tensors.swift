// SPDX-License-Identifier: Apache-2.0

/// Tensors.
///
/// A tensor is a row-major array with value semantics. Slices and transposes are views, which share
/// memory until one of them is written to.

import Swiftlet

func tensors() throws {
  let a = Tensor<Float>([2, 3], [1, 2, 3, 4, 5, 6])
  var generator = RandomGenerator(seed: 1)
  let b = Tensor<Float>([3, 4], normalUsing: &generator)

  let product = try matmul(a, b)
  print("\(a.shape) · \(b.shape) = \(product.shape)")

  var second = a.slice(axis: 0, range: 1..<2)
  second[0, 0] = 40
  print("a[1, 0] stays \(a[1, 0]), the slice has \(second[0, 0])")
  print("transposed: \(a.transposed().elements)")

  // A tensor whose element type is known at run time, as files and models have them.
  let any = AnyTensor(a)
  print("\(any.dtype), \(any.byteCount) bytes, as Float again: \(any.typed(as: Float.self) == a)")
}
