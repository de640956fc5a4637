// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore
import Testing

@Suite(.enabled(if: LAPACK.isInstalled))
struct SelfCheckTests {
  @Test func theInstalledLibraryIsTried() {
    #expect(Backend.current.verdicts.map(\.routine) == SelfCheck.Routine.allCases)
    for verdict in Backend.current.verdicts { #expect(verdict.ratio.isFinite) }
  }

  @Test func aWrongProductIsFound() {
    var routines = SelfCheck.Routines.installed
    let honest = routines.sgemm
    routines.sgemm = { a, b in
      var c = honest(a, b)
      // One wrong element in one large case, as a broken edge kernel would give.
      if c.shape == [65, 66] { c[64, 65] += 0.01 }
      return c
    }
    #expect(failures(routines) == [.sgemm])
  }

  @Test func aProductThatIsWrongInLargeCasesOnlyIsFound() {
    var routines = SelfCheck.Routines.installed
    let honest = routines.sgemm
    routines.sgemm = { a, b in
      var c = honest(a, b)
      if a.count * b.shape[1] > 1_000_000 { c[0, 0] += 0.01 }
      return c
    }
    #expect(failures(routines) == [.sgemm])
  }

  @Test func aProductOfNaNIsFound() {
    var routines = SelfCheck.Routines.installed
    routines.dgemm = { a, b in Tensor([a.shape[0], b.shape[1]], repeating: .nan) }
    #expect(failures(routines) == [.dgemm])
  }

  @Test func aWrongFactorisationIsFound() {
    var routines = SelfCheck.Routines.installed
    let (svd, eigen) = (routines.sgesdd, routines.dsyevd)
    routines.sgesdd = {
      let (u, s, vt) = try svd($0)
      return (u, s.map { $0 * 1.001 }, vt)
    }
    routines.dsyevd = {
      let (values, vectors) = try eigen($0)
      return (values.reversed(), vectors)
    }
    let (doubleSVD, floatEigen) = (routines.dgesdd, routines.ssyevd)
    routines.dgesdd = {
      let (u, s, vt) = try doubleSVD($0)
      return (u.map { -$0 }, s, vt)
    }
    routines.ssyevd = {
      let (values, vectors) = try floatEigen($0)
      return (values, vectors.transposed().contiguous())
    }
    #expect(failures(routines) == [.sgesdd, .dgesdd, .ssyevd, .dsyevd])
  }

  @Test func aRoutineThatFailsIsNamed() {
    var routines = SelfCheck.Routines.installed
    routines.dsyevd = { _ in throw SwiftletError(.numerical, "did not converge") }
    #expect(failures(routines) == [.dsyevd])
  }

  private func failures(_ routines: SelfCheck.Routines) -> [SelfCheck.Routine] {
    SelfCheck.run(routines).filter { !$0.passed }.map(\.routine)
  }
}
