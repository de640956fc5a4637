// SPDX-License-Identifier: Apache-2.0

import Swiftlet

let matrix = Tensor<Double>([3, 2], [2, 0, 0, 3, 4, 0])
let svd = try SVD(matrix)
print("singular values \(svd.singularValues) by \(svd.method)")
