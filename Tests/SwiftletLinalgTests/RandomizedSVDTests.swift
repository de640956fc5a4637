// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore
import SwiftletLinalg
import Testing
import _SwiftletTestSupport

struct RandomizedSVDTests {
  static let backends = SymmetricEigenTests.backends

  /// A matrix with given singular values, and random vectors.
  private func matrix(_ m: Int, _ n: Int, _ values: [Double]) throws -> Tensor<Double> {
    var generator = RandomGenerator(seed: 60)
    var u = try QR(Tensor<Double>([m, values.count], normalUsing: &generator)).q
    let v = try QR(Tensor<Double>([n, values.count], normalUsing: &generator)).q
    for i in 0..<m {
      for j in values.indices { u[i, j] *= values[j] }
    }
    return matrixProduct(u, v, transposeB: true)
  }

  private func error(_ a: Tensor<Double>, _ svd: SVD<Double>) throws -> Double {
    let product = svd.reconstructed()
    var rest = a
    for i in 0..<a.shape[0] {
      for j in 0..<a.shape[1] { rest[i, j] -= product[i, j] }
    }
    return try rest.norm(.frobenius)
  }

  @Test(arguments: [(80, 50), (50, 80)], backends)
  func nearlyAsGoodAsTheBest(shape: (Int, Int), backend: LinalgBackend) throws {
    let values = (0..<50).map { 1 / Double(($0 + 1) * ($0 + 1)) }
    let a = try matrix(shape.0, shape.1, values)
    let svd = try RandomizedSVD().svd(a, rank: 8, backend: backend)
    let best = values[8...].reduce(0) { $0 + $1 * $1 }.squareRoot()
    #expect(try error(a, svd) <= 1.05 * best)
    #expect(svd.u.shape == [shape.0, 8] && svd.vt.shape == [8, shape.1])
    for (found, value) in zip(svd.singularValues, values) { #expect(abs(found / value - 1) < 1e-3) }
    #expect(TestRatio.orthogonality(svd.u) < 30)
    #expect(TestRatio.orthogonality(svd.vt.transposed()) < 30)
  }

  /// Products with random numbers would overflow, or lose their digits.
  @Test(arguments: backends) func extremesAreScaled(backend: LinalgBackend) throws {
    let a = try matrix(40, 30, [1, 0.5, 0.25, 0.125])
    let exact = try SVD.values(of: a)
    func check<T: BLASElement>(_ factor: T, _ tolerance: T) throws {
      var scaled = Tensor<T>(zeros: a.shape)
      for i in 0..<40 { for j in 0..<30 { scaled[i, j] = T(a[i, j]) * factor } }
      let svd = try RandomizedSVD().svd(scaled, rank: 4, backend: backend)
      for (found, value) in zip(svd.singularValues, exact) {
        #expect(abs(found / factor / T(value) - 1) < tolerance, "\(factor)")
      }
      for basis in [svd.u, svd.vt.transposed()] {
        #expect(TestRatio.orthogonality(basis.converted(), epsilon: Double(T.ulpOfOne)) < 30)
      }
    }
    for exponent in [1023, 1022, 600, -600, -960] {
      try check(Double(sign: .plus, exponent: exponent, significand: 1), 1e-12)
    }
    for exponent in [127, 126, 70, -70, -100] {
      try check(Float(sign: .plus, exponent: exponent, significand: 1), 1e-4)
    }
  }

  @Test func theSeedDecides() throws {
    var generator = RandomGenerator(seed: 61)
    let a = Tensor<Float>([60, 40], normalUsing: &generator)
    let sampling = RandomizedSVD(oversampling: 2, powerIterations: 0, seed: 1)
    let other = RandomizedSVD(oversampling: 2, powerIterations: 0, seed: 2)
    let values = try sampling.svd(a, rank: 5).singularValues
    #expect(try sampling.svd(a, rank: 5).singularValues == values)
    #expect(try other.svd(a, rank: 5).singularValues != values)
  }

  @Test func moreRoundsFitBetter() throws {
    let a = try matrix(100, 80, (0..<80).map { 1 / (1 + 0.05 * Double($0)) })
    let errors = try [0, 1, 3].map { rounds in
      try error(
        a, RandomizedSVD(oversampling: 0, powerIterations: rounds, seed: 3).svd(a, rank: 10))
    }
    #expect(errors[1] < errors[0] && errors[2] < errors[1])
  }

  @Test(arguments: [0.3, 0.01, 1e-5], backends)
  func theToleranceIsKept(tolerance: Double, backend: LinalgBackend) throws {
    let values = (0..<60).map { Double(sign: .plus, exponent: -$0, significand: 1) }
    let a = try matrix(90, 60, values)
    let (svd, claimed) = try RandomizedSVD().svd(a, tolerance: tolerance, backend: backend)
    let size = try a.norm(.frobenius)
    let actual = try error(a, svd) / size
    #expect(actual <= tolerance * 1.0001)
    #expect(abs(claimed - actual) <= 0.01 * actual)
    // No more than one value above what the best decomposition needs.
    var (rank, rest) = (60, 0.0)
    while rank > 1 && (rest + values[rank - 1] * values[rank - 1]).squareRoot() <= tolerance * size
    {
      rest += values[rank - 1] * values[rank - 1]
      rank -= 1
    }
    #expect(rank...rank + 1 ~= svd.singularValues.count)
  }

  @Test(arguments: [1e150, 1e-150])
  func toleranceAtTheEndsOfTheRange(scale: Double) throws {
    let a = try matrix(30, 20, (0..<20).map { scale / Double(1 + $0 * $0 * $0) })
    let (svd, claimed) = try RandomizedSVD().svd(a, tolerance: 0.1)
    #expect(claimed <= 0.1 && svd.singularValues.count < 5)
    #expect(abs(svd.singularValues[0] / scale - 1) < 1e-6)
  }

  @Test func zeroMatricesHaveZeroValues() throws {
    let a = Tensor<Double>(zeros: [12, 9])
    #expect(try RandomizedSVD().svd(a, rank: 3).singularValues == [0, 0, 0])
    let (svd, error) = try RandomizedSVD().svd(a, tolerance: 0.5)
    #expect(svd.singularValues == [0] && error == 0)
    #expect(try TruncatedSVD(a, rank: 2).relativeError == 0)
  }

  @Test func badElementsAreRefused() {
    let a = Tensor<Double>([2, 2], [1, .nan, 0, 0])
    let error = SwiftletError(.badInput, "the 2×2 matrix has NaN or infinite elements")
    #expect(throws: error) { try RandomizedSVD().svd(a, rank: 1) }
    #expect(throws: error) { try RandomizedSVD().svd(a, tolerance: 0.1) }
    #expect(throws: error) { try TruncatedSVD(a, rank: 1) }
  }

  @Test func theChoiceFollowsThePrediction() throws {
    var generator = RandomGenerator(seed: 62)
    let small = try TruncatedSVD(Tensor<Double>([20, 15], normalUsing: &generator), rank: 12)
    #expect(small.method == .full && small.prediction != nil)
    let large = try TruncatedSVD(Tensor<Float>([900, 600], normalUsing: &generator), rank: 4)
    #expect(large.method == .randomized && large.prediction!.prefersSampling)
    let told = try TruncatedSVD(
      Tensor<Float>([30, 20], normalUsing: &generator), rank: 4, method: .randomized)
    #expect(told.method == .randomized && told.prediction == nil)
  }

  @Test func errorsOfTruncationAreKnown() throws {
    let a = try matrix(20, 10, [4, 2, 1, 0.5])
    let cut = try TruncatedSVD(a, rank: 2, method: .full)
    #expect(abs(cut.relativeError - (1.25 / 21.25).squareRoot()) < 1e-12)
  }
}
