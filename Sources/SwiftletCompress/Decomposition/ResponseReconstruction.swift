// SPDX-License-Identifier: Apache-2.0

package import SwiftletCore
import SwiftletLinalg

/// Fits the last stage of a chain to the responses of the layer in the original model.
///
/// The regression is asymmetric: it maps features of windows in the compressed model, including the
/// errors of earlier layers, to the responses in the original one. Before a ReLU, only what passes
/// it counts: auxiliary responses z, which are free below 0, and the map are optimized in turns,
///
///     min Σ (relu(y) − relu(z))² + λ · (z − L·f − b)²
///
/// where λ grows from 0.01 to 1.
///
/// - Source: Zhang, Zou, He & Sun 2015, arXiv:1505.06798, sections 2.2 and 2.3.
package struct ResponseReconstruction {
  /// The fitted last stage, outputs × features.
  package private(set) var last: Tensor<Double>
  /// The fitted bias, one element per output.
  package private(set) var bias: [Double]

  /// Rounds for each λ; more make no measurable difference.
  private static let rounds = 8
  private static let penalties: [Float] = [0.01, 0.1, 1]
  /// Added to the variances of the features, as a fraction of their mean: keeps the map unchanged
  /// in directions without samples.
  private static let damping = 1e-5

  /// Fits the last stage and the bias.
  ///
  /// - Parameters:
  ///   - fitted: The chain.
  ///   - statistics: The layer's inputs and target responses.
  ///   - isRectified: Whether a ReLU follows the layer.
  ///   - threads: For products and eigenvalues.
  /// - Throws: `numerical` if the eigenvalue iteration does not converge.
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

    /// The next map and bias: the regression of the residual on the features. `penalty` is λ,
    /// or `nil` without a ReLU, where the target is the original responses.
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

    /// The z with the least cost, given the target response and the current one.
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

    /// Sum of squared errors after the ReLU.
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
