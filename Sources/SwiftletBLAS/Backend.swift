// SPDX-License-Identifier: Apache-2.0

import Glibc
import Logging
import SwiftletCore

/// The BLAS in use, and whether it can be trusted.
///
/// Chosen once per process. `SWIFTLET_BLAS=openblas|swift` overrides the choice: `swift` selects
/// our own kernels, `openblas` (the default) OpenBLAS where it passes its self-check.
public struct Backend: Sendable {
  /// OpenBLAS's description of itself: version and options. Reading it does not run the self-check.
  public static let configuration = OpenBLAS.configuration
  /// The kernels that OpenBLAS chose for this CPU.
  public static let core = OpenBLAS.core
  /// The results of the self-check, one verdict per routine; empty without OpenBLAS.
  public let verdicts: [SelfCheck.Verdict]
  /// Whether matrix products use OpenBLAS.
  public let usesOpenBLAS: Bool
  /// Why products do not use OpenBLAS; `nil` if they do.
  public let replacementReason: String?

  /// The one that this process uses, determined at the first use.
  public static let current = Backend()

  private init() {
    #if PureSwift
      (verdicts, replacementReason) = ([], "this build has no OpenBLAS")
    #else
      guard OpenBLAS.hasRoom else {
        (verdicts, replacementReason) = ([], "the system has no memory for OpenBLAS's buffers")
        usesOpenBLAS = false
        return
      }
      verdicts = SelfCheck.run(.installed)
      let failed = verdicts.filter { !$0.passed }
      for verdict in failed {
        Logger.swiftlet("blas").warning(
          "\(verdict.routine.rawValue) of OpenBLAS \(Self.core) is not used: \(verdict.remark)")
      }
      let asked = unsafe getenv("SWIFTLET_BLAS").map { unsafe String(cString: $0) }
      if let asked, !["openblas", "swift"].contains(asked) {
        Logger.swiftlet("blas").warning(
          "SWIFTLET_BLAS=\(asked) is ignored: use openblas or swift")
      }
      replacementReason =
        asked == "swift"
        ? "SWIFTLET_BLAS=swift"
        : failed.first { [.sgemm, .dgemm].contains($0.routine) }.map {
          "\($0.routine.rawValue) failed its self-check"
        }
    #endif
    usesOpenBLAS = replacementReason == nil
  }

  /// The name of the BLAS that multiplies matrices.
  public var name: String { usesOpenBLAS ? "OpenBLAS" : "Swift" }

  /// Whether LAPACK can be trusted with factorizations like `routine`.
  package func trusts(_ routine: SelfCheck.Routine) -> Bool {
    usesOpenBLAS && verdicts.contains { $0.routine == routine && $0.passed }
  }
}
