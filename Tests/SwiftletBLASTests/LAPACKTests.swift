import SwiftletBLAS
import SwiftletCore
import Testing

@Suite(.enabled(if: LAPACK.isInstalled))
struct LAPACKTests {
  @Test(arguments: [Double.nan, .infinity])
  func elementsThatAreNoNumbersAreRefused(bad: Double) {
    var matrix = Tensor<Double>(zeros: [3, 3])
    matrix[1, 2] = bad
    let error = SwiftletError(.badInput, "the 3×3 matrix has NaN or infinite elements")
    var workspace = Workspace<Double>()
    #expect(throws: error) { try LAPACK.svd(matrix, workspace: &workspace) }
    #expect(throws: error) { try LAPACK.singularValues(of: matrix, workspace: &workspace) }
    #expect(throws: error) { try LAPACK.symmetricEigen(matrix, workspace: &workspace) }
    #expect(throws: error) { try LAPACK.qr(matrix, workspace: &workspace) }
    #expect(throws: error) { try LAPACK.pivotedQR(matrix, workspace: &workspace) }
    #expect(throws: error) { try LAPACK.cholesky(matrix) }
    #expect(throws: error) { try LAPACK.lu(matrix) }
  }

  @Test func elementsWhoseSquaresOverflowAreFinite() throws {
    var workspace = Workspace<Double>()
    let matrix = Tensor<Double>([2, 1], [3e200, 4e200])
    #expect(
      try abs(LAPACK.singularValues(of: matrix, workspace: &workspace)[0] / 5e200 - 1) < 1e-14)
  }

  @Test func moreThreadsGiveTheSameValues() throws {
    var generator = RandomGenerator(seed: 5)
    let matrix = Tensor<Double>([60, 60], normalUsing: &generator)
    var workspace = Workspace<Double>()
    let one = try LAPACK.svd(matrix, workspace: &workspace).s
    let two = try LAPACK.svd(matrix, threads: 2, workspace: &workspace).s
    for (a, b) in zip(one, two) { #expect(abs(a - b) < 1e-12 * one[0]) }
  }

  @Test func aWorkspaceGrowsOnceAndIsReused() throws {
    var generator = RandomGenerator(seed: 6)
    var workspace = Workspace<Double>()
    #expect(workspace.elementCount == 0)
    let large = Tensor<Double>([30, 20], normalUsing: &generator)
    let first = try LAPACK.svd(large, workspace: &workspace)
    let size = workspace.elementCount
    #expect(size > 600)
    _ = try LAPACK.svd(
      Tensor<Double>([10, 9], normalUsing: &generator), workspace: &workspace)
    let again = try LAPACK.svd(large, workspace: &workspace)
    #expect(workspace.elementCount == size)
    #expect(first.s == again.s && first.u == again.u && first.vt == again.vt)
  }

  @Test func onlySquareMatricesHaveEigenvalues() {
    var workspace = Workspace<Float>()
    #expect(throws: SwiftletError(.badInput, "a 2×3 matrix is not square", at: "symmetricEigen")) {
      try LAPACK.symmetricEigen(Tensor<Float>(zeros: [2, 3]), workspace: &workspace)
    }
  }
}
