// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The inverses of square matrices, which are the last two axes; of singular ones infinities or
/// NaN.
///
/// By Gauss–Jordan elimination with row exchanges, in fp64: n³ operations for each matrix.
///
/// - Source: onnxruntime, "Contrib operators", `Inverse`.
public struct Inverse: RealOperator {
  public static let opType = "Inverse"
  static let domain = "com.microsoft"

  public init(_ node: Node, opset: Int) throws {}

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "input")
    guard x.shape.rank >= 2, x.shape.dimensions.last == x.shape[x.shape.rank - 2] else {
      throw mismatch("\(x.shape) has no square matrices")
    }
    return [TensorInfo(x.dtype, x.shape)]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func compute<T: LayerElement>(
    _ inputs: [AnyTensor?], as _: T.Type, _ threads: Threads
  ) throws -> [Tensor<T>] {
    let x = try inputs[0]!.require(T.self).contiguous()
    let n = x.shape[x.shape.rank - 1]
    guard x.count > 0 else { return [x] }
    var inverses = Tensor<T>(uninitialized: [x.count / (n * n), n * n])
    threads.forEachBlock(of: &inverses) { range, output in
      for matrix in range {
        let start = matrix * n * n
        let inverse = Self.inverse((start..<start + n * n).map { Double(x.span[$0]) }, n)
        let first = (matrix - range.lowerBound) * n * n
        for index in inverse.indices { output[first + index] = T(inverse[index]) }
      }
    }
    return [inverses.reshaped(to: x.shape)]
  }

  private static func inverse(_ matrix: [Double], _ n: Int) -> [Double] {
    // The matrix and the identity side by side: what makes one the identity makes the other the
    // inverse.
    let width = 2 * n
    var rows = [Double](repeating: 0, count: n * width)
    for row in 0..<n {
      for column in 0..<n { rows[row * width + column] = matrix[row * n + column] }
      rows[row * width + n + row] = 1
    }
    for column in 0..<n {
      var pivot = column
      for row in column..<n
      where abs(rows[row * width + column]) > abs(rows[pivot * width + column]) { pivot = row }
      let factor = 1 / rows[pivot * width + column]
      for place in 0..<width {
        rows.swapAt(pivot * width + place, column * width + place)
        rows[column * width + place] *= factor
      }
      for row in 0..<n where row != column {
        let multiple = rows[row * width + column]
        guard multiple != 0 else { continue }
        for place in column..<width {
          rows[row * width + place] -= multiple * rows[column * width + place]
        }
      }
    }
    return (0..<n * n).map { rows[$0 / n * width + n + $0 % n] }
  }
}
