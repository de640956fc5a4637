// SPDX-License-Identifier: Apache-2.0

/// Linear algebra.
///
/// Singular values, eigenvalues, QR, linear systems and tensor decompositions of `Float` and
/// `Double`, on LAPACK or in Swift. Factorizations throw for NaN, infinite elements and wrong
/// shapes.

import Swiftlet

func factorizations() throws {
  let a = Tensor<Double>([3, 2], [2, 0, 0, 3, 4, 0])
  let svd = try SVD(a)
  print("singular values \(svd.singularValues) by \(svd.method)")
  print("condition number \(try a.conditionNumber()), pseudoinverse \(try a.pseudoInverse())")

  let symmetric = Tensor<Double>([2, 2], [2, 1, 1, 2])
  print("eigenvalues \(try SymmetricEigen(symmetric).values)")

  let qr = try QR(a)
  print("Q \(qr.q.shape), R \(qr.r.shape)")

  let right = Tensor<Double>([2, 1], [3, 3])
  print("by Cholesky \(try Cholesky(symmetric).solve(right).elements)")
  print("by LU \(try LU(symmetric).solve(right).elements)")
  let solution = try leastSquares(a, Tensor<Double>([3, 1], [2, 3, 4]))
  print("least squares \(solution.x.elements), rank \(solution.rank)")

  // The kernel of a convolution, as three smaller tensors, and as a sum of four outer products.
  var generator = RandomGenerator(seed: 1)
  let kernel = Tensor<Float>([16, 8, 3, 3], normalUsing: &generator)
  let tucker = try Tucker2(kernel, outputRank: 8, inputRank: 4)
  let polyadic = try CanonicalPolyadic(kernel, rank: 4)
  print("Tucker-2 core \(tucker.core.shape), relative error \(tucker.relativeError)")
  print("CP of rank \(polyadic.weights.count), fit \(polyadic.fit)")
}
