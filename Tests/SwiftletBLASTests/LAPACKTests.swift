// SPDX-License-Identifier: Apache-2.0

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
    #expect(throws: error) { try LAPACK.cholesky(matrix.transposed().contiguous()) }
    #expect(throws: error) { try LAPACK.lu(matrix) }
  }

  /// LAPACK counts a workspace in 32 bits. What takes 4·r² elements for vectors takes a few for
  /// values, and what `?syevd` cannot count `?syevr` can.
  @Test func workspacesAreCountedByWhatIsComputed() {
    #expect(LAPACK.canFindVectors(23_000, 23_000) && LAPACK.canFindVectors(1 << 30, 10))
    #expect(!LAPACK.canFindVectors(23_200, 23_200) && !LAPACK.canFindVectors(40_000, 23_500))
    #expect(LAPACK.divideAndConquerWorkspace(32_766) <= Int(Int32.max))
    #expect(LAPACK.divideAndConquerWorkspace(32_767) > Int(Int32.max))
    for n in [23_170, 23_500, 40_000, 1_000_000] {
      #expect(LAPACK.least(.gesdd, job: "N", n, n) == 10 * n)
      #expect(LAPACK.least(.gesvd, job: "N", n, n) == 6 * n)
    }
    #expect(LAPACK.least(.gesdd, job: "S", 300, 200) == 4 * 40_000 + 1400 + 300)
  }

  /// What takes over where `?syevd` cannot count its workspace.
  @Test(arguments: [1, 2, 40]) func allEigenvaluesByEitherDriver(n: Int) throws {
    var generator = RandomGenerator(seed: 8)
    let half = Tensor<Double>([n, n], normalUsing: &generator)
    var matrix = half
    for i in 0..<n { for j in 0..<i { matrix[i, j] = half[j, i] } }
    var workspace = Workspace<Double>()
    let one = try LAPACK.symmetricEigen(matrix, workspace: &workspace)
    let other = try LAPACK.symmetricEigen(matrix, largest: n, workspace: &workspace)
    let alone = try LAPACK.symmetricEigenvalues(of: matrix, workspace: &workspace)
    #expect(other.vectors.shape == [n, n])
    for i in 0..<n {
      #expect(abs(one.values[i] - other.values[i]) < 1e-12)
      #expect(abs(one.values[i] - alone[i]) < 1e-12)
    }
  }

  /// Far more than any machine has, of one element.
  @Test func whatDoesNotFitIntoMemoryIsRefusedBeforeItIsRead() {
    let huge = Tensor<Double>([1, 1], [1]).broadcast(to: [1 << 21, 1 << 21])
    var workspace = Workspace<Double>()
    func expectOutOfMemory(_ body: (inout Workspace<Double>) throws -> Void) {
      let error = #expect(throws: SwiftletError.self) { try body(&workspace) }
      #expect(error?.code == .outOfMemory, "\(String(describing: error))")
      #expect(error?.code.exitCode == 2)
      #expect(error?.what.contains("2097152×2097152 needs ") == true)
    }
    expectOutOfMemory { _ = try LAPACK.svd(huge, workspace: &$0) }
    expectOutOfMemory { _ = try LAPACK.svd(huge, driver: .gesvd, workspace: &$0) }
    expectOutOfMemory { _ = try LAPACK.singularValues(of: huge, workspace: &$0) }
    expectOutOfMemory { _ = try LAPACK.symmetricEigen(huge, workspace: &$0) }
    expectOutOfMemory { _ = try LAPACK.symmetricEigen(huge, largest: 3, workspace: &$0) }
    expectOutOfMemory { _ = try LAPACK.symmetricEigenvalues(of: huge, workspace: &$0) }
    expectOutOfMemory { _ = try LAPACK.qr(huge, workspace: &$0) }
    expectOutOfMemory { _ = try LAPACK.pivotedQR(huge, workspace: &$0) }
    expectOutOfMemory { _ in _ = try LAPACK.cholesky(huge) }
    expectOutOfMemory { _ in _ = try LAPACK.lu(huge) }
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
