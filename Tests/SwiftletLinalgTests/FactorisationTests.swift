import SwiftletCore
import SwiftletLinalg
import Testing
import _SwiftletTestSupport

struct FactorisationTests {
  @Test(arguments: NamedMatrix.zoo)
  func singularValueDecompositionPutsTheMatrixTogether(test: NamedMatrix) throws {
    let svd = try SVD(test.matrix)
    let (left, right) = svd.balancedFactors
    #expect(TestRatio.difference(test.matrix, .product(left, right)) < 30)
    #expect(TestRatio.orthogonality(svd.u) < 30)
    #expect(TestRatio.orthogonality(svd.vt.transposed()) < 30)
    #expect(svd.singularValues == svd.singularValues.sorted(by: >))
    #expect(svd.singularValues.allSatisfy { $0 >= 0 })
  }

  @Test(arguments: NamedMatrix.zoo)
  func singlePrecisionDoesAsWell(test: NamedMatrix) throws {
    let matrix: Tensor<Float> = test.matrix.converted()
    let (left, right) = try SVD(matrix).balancedFactors
    let product = Tensor.product(left.converted(), right.converted())
    #expect(TestRatio.difference(matrix.converted(), product, epsilon: 0x1p-23) < 30)
  }

  @Test(arguments: [1, 2, 3, 10, 16, 50, 129])
  func eigenvectorsPutTheMatrixTogether(n: Int) throws {
    var generator = RandomGenerator(seed: UInt64(n))
    let half = Tensor<Double>([n, n], normalUsing: &generator)
    let matrix = Tensor.product(half, half.transposed())
    let eigen = try SymmetricEigen(matrix)
    var scaled = eigen.vectors
    for i in 0..<n {
      for j in 0..<n { scaled[i, j] *= eigen.values[j] }
    }
    #expect(TestRatio.difference(matrix, .product(scaled, eigen.vectors.transposed())) < 30)
    #expect(TestRatio.orthogonality(eigen.vectors) < 30)
    #expect(eigen.values == eigen.values.sorted(by: >))
  }

  /// Eckart and Young: the spectral error of the best rank r is singular value r + 1.
  @Test(arguments: [0, 1, 4, 9])
  func truncationIsOptimal(rank: Int) throws {
    var generator = RandomGenerator(seed: 8)
    let matrix = Tensor<Double>([12, 10], normalUsing: &generator)
    let svd = try SVD(matrix)
    let (left, right) = svd.truncated(to: rank).balancedFactors
    let approximation = rank == 0 ? Tensor(zeros: matrix.shape) : Tensor.product(left, right)
    var rest = matrix
    for i in 0..<12 {
      for j in 0..<10 { rest[i, j] -= approximation[i, j] }
    }
    let error = try SVD(rest).singularValues[0]
    #expect(abs(error - svd.singularValues[rank]) < 1e-12 * svd.singularValues[0])
  }

  @Test func energyAndRankBelongTogether() {
    let energies = [9.0, 4, 2, 1]
    #expect(Spectrum.energy(energies, rank: 2) == 13.0 / 16)
    #expect(Spectrum.rank(energies, keeping: 13.0 / 16) == 2)
    #expect(Spectrum.rank(energies, keeping: 0.82) == 3)
    #expect(Spectrum.rank(energies, keeping: 1) == 4)
    #expect(Spectrum.rank([0, 0], keeping: 0.9) == 1)
    #expect(Spectrum.energy([0, 0], rank: 1) == 1)
  }

  @Test(arguments: [1, 3], [(false, false), (true, false), (false, true), (true, true)])
  func matmulAgreesWithThePlainProduct(threads: Int, transposed: (Bool, Bool)) {
    var generator = RandomGenerator(seed: 9)
    let a = Tensor<Double>(transposed.0 ? [300, 70] : [70, 300], normalUsing: &generator)
    let b = Tensor<Double>(transposed.1 ? [40, 300] : [300, 40], normalUsing: &generator)
    let product = matmul(
      a, b, transposeA: transposed.0, transposeB: transposed.1, pool: ThreadPool(count: threads))
    let plain = Tensor.product(
      transposed.0 ? a.transposed() : a, transposed.1 ? b.transposed() : b)
    #expect(TestRatio.difference(plain, product) < 30)
  }
}
