// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletLinalg
import Testing
import _SwiftletTestSupport

struct CanonicalPolyadicTests {
  private func factors(_ shape: [Int], _ rank: Int, seed: UInt64) -> [Tensor<Double>] {
    var generator = RandomGenerator(seed: seed)
    return shape.map { Tensor<Double>([$0, rank], normalUsing: &generator) }
  }

  private func checkForm<T>(_ result: CanonicalPolyadic<T>, rank: Int) {
    #expect(result.weights.count == rank)
    #expect(result.weights == result.weights.sorted(by: >) && result.weights.allSatisfy { $0 >= 0 })
    let epsilon = Double(T.ulpOfOne)
    for factor in result.factors {
      let columns: Tensor<Double> = factor.converted()
      for r in 0..<rank {
        let energy = (0..<factor.shape[0]).reduce(0) { $0 + columns[$1, r] * columns[$1, r] }
        #expect(abs(energy - 1) < 30 * epsilon)
      }
    }
  }

  static let cases: [([Int], Int)] = [
    ([6, 5, 4], 1), ([6, 5, 4], 3), ([5, 6, 7], 5), ([4, 3, 5, 3], 3), ([8, 6], 3),
    ([3, 4, 2, 3, 2], 2), ([9, 1, 7], 2), ([3, 3, 3], 4),
  ]

  @Test(arguments: cases)
  func tensorsOfTheAskedRankAreRecovered(shape: [Int], rank: Int) throws {
    let ones = [Double](repeating: 1, count: rank)
    let tensor = Tensor.polyadic(ones, factors(shape, rank, seed: 11))
    let result = try CanonicalPolyadic(tensor, rank: rank, seed: 1)
    #expect(result.fit > 1 - 1e-6 && result.hasConverged && !result.isDegenerate)
    let plain = Tensor.polyadic(result.weights, result.factors)
    #expect(abs(tensor.distance(to: plain) - (1 - result.fit)) < 1e-12)
    #expect(plain.distance(to: result.reconstructed()) < 1e-13)
    checkForm(result, rank: rank)
  }

  /// Kruskal: three modes and few components determine the vectors, not only their sum.
  @Test func componentsAreFoundUpToSign() throws {
    let (shape, rank) = ([7, 6, 5], 3)
    let planted = factors(shape, rank, seed: 12)
    let tensor = Tensor.polyadic([5, 2, 1], planted)
    let result = try CanonicalPolyadic(tensor, rank: rank, seed: 3)
    for r in 0..<rank {
      let cosines = (0..<rank).map { s in
        shape.indices.reduce(1.0) { product, mode in
          var (inner, energy) = (0.0, 0.0)
          for i in 0..<shape[mode] {
            inner += planted[mode][i, r] * result.factors[mode][i, s]
            energy += planted[mode][i, r] * planted[mode][i, r]
          }
          return product * inner / energy.squareRoot()
        }
      }
      #expect(cosines.max()! > 1 - 1e-6)
    }
  }

  /// For one component of a matrix, and of any rank, there is nothing better than the SVD.
  @Test(arguments: [1, 2, 4])
  func matricesAreFittedAsTheSVDFitsThem(rank: Int) throws {
    let matrix = factors([9, 6], 6, seed: 13)[0]
    let energies = try SVD(matrix).singularValues.map { $0 * $0 }
    let best = 1 - (1 - Spectrum.energy(energies, rank: rank)).squareRoot()
    let result = try CanonicalPolyadic(matrix, rank: rank, tolerance: 1e-10)
    #expect(abs(result.fit - best) < 1e-5)
  }

  @Test func singlePrecisionIsExactToItsRounding() throws {
    let tensor = Tensor.polyadic([1, 1, 1], factors([10, 8, 6], 3, seed: 14))
    let result = try CanonicalPolyadic<Float>(tensor.converted(), rank: 3)
    #expect(tensor.distance(to: result.reconstructed().converted()) < 1e-6)
    checkForm(result, rank: 3)
  }

  @Test func theSameSeedGivesTheSameResult() throws {
    let tensor = factors([24, 5], 5, seed: 15)[0].reshaped(to: [6, 4, 5])
    let results = try [2, 2, 3].map {
      try CanonicalPolyadic(tensor, rank: 4, restarts: 2, seed: $0, maximumIterations: 40)
    }
    #expect(results[0].factors == results[1].factors && results[0].weights == results[1].weights)
    #expect(results[0].iterations == results[1].iterations)
    #expect(results[0].factors != results[2].factors)
  }

  /// The start from the HOSVD draws nothing, up to ranks that singular vectors suffice for.
  @Test func oneStartIsNotRandom() throws {
    let tensor = Tensor.polyadic([1, 1, 1], factors([6, 4, 5], 3, seed: 17))
    let results = try [1, 2].map { try CanonicalPolyadic(tensor, rank: 3, restarts: 0, seed: $0) }
    #expect(results[0].factors == results[1].factors && results[0].fit > 1 - 1e-6)
  }

  @Test func moreStartsAreNeverWorse() throws {
    let tensor = factors([24, 5], 5, seed: 16)[0].reshaped(to: [6, 4, 5])
    let fits = try [0, 1, 3, 6].map {
      try CanonicalPolyadic(tensor, rank: 3, restarts: $0, maximumIterations: 60).fit
    }
    #expect(zip(fits, fits.dropFirst()).allSatisfy { $0 <= $1 + 1e-12 })
    #expect(fits[0] > 0 && fits[3] < 1)
  }

  // MARK: Degeneracy

  /// a⊗a⊗b + a⊗b⊗a + b⊗a⊗a has rank 3 and border rank 2: two components come arbitrarily close,
  /// growing without bound. The ridge lets them grow to 3.26 times the tensor. Sweeps without
  /// momentum take some 8000 to get there.
  @Test(arguments: 0..<4 as Range<UInt64>)
  func borderRankIsReported(seed: UInt64) throws {
    let vectors = try SVD(factors([4], 2, seed: 20 + seed)[0]).u.transposed()
      .contiguous().elements
    var tensor = Tensor<Double>(zeros: [4, 4, 4])
    for place in 0..<3 {
      tensor.addProduct(
        of: (0..<3).map { Array($0 == place ? vectors[4...] : vectors[..<4]) }, times: 1)
    }
    let result = try CanonicalPolyadic(tensor, rank: 2, seed: seed)
    let norm = tensor.elements.reduce(0) { $0 + $1 * $1 }.squareRoot()
    #expect(result.isDegenerate && result.hasConverged)
    #expect(result.fit > 0.9 && result.fit < 1)
    #expect(result.weights.allSatisfy { abs($0 / norm - 3.26) < 0.02 })
    #expect(result.factors.allSatisfy { $0.isFinite })
    #expect(abs(tensor.distance(to: result.reconstructed()) - (1 - result.fit)) < 1e-9)
    // With one more component, the fit is exact.
    let exact = try CanonicalPolyadic(tensor, rank: 3, seed: seed)
    #expect(exact.fit > 1 - 1e-6 && !exact.isDegenerate)
  }

  /// The same for vectors at any angle. Near collinear ones give components that are not large.
  @Test(arguments: 0..<12 as Range<UInt64>)
  func degeneracyIsReportedAtAnyAngle(seed: UInt64) throws {
    let vectors = factors([4, 4], 1, seed: 20 + seed).map(\.elements)
    var tensor = Tensor<Double>(zeros: [4, 4, 4])
    for place in 0..<3 {
      tensor.addProduct(of: (0..<3).map { vectors[$0 == place ? 1 : 0] }, times: 1)
    }
    let result = try CanonicalPolyadic(tensor, rank: 2, seed: seed)
    #expect(result.isDegenerate && result.hasConverged)
    #expect(result.fit > 0.99 && result.fit < 1)
  }

  /// More components than the tensor has: singular normal equations, weights of no meaning, but
  /// an exact fit.
  @Test(arguments: [2, 5, 9])
  func moreComponentsThanThereAre(rank: Int) throws {
    let tensor = Tensor.polyadic([1], factors([4, 3, 2], 1, seed: 30))
    let result = try CanonicalPolyadic(tensor, rank: rank)
    #expect(result.fit > 1 - 1e-6)
    checkForm(result, rank: rank)
  }

  // MARK: Data

  @Test func zeroTensors() throws {
    let result = try CanonicalPolyadic(Tensor<Float>(zeros: [4, 3, 2]), rank: 2)
    #expect(result.fit == 1 && result.weights == [0, 0] && !result.isDegenerate)
    #expect(result.reconstructed() == Tensor(zeros: [4, 3, 2]))
    checkForm(result, rank: 2)
  }

  @Test(arguments: [1e-300, 1e-160, 1e160, 1e300])
  func anyScale(scale: Double) throws {
    let tensor = Tensor.polyadic([1, 1], factors([5, 4, 3], 2, seed: 31))
    let result = try CanonicalPolyadic(tensor.map { $0 * scale }, rank: 2)
    #expect(result.fit > 1 - 1e-6)
    #expect(tensor.distance(to: result.reconstructed().map { $0 / scale }) < 1e-6)
  }

  @Test(arguments: [Double.nan, .infinity])
  func dataThatIsNotFiniteIsRefused(value: Double) {
    var tensor = Tensor<Double>(zeros: [3, 3, 3])
    tensor[2, 1, 0] = value
    expect(.badInput) { _ = try CanonicalPolyadic(tensor, rank: 1) }
  }

  @Test func emptyTensorsAndWeightsBeyondTheTypeAreRefused() {
    expect(.badInput) { _ = try CanonicalPolyadic(Tensor<Float>(zeros: [3, 0]), rank: 1) }
    let huge = Tensor<Float>([4, 4, 4], repeating: .greatestFiniteMagnitude)
    expect(.numerical) { _ = try CanonicalPolyadic(huge, rank: 1) }
  }
}
