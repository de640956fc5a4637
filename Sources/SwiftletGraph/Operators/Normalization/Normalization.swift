// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// The part shared by row-wise normalizations.
struct RowStatistics {
  /// For each row: its mean, and 1 / √(variance + epsilon).
  private let means, factors: [Double]

  /// - Parameters:
  ///   - x: Packed rows × length.
  ///   - centers: Whether to subtract the mean; otherwise it is 0 and the variance is the mean
  ///     square.
  init<T: LayerElement>(_ x: Tensor<T>, epsilon: Double, centers: Bool, _ threads: Threads) {
    let length = x.shape[1]
    var both = Tensor<Double>(uninitialized: [x.shape[0], 2])
    let count = Double(max(1, length))
    threads.forEachBlock(of: &both, minimumWork: 1 + (1 << 13) / max(1, length)) { rows, output in
      for row in rows {
        let values = x.span.extracting(row * length..<(row + 1) * length)
        var (sum, squares) = (0.0, 0.0)
        if centers { for i in values.indices { sum += Double(values[i]) } }
        let mean = sum / count
        for i in values.indices {
          let difference = Double(values[i]) - mean
          squares += difference * difference
        }
        output[2 * (row - rows.lowerBound)] = mean
        output[2 * (row - rows.lowerBound) + 1] = 1 / (squares / count + epsilon).squareRoot()
      }
    }
    let values = both.elements
    means = (0..<x.shape[0]).map { values[2 * $0] }
    factors = (0..<x.shape[0]).map { values[2 * $0 + 1] }
  }

  func means<T: LayerElement>(_ shape: Shape) -> Tensor<T> { Tensor(shape, means.map { T($0) }) }
  func factors<T: LayerElement>(_ shape: Shape) -> Tensor<T> {
    Tensor(shape, factors.map { T($0) })
  }

  /// (x − mean) · factor of each row, scaled and shifted by the parameters that `index` selects for
  /// a row and a position.
  func apply<T: LayerElement>(
    _ x: inout Tensor<T>, scale: Tensor<T>, bias: Tensor<T>?, _ threads: Threads,
    index: @Sendable (_ row: Int, _ position: Int) -> Int
  ) {
    let length = x.shape[1]
    let (means, factors) = (means, factors)
    threads.forEachBlock(of: &x) { rows, values in
      for row in rows {
        let start = (row - rows.lowerBound) * length
        let (mean, factor) = (T(means[row]), T(factors[row]))
        for i in 0..<length {
          let parameter = index(row, i)
          let normal = (values[start + i] - mean) * factor * scale.span[parameter]
          values[start + i] = bias == nil ? normal : normal + bias!.span[parameter]
        }
      }
    }
  }

  /// Gradients of the result of ``apply(_:scale:bias:_:index:)`` with respect to the rows, the
  /// scale and the bias.
  ///
  /// - Parameters:
  ///   - x: Packed rows × length, from which these statistics were computed.
  ///   - slope: The gradient with respect to the result, packed.
  ///   - centers: As for the statistics.
  func gradients<T: LayerElement>(
    _ x: Tensor<T>, _ slope: Tensor<T>, scale: Tensor<T>, centers: Bool,
    index: (_ row: Int, _ position: Int) -> Int
  ) -> (x: Tensor<T>, scale: Tensor<T>, bias: Tensor<T>) {
    let length = x.shape[1]
    var (own, ofScale) = (x, Tensor<T>(zeros: scale.shape))
    var ofBias = ofScale
    var rows = own.mutableSpan
    var scales = ofScale.mutableSpan
    var biases = ofBias.mutableSpan
    for row in means.indices {
      let (mean, factor) = (T(means[row]), T(factors[row]))
      let start = row * length
      var (sum, moment) = (0.0, 0.0)
      for i in 0..<length {
        let parameter = index(row, i)
        let (dy, normal) = (slope.span[start + i], (rows[start + i] - mean) * factor)
        scales[parameter] += dy * normal
        biases[parameter] += dy
        sum += Double(dy * scale.span[parameter])
        moment += Double(dy * scale.span[parameter] * normal)
      }
      let count = Double(max(1, length))
      let (shift, tilt) = (T(centers ? sum / count : 0), T(moment / count))
      for i in 0..<length {
        let normal = (rows[start + i] - mean) * factor
        let scaled = slope.span[start + i] * scale.span[index(row, i)]
        rows[start + i] = factor * (scaled - shift - normal * tilt)
      }
    }
    return (own, ofScale, ofBias)
  }
}
