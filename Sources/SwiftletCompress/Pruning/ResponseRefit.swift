// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore
import SwiftletGraph
import SwiftletLinalg

/// The least-squares problem of correcting a layer's weights so that its responses approach the
/// original ones, accumulated as moments of its inputs and of the residuals of its responses.
///
/// A quarter of the images is held out. They determine how strongly to regularize the correction
/// (ridge), and whether to make one at all.
struct ResponseRefit {
  private let depth: Int
  private let outputs: Int
  private let canShift: Bool
  private var seen: Moments
  private var heldOut: Moments

  /// Sums over samples x, each with a 1 appended, and residuals r.
  private struct Moments {
    /// Σ x·xᵀ, upper triangle.
    var inputs: Tensor<Double>
    /// Σ x·rᵀ, size × outputs.
    var crossed: Tensor<Double>
    /// Σ ‖r‖².
    var energy = 0.0
    var count = 0

    init(_ size: Int, _ outputs: Int) {
      inputs = Tensor(zeros: [size, size])
      crossed = Tensor(zeros: [size, outputs])
    }

    mutating func add(_ rows: [Double], _ lacks: [Double], _ size: Int, _ outputs: Int) {
      let number = rows.count / size
      guard number > 0 else { return }
      let (x, r) = (Tensor([number, size], rows), Tensor([number, outputs], lacks))
      var square = inputs.mutableSpan
      BLAS.syrk(
        n: size, k: number, a: x.span, lda: size, transposeA: true, beta: 1, c: &square, ldc: size)
      var cross = crossed.mutableSpan
      BLAS.gemm(
        m: size, n: outputs, k: number, a: x.span, lda: size, transposeA: true, b: r.span,
        ldb: outputs, beta: 1, c: &cross, ldc: outputs)
      energy += lacks.reduce(0) { $0 + $1 * $1 }
      count += number
    }

    /// Σ ‖r − sᵀ·x‖².
    func error(_ solution: Tensor<Double>) -> Double {
      let responses = matrixProduct(inputs, solution)
      let (s, y, c) = (solution.span, responses.span, crossed.span)
      var sum = energy
      for i in s.indices { sum += s[i] * (y[i] - 2 * c[i]) }
      return sum
    }

    /// Fills the lower triangle.
    mutating func mirror() {
      let size = inputs.shape[0]
      var values = inputs.mutableSpan
      for i in 0..<size { for j in i..<size { values[j * size + i] = values[i * size + j] } }
    }
  }

  /// Deeper layers would take too much time and memory; only their biases are corrected.
  static let depthLimit = 4096
  /// Ridges to try, as fractions of the mean eigenvalue.
  private static let ridges = [1e-8, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
  /// Eigenvalues below this fraction of the largest one, times their number, are rounding errors.
  private static let cut = 1e-13

  init(_ layer: PrunedLayer) {
    depth = layer.depth <= Self.depthLimit ? layer.depth : 0
    outputs = layer.outputs
    canShift = layer.canShift
    seen = Moments(depth + 1, outputs)
    heldOut = seen
  }

  /// Adds a batch.
  ///
  /// - Parameters:
  ///   - rows: The rows to use.
  ///   - input: Current input of the layer.
  ///   - response: Current response.
  ///   - wanted: Original response, with all outputs.
  ///   - kept: Indices of the outputs that the layer still has; `nil`: all.
  ///   - firstImage: Index of the first image of the batch.
  mutating func add(
    _ rows: WindowRows, input: Tensor<Float>, response: Tensor<Float>, wanted: Tensor<Float>,
    kept: [Int]?, firstImage: Int
  ) throws {
    let now = rows.responses(response)
    let all = rows.responses(wanted)
    let before = kept.map { all.selecting($0, axis: 1) } ?? all.contiguous()
    let windows = depth > 0 ? try rows.inputs(input) : Tensor(zeros: [now.shape[0], 0])
    let (x, y, target) = (windows.span, now.span, before.span)
    var parts: [(rows: [Double], lacks: [Double])] = [([], []), ([], [])]
    for row in 0..<now.shape[0] {
      let image = firstImage + row * input.shape[0] / now.shape[0]
      let part = image % 4 == 3 ? 1 : 0
      for i in row * depth..<(row + 1) * depth { parts[part].rows.append(Double(x[i])) }
      parts[part].rows.append(1)
      for i in row * outputs..<(row + 1) * outputs {
        parts[part].lacks.append(Double(target[i]) - Double(y[i]))
      }
    }
    seen.add(parts[0].rows, parts[0].lacks, depth + 1, outputs)
    heldOut.add(parts[1].rows, parts[1].lacks, depth + 1, outputs)
  }

  /// The correction with the smallest error on the held-out images; `nil` if none is better than no
  /// correction.
  ///
  /// - Returns: The change of the weights, depth × outputs, `nil` if only biases are corrected, and
  ///   that of the bias.
  /// - Throws: `numerical` if the eigenvalue iteration does not converge.
  consuming func solution(
    threads: Threads
  ) throws -> (change: Tensor<Double>?, shift: [Double])? {
    guard seen.count > 0 else { return nil }
    heldOut.mirror()
    let judge =
      heldOut.count > 0
      ? heldOut
      : { () -> Moments in
        var all = seen
        all.mirror()
        return all
      }()
    let (outputs, depth) = (outputs, depth)
    let scale = 1 / Double(seen.count)
    let shifts = canShift
    let means = (0..<depth).map { shifts ? seen.inputs[$0, depth] * scale : 0 }
    let lacks = (0..<outputs).map { shifts ? seen.crossed[depth, $0] * scale : 0 }
    var best: (solution: Tensor<Double>, error: Double)?
    func consider(_ solution: Tensor<Double>) {
      let error = judge.error(solution)
      if error.isFinite, error < best?.error ?? judge.energy { best = (solution, error) }
    }
    var constant = Tensor<Double>(zeros: [depth + 1, outputs])
    for output in 0..<outputs { constant[depth, output] = lacks[output] }
    consider(constant)
    if depth > 0 {
      var covariance = Tensor<Double>(zeros: [depth, depth])
      var crossed = Tensor<Double>(zeros: [depth, outputs])
      Self.centre(
        &covariance, &crossed, seen.inputs.span, seen.crossed.span, means, lacks, scale)
      let eigen = try SymmetricEigen(covariance, threads: threads)
      let largest = eigen.values.first ?? 0
      let mean = eigen.values.reduce(0) { $0 + max(0, $1) } / Double(depth)
      let projected = matrixProduct(eigen.vectors, crossed, transposeA: true)
      for ridge in Self.ridges where largest > 0 {
        var scaled = projected
        var values = scaled.mutableSpan
        for i in 0..<depth {
          let value = eigen.values[i]
          let isRounding = value <= Self.cut * Double(depth) * largest
          let factor = isRounding ? 0 : 1 / (value + ridge * mean)
          for j in 0..<outputs { values[i * outputs + j] *= factor }
        }
        let change = matrixProduct(eigen.vectors, scaled)
        var solution = constant
        var target = solution.mutableSpan
        target.copy(change.span, to: 0)
        for i in 0..<depth where means[i] != 0 {
          for j in 0..<outputs {
            target[depth * outputs + j] -= means[i] * target[i * outputs + j]
          }
        }
        consider(solution)
      }
    }
    guard let found = best?.solution else { return nil }
    let change = found.slice(axis: 0, range: 0..<depth).contiguous()
    return (
      depth > 0 ? change : nil,
      found.slice(axis: 0, range: depth..<depth + 1).elements
    )
  }

  /// Computes covariances from the sums over samples with a 1 appended.
  private static func centre(
    _ covariance: inout Tensor<Double>, _ crossed: inout Tensor<Double>, _ inputs: Span<Double>,
    _ sums: Span<Double>, _ means: [Double], _ lacks: [Double], _ scale: Double
  ) {
    let (depth, outputs) = (means.count, lacks.count)
    var square = covariance.mutableSpan
    var cross = crossed.mutableSpan
    for i in 0..<depth {
      let mean = means[i]
      for j in i..<depth {
        square[i * depth + j] = inputs[i * (depth + 1) + j] * scale - mean * means[j]
      }
      for j in 0..<outputs {
        cross[i * outputs + j] = sums[i * outputs + j] * scale - mean * lacks[j]
      }
    }
  }
}
