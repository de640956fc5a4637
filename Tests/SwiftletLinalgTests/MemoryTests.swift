// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore
import SwiftletLinalg
import Testing

/// Computations with more than any machine has are refused before they begin: the matrix here is
/// one element, repeated.
struct MemoryTests {
  static let backends = SymmetricEigenTests.backends
  private let huge = Tensor<Float>([1, 1], [1]).broadcast(to: [1 << 21, 1 << 21])

  private func expectOutOfMemory(
    sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void
  ) {
    let error = #expect(throws: SwiftletError.self, sourceLocation: sourceLocation) { try body() }
    #expect(error?.code == .outOfMemory, sourceLocation: sourceLocation)
    #expect(error?.description.contains(" needs ") == true, sourceLocation: sourceLocation)
  }

  @Test(arguments: backends) func factorsThatDoNotFitAreRefused(backend: LinalgBackend) {
    expectOutOfMemory { _ = try SymmetricEigen(huge, backend: backend) }
    expectOutOfMemory { _ = try SymmetricEigen(huge, largest: 2, backend: backend) }
    expectOutOfMemory { _ = try SymmetricEigen.values(of: huge, backend: backend) }
    expectOutOfMemory { _ = try QR(huge, backend: backend) }
    expectOutOfMemory { _ = try PivotedQR(huge, backend: backend) }
    expectOutOfMemory { _ = try Cholesky(huge, backend: backend) }
    expectOutOfMemory { _ = try LU(huge, backend: backend) }
    expectOutOfMemory { _ = try leastSquares(huge, huge, backend: backend) }
    expectOutOfMemory { _ = try RandomizedSVD().svd(huge, rank: 3, backend: backend) }
    expectOutOfMemory { _ = try RandomizedSVD().svd(huge, tolerance: 0.1, backend: backend) }
  }

  @Test(arguments: SVD<Float>.Method.allCases.filter(\.isAvailable))
  func decompositionsThatDoNotFitAreRefused(method: SVD<Float>.Method) {
    expectOutOfMemory { _ = try SVD(huge, method: method) }
    expectOutOfMemory { _ = try SVD.values(of: huge, method: method) }
  }

  /// U of a tall matrix with all its vectors is far larger than the matrix.
  @Test(arguments: [SVD<Float>.Method.gesdd, .swift].filter(\.isAvailable))
  func allVectorsOfATallMatrixAreCounted(method: SVD<Float>.Method) {
    expectOutOfMemory {
      _ = try SVD(Tensor<Float>(zeros: [1 << 22, 1]), vectors: .full, method: method)
    }
  }
}
