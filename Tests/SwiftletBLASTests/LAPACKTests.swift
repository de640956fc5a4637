import SwiftletBLAS
import SwiftletCore
import Testing

struct LAPACKTests {
  @Test(arguments: [Double.nan, .infinity])
  func elementsThatAreNoNumbersAreRefused(bad: Double) {
    var matrix = Tensor<Double>(zeros: [3, 3])
    matrix[1, 2] = bad
    let error = SwiftletError(.badInput, "the 3×3 matrix has NaN or infinite elements")
    #expect(throws: error) { try LAPACK.svd(matrix) }
    #expect(throws: error) { try LAPACK.singularValues(of: matrix) }
    #expect(throws: error) { try LAPACK.symmetricEigen(matrix) }
  }

  @Test func valuesAloneAreTheSame() throws {
    var generator = RandomGenerator(seed: 4)
    let matrix = Tensor<Double>([13, 8], normalUsing: &generator)
    let (full, alone) = (try LAPACK.svd(matrix).s, try LAPACK.singularValues(of: matrix))
    for (a, b) in zip(full, alone) { #expect(abs(a - b) < 1e-13 * full[0]) }
  }

  @Test func moreThreadsGiveTheSameValues() throws {
    var generator = RandomGenerator(seed: 5)
    let matrix = Tensor<Double>([60, 60], normalUsing: &generator)
    let (one, two) = (try LAPACK.svd(matrix).s, try LAPACK.svd(matrix, threads: 2).s)
    for (a, b) in zip(one, two) { #expect(abs(a - b) < 1e-12 * one[0]) }
  }

  @Test func onlySquareMatricesHaveEigenvalues() {
    #expect(throws: SwiftletError.self) {
      try LAPACK.symmetricEigen(Tensor<Float>(zeros: [2, 3]))
    }
  }
}
