// SPDX-License-Identifier: Apache-2.0

import RealModule
import SwiftletBLAS
import SwiftletCore

/// One start of ``CanonicalPolyadic``: factors I_n×R whose column products sum to the target.
///
/// Between sweeps, the vectors of a component have the same length, so a ridge penalizes all
/// factors alike. It is active while components diverge, and bounds them.
struct AlternatingLeastSquares {
  /// Of norm 1, or zero.
  let target: Tensor<Double>
  private(set) var factors: [Tensor<Double>]
  private(set) var iterations = 0
  private(set) var hasConverged = false
  private(set) var isDegenerate = false
  /// ‖X − X̂‖².
  private(set) var residual = Double.infinity
  private var grams: [Tensor<Double>]
  private let threads: Threads

  /// Whether the fit is as close to 1 as the residual can resolve.
  var isExact: Bool { residual < 1e-14 }

  init(_ target: Tensor<Double>, factors: [Tensor<Double>], threads: Threads) {
    (self.target, self.factors, self.threads) = (target, factors, threads)
    grams = factors.map { matrixProduct($0, $0, transposeA: true, threads: threads) }
  }

  /// Random unit columns, or with `leading` the leading singular vectors of each unfolding, as far
  /// as they suffice.
  static func start(
    _ target: Tensor<Double>, rank: Int, leading: Bool, using generator: inout RandomGenerator
  ) throws -> [Tensor<Double>] {
    try target.shape.dimensions.indices.map { mode in
      let rows = target.shape[mode]
      var factor = Tensor<Double>([rows, rank], normalUsing: &generator)
      _ = factor.normaliseColumns()
      guard leading else { return factor }
      let u = try SVD(try target.unfolded(mode: mode)).u
      let (source, columns) = (u.span, u.shape[1])
      var span = factor.mutableSpan
      for row in 0..<rows {
        for r in 0..<min(rank, columns) { span[row * rank + r] = source[row * columns + r] }
      }
      return factor
    }
  }

  // MARK: Sweeps

  /// Sweeps until the fit stagnates.
  ///
  /// Before each sweep the factors are extrapolated in the direction of the last one, by a factor
  /// that approaches 1 as long as that helps. If a sweep gets worse, it is undone and repeated
  /// without extrapolation (restarted Nesterov momentum; Mitchell, Ye & De Sterck 2020). Plain
  /// sweeps take several times as many, and nearly stagnate next to collinear components.
  mutating func run(tolerance: Double, maximumIterations: Int) throws {
    var earlier = factors
    var streak = 0.0
    for sweeps in 1...maximumIterations {
      let last = self
      if streak > 0 { extrapolate(from: earlier, by: streak / (streak + 3)) }
      // Bounds degenerate components at a few times the target's norm of 1.
      let ridge = isDegenerate ? 1e-5 : 0
      try sweep(ridge: ridge)
      let isWorse = streak > 0 && cost(ridge: ridge) > last.cost(ridge: ridge)
      if isWorse { self = last }
      iterations = sweeps
      streak = isWorse ? 0 : streak + 1
      if isWorse { continue }
      earlier = last.factors
      hasConverged =
        isExact || abs(residual.squareRoot() - last.residual.squareRoot()) < tolerance
      if hasConverged { return }
    }
  }

  /// The objective that a sweep reduces.
  private func cost(ridge: Double) -> Double {
    guard ridge > 0 else { return residual }
    let rank = factors[0].shape[1]
    return grams.reduce(residual) { sum, gram in
      (0..<rank).reduce(sum) { $0 + ridge * gram[$1, $1] }
    }
  }

  private mutating func extrapolate(from earlier: [Tensor<Double>], by share: Double) {
    for mode in factors.indices {
      factors[mode].extrapolate(from: earlier[mode], by: share)
      grams[mode] = matrixProduct(factors[mode], factors[mode], transposeA: true, threads: threads)
    }
  }

  private mutating func sweep(ridge: Double) throws {
    var inner = 0.0
    for mode in factors.indices {
      let products = contracted(exceptFor: mode)
      let normal = hadamard(of: grams.indices.filter { $0 != mode })
      factors[mode] = try Self.solution(of: normal, ridge: ridge, products, threads)
      grams[mode] = matrixProduct(factors[mode], factors[mode], transposeA: true, threads: threads)
      // After the last mode, Σ products ⊙ factor is the inner product of target and model.
      if mode == factors.count - 1 { inner = products.inner(factors[mode]) }
    }
    let components = hadamard(of: Array(grams.indices))
    residual = max(0, target.energy() - 2 * inner + components.elements.reduce(0, +))
    isDegenerate = !isExact && cancels(components)
    balance()
  }

  /// Whether two components, each over half as large as the target, have a cosine below −0.9. Once
  /// that occurred, a weaker criterion applies, so that the ridge does not switch on and off.
  ///
  /// - Parameter components: The inner products of the components, R×R.
  private func cancels(_ components: Tensor<Double>) -> Bool {
    let (rank, products) = (components.shape[0], components.span)
    let (energy, cosine) = isDegenerate ? (0.0625, -0.8) : (0.25, -0.9)
    for i in 0..<rank {
      for j in 0..<i {
        let (a, b) = (products[i * rank + i], products[j * rank + j])
        let isOpposite = products[i * rank + j] < cosine * (a * b).squareRoot()
        if isOpposite && min(a, b) > energy { return true }
      }
    }
    return false
  }

  /// Gives the vectors of each component the same length.
  private mutating func balance() {
    let rank = factors[0].shape[1]
    let lengths = grams.map { gram in (0..<rank).map { gram[$0, $0].squareRoot() } }
    let roots = (0..<rank).map { r in
      Double.root(lengths.reduce(1) { $0 * $1[r] }, factors.count)
    }
    for mode in factors.indices {
      let ratios = (0..<rank).map { lengths[mode][$0] > 0 ? roots[$0] / lengths[mode][$0] : 0 }
      factors[mode].scaleColumns(by: ratios)
      grams[mode].scaleColumns(by: ratios)
      grams[mode] = grams[mode].transposed().contiguous()
      grams[mode].scaleColumns(by: ratios)
    }
  }

  /// The elementwise product of the Gram matrices of some factors, R×R.
  private func hadamard(of modes: [Int]) -> Tensor<Double> {
    modes.dropFirst().reduce(into: grams[modes[0]]) { $0.multiply(by: grams[$1]) }
  }

  /// products · (normal + ridge)⁺, I_n×R: the least-squares solution for one factor. Dependent
  /// components make the matrix singular; the pseudo-inverse gives them minimum norm.
  private static func solution(
    of normal: Tensor<Double>, ridge: Double, _ products: Tensor<Double>, _ threads: Threads
  ) throws -> Tensor<Double> {
    let eigen = try SymmetricEigen(normal)
    let values = eigen.values.map { $0 + ridge }
    let cut = Double(values.count) * Double.ulpOfOne * values[0]
    var coordinates = matrixProduct(products, eigen.vectors, threads: threads)
    coordinates.scaleColumns(by: values.map { $0 > cut ? 1 / $0 : 0 })
    return matrixProduct(coordinates, eigen.vectors, transposeB: true, threads: threads)
  }

  // MARK: Products with the target

  /// The unfolding of one mode times the Khatri–Rao product of the other factors (MTTKRP), I_n×R.
  ///
  /// That product is never formed. One matrix product contracts the last mode (for the last, the
  /// first), which reduces the remaining work by its extent; the other modes are then contracted
  /// one by one.
  private func contracted(exceptFor mode: Int) -> Tensor<Double> {
    let extents = target.shape.dimensions
    var left = Array(extents.indices)
    let first = mode == extents.count - 1 ? left.removeFirst() : left.removeLast()
    let rest = target.count / extents[first]
    var partial =
      first == 0
      ? matrixProduct(
        target.reshaped(to: [extents[0], rest]), factors[0], transposeA: true, threads: threads)
      : matrixProduct(target.reshaped(to: [rest, extents[first]]), factors[first], threads: threads)
    while let place = left.lastIndex(where: { $0 != mode }) {
      partial = KhatriRao.contracted(
        partial, outer: left[..<place].reduce(1) { $0 * extents[$1] }, with: factors[left[place]])
      left.remove(at: place)
    }
    return partial
  }

  // MARK: Result

  /// The lengths of the components in descending order, and their unit vectors as the columns of
  /// I_n×R. A component of length 0 also has vectors.
  func unitColumns() -> (lengths: [Double], factors: [Tensor<Double>]) {
    var columns = factors
    var lengths = [Double](repeating: 1, count: factors[0].shape[1])
    for mode in columns.indices {
      let norms = columns[mode].normaliseColumns()
      for r in norms.indices { lengths[r] *= norms[r] }
    }
    let order = lengths.indices.sorted { lengths[$0] > lengths[$1] }
    return (order.map { lengths[$0] }, columns.map { $0.columns(order) })
  }
}
