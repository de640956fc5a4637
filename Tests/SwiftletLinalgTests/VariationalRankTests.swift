// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletLinalg
import Testing
import _SwiftletTestSupport

struct VariationalRankTests {
  /// A matrix of the given rank whose singular values are near √(m·n), plus noise.
  private func planted(
    _ rows: Int, _ columns: Int, rank: Int, noise: Double, seed: UInt64 = 1
  ) -> Tensor<Double> {
    var generator = RandomGenerator(seed: seed)
    let left = Tensor<Double>([rows, rank], normalUsing: &generator)
    let right = Tensor<Double>([rank, columns], normalUsing: &generator)
    var matrix =
      rank > 0 ? Tensor.product(left, right) : Tensor<Double>(zeros: [rows, columns])
    for i in 0..<rows {
      for j in 0..<columns { matrix[i, j] += noise * generator.normal() }
    }
    return matrix
  }

  private func estimate(_ matrix: Tensor<Double>, scale: Double = 1) throws -> VariationalRank {
    let values = try SVD(matrix).singularValues.map { $0 * scale }
    return try VariationalRank(
      singularValues: values, rows: matrix.shape[0], columns: matrix.shape[1])
  }

  @Test(
    arguments: [(40, 40), (30, 100), (100, 30), (20, 400), (160, 160)],
    [(1, 0.5), (3, 0.1), (5, 1e-3), (8, 0.3), (2, 1e-9)])
  func plantedRanksAreFound(size: (Int, Int), plan: (rank: Int, noise: Double)) throws {
    let matrix = planted(size.0, size.1, rank: plan.rank, noise: plan.noise)
    let result = try estimate(matrix)
    #expect(result.rank == plan.rank)
    #expect(!result.isNoiseLike && result.remark == nil)
    #expect(abs(result.noiseDeviation / plan.noise - 1) < 0.1)
    #expect(result.noiseVariance == result.noiseDeviation * result.noiseDeviation)
  }

  /// γ̂ = γ/2 · (1 − (L+M)·σ²/γ² + √((1 − (L+M)·σ²/γ²)² − 4·L·M·σ⁴/γ⁴)), as the paper has it.
  @Test func valuesShrinkByTheFormula() throws {
    let matrix = planted(30, 50, rank: 4, noise: 0.7)
    let values = try SVD(matrix).singularValues
    let result = try estimate(matrix)
    #expect(result.rank == 4 && result.shrunkSingularValues.count == 4)
    for (value, shrunk) in zip(values, result.shrunkSingularValues) {
      let ratio = result.noiseVariance / (value * value)
      let part = 1 - 80 * ratio
      let formula = value / 2 * (part + (part * part - 4 * 30 * 50 * ratio * ratio).squareRoot())
      #expect(abs(shrunk - formula) < 1e-12 * value)
      #expect(shrunk < value)
    }
  }

  @Test(arguments: [(40, 40), (30, 100), (10, 300), (200, 150)], 1...4 as ClosedRange<UInt64>)
  func pureNoiseHasRankOneAndSaysSo(size: (Int, Int), seed: UInt64) throws {
    let matrix = planted(size.0, size.1, rank: 0, noise: 2, seed: seed)
    let result = try estimate(matrix)
    #expect(result.rank == 1 && result.isNoiseLike && result.remark != nil)
    #expect(abs(result.noiseDeviation / 2 - 1) < 0.1)
    #expect(try result.shrunkSingularValues == [SVD(matrix).singularValues[0]])
  }

  @Test(arguments: [1e-150, 1e-20, 1e20, 1e150])
  func scaleDoesNotMatter(scale: Double) throws {
    let matrix = planted(30, 45, rank: 3, noise: 0.2)
    let (plain, scaled) = (try estimate(matrix), try estimate(matrix, scale: scale))
    #expect(scaled.rank == 3 && plain.rank == 3)
    #expect(abs(scaled.noiseDeviation / scale / plain.noiseDeviation - 1) < 1e-6)
    for (a, b) in zip(plain.shrunkSingularValues, scaled.shrunkSingularValues) {
      #expect(abs(b / scale / a - 1) < 1e-6)
    }
    #expect(try estimate(planted(30, 45, rank: 0, noise: 1), scale: scale).isNoiseLike)
  }

  /// Without noise, what rounding leaves does not count, in either precision.
  @Test(arguments: [1, 3, 7])
  func exactRanksAreFound(rank: Int) throws {
    let matrix = planted(30, 40, rank: rank, noise: 0)
    #expect(try estimate(matrix).rank == rank)
    let values = try SVD<Float>(matrix.converted()).singularValues
    #expect(try VariationalRank(singularValues: values, rows: 30, columns: 40).rank == rank)
    let exact = [Double](repeating: 2, count: rank) + [Double](repeating: 0, count: 30 - rank)
    let result = try VariationalRank(singularValues: exact, rows: 30, columns: 40)
    #expect(result.rank == rank)
    #expect(result.shrunkSingularValues.allSatisfy { abs($0 - 2) < 1e-9 })
  }

  @Test func awkwardSpectra() throws {
    func rank(_ values: [Double], _ rows: Int, _ columns: Int) throws -> VariationalRank {
      try VariationalRank(singularValues: values, rows: rows, columns: columns)
    }
    for result in try [
      rank([0, 0, 0], 3, 5), rank([0], 1, 1), rank([4], 1, 1), rank([4], 1, 9), rank([4], 9, 1),
      rank([2, 2, 2, 2], 4, 4), rank([3, 3], 2, 2),
    ] {
      #expect(result.rank == 1 && result.isNoiseLike && result.remark != nil)
      #expect(result.noiseDeviation.isFinite && result.noiseDeviation >= 0)
    }
    #expect(try !rank([.leastNonzeroMagnitude, 0], 2, 3).isNoiseLike)
    let step = [Double](repeating: 9, count: 4) + [Double](repeating: 1, count: 46)
    #expect(try rank(step, 50, 50).rank == 4)
  }

  @Test(arguments: [[Double.nan, 1], [.infinity, 1], [1, .nan], [1, -1], []])
  func badSpectraAreRefused(values: [Double]) {
    #expect {
      try VariationalRank(singularValues: values, rows: values.count, columns: 3)
    } throws: {
      ($0 as? SwiftletError)?.code == .badInput
    }
  }
}
