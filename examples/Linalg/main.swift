// SPDX-License-Identifier: Apache-2.0

import Swiftlet

var generator = RandomGenerator(seed: 1)
let matrix = Tensor<Float>([1000, 400], normalUsing: &generator)
let kernel = Tensor<Float>([32, 16, 3, 3], normalUsing: &generator)

let svd = try SVD(matrix)  // gesdd, or .swift, .gesvd, .jacobi, .gram
let cut = try TruncatedSVD(matrix, rank: 32)  // full or randomized, whichever is faster
let (some, error) = try RandomizedSVD().svd(matrix, tolerance: 0.5)
let tucker = try Tucker2(kernel, outputRank: 16, inputRank: 8)

print("\(svd.method): σ₁ = \(svd.singularValues[0])")
print("rank 32 by \(cut.method), relative error \(cut.relativeError)")
print("\(some.singularValues.count) values for a relative error of \(error)")
print("core \(tucker.core.shape), relative error \(tucker.relativeError)")
