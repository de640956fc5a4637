// SPDX-License-Identifier: Apache-2.0

package import SwiftletCore
import SwiftletLinalg

/// Fits the last stage of a chain to what the layer answered in the model before it was compressed.
///
/// The regression is asymmetric: it maps the features of windows as the compressed model has them,
/// with the errors of the layers before, to the responses of the original one. Where a ReLU
/// follows, only what it lets through counts: responses z that are free below 0 are found in turns
/// with the map itself,
///
///     min Σ (relu(y) − relu(z))² + λ · (z − L·f − b)²
///
/// with λ growing from 0.01 to 1.
///
/// - Source: Zhang, Zou, He & Sun 2015, arXiv:1505.06798, sections 2.2 and 2.3.
package struct ResponseReconstruction {
  /// Outputs × features.
  package private(set) var last: Tensor<Double>
  package private(set) var bias: [Double]

  /// Rounds for each λ; more change nothing that can be measured.
  private static let rounds = 8
  private static let penalties: [Float] = [0.01, 0.1, 1]
  /// Added to the features' variances, as a fraction of their mean: keeps the map where samples say
  /// nothing.
  private static let damping = 1e-5

  /// - Parameters:
  ///   - isRectified: Whether a ReLU follows the layer.
  /// - Throws: `numerical` if the eigenvalue iteration stalls.
  package init(
    _ fitted: FittedChain, _ statistics: LayerStatistics, isRectified: Bool, threads: Threads
  ) throws {
    last = fitted.last
    let start = matrixProduct(
      fitted.product(threads), Tensor([statistics.windows.width, 1], statistics.windows.mean))
    bias = zip(statistics.responses.mean, start.elements).map { $0 - $1 }
    let map = fitted.features.converted(to: Float.self)
    let features = statistics.samples.map {
      matrixProduct($0.windows, map, transposeB: true, threads: threads)
    }
    var moments = Moments(width: map.shape[0])
    for rows in features { moments.add(rows) }
    let inverse = try SymmetricPowers(moments.covariance, threads: threads)
      .inverse(damping: Self.damping)
    let regression = Regression(
      features: features, responses: statistics.samples.map(\.responses), mean: moments.mean,
      count: moments.count, inverse: inverse, threads: threads)
    func improve(_ penalty: Float?) {
      let (next, shift) = regression.step(last, bias, penalty: penalty)
      (last, bias) = (next, shift)
    }
    improve(nil)
    guard isRectified else { return }
    var best = (error: regression.rectifiedError(last, bias), last: last, bias: bias)
    for penalty in Self.penalties {
      for _ in 0..<Self.rounds { improve(penalty) }
      let error = regression.rectifiedError(last, bias)
      if error < best.error { best = (error, last, bias) }
    }
    (last, bias) = (best.last, best.bias)
  }

  private struct Regression {
    let features: [Tensor<Float>]
    let responses: [Tensor<Float>]
    let mean: [Double]
    let count: Int
    let inverse: Tensor<Double>
    let threads: Threads

    /// L·f + b of one batch, rows × outputs.
    private func answers(
      _ batch: Int, _ last: Tensor<Float>, _ bias: [Double]
    ) -> Tensor<Float> {
      var values = matrixProduct(features[batch], last, transposeB: true, threads: threads)
      let rows = features[batch].shape[0]
      let (outputs, shift) = (bias.count, bias.map(Float.init))
      var span = values.mutableSpan
      for row in 0..<rows {
        for i in 0..<outputs { span[row * outputs + i] += shift[i] }
      }
      return values
    }

    /// The next map and bias: the regression of what is still missing on the features.
    ///
    /// - Parameter penalty: λ; `nil` without ReLU, where the responses themselves are the target.
    func step(
      _ last: Tensor<Double>, _ bias: [Double], penalty: Float?
    ) -> (Tensor<Double>, [Double]) {
      let outputs = bias.count
      let last32 = last.converted(to: Float.self)
      var cross = Tensor<Double>(zeros: last.shape)
      var missing = [Double](repeating: 0, count: outputs)
      for batch in features.indices {
        var rest = answers(batch, last32, bias)
        let wanted = responses[batch].contiguous()
        let source = wanted.span
        let rows = rest.shape[0]
        var span = rest.mutableSpan
        for i in span.indices {
          let answer = span[i]
          let target = penalty.map { Self.free(source[i], answer, $0) } ?? source[i]
          span[i] = target - answer
        }
        for row in 0..<rows {
          for i in 0..<outputs { missing[i] += Double(span[row * outputs + i]) }
        }
        let part = matrixProduct(rest, features[batch], transposeA: true, threads: threads)
        cross = cross.adding(part)
      }
      let share = 1 / Double(max(1, count))
      var covariance = cross
      var values = covariance.mutableSpan
      let width = mean.count
      for i in 0..<outputs {
        missing[i] *= share
        for j in 0..<width {
          values[i * width + j] = values[i * width + j] * share - missing[i] * mean[j]
        }
      }
      let change = matrixProduct(covariance, inverse, threads: threads)
      let shift = matrixProduct(change, Tensor([width, 1], mean)).elements
      return (
        last.adding(change), (0..<outputs).map { bias[$0] + missing[$0] - shift[$0] }
      )
    }

    /// The response that costs least, given what the layer should and what it does answer.
    private static func free(_ wanted: Float, _ answer: Float, _ penalty: Float) -> Float {
      let rectified = max(0, wanted)
      let below = min(0, answer)
      let above = max(0, (penalty * answer + rectified) / (penalty + 1))
      func cost(_ z: Float) -> Float {
        let (miss, move) = (rectified - max(0, z), z - answer)
        return miss * miss + penalty * move * move
      }
      return cost(below) < cost(above) ? below : above
    }

    /// Σ of squared errors behind the ReLU.
    func rectifiedError(_ last: Tensor<Double>, _ bias: [Double]) -> Double {
      let last32 = last.converted(to: Float.self)
      return features.indices.reduce(0) { sum, batch in
        let values = answers(batch, last32, bias)
        let wanted = responses[batch].contiguous()
        var error = 0.0
        for i in values.span.indices {
          let miss = Double(max(0, wanted.span[i]) - max(0, values.span[i]))
          error += miss * miss
        }
        return sum + error
      }
    }
  }
}

extension Tensor<Double> {
  /// The sum of two tensors of the same shape.
  fileprivate func adding<Other: FloatElement>(_ other: Tensor<Other>) -> Tensor {
    var result = contiguous()
    let packed = other.converted(to: Double.self).contiguous()
    var values = result.mutableSpan
    for i in values.indices { values[i] += packed.span[i] }
    return result
  }
}
