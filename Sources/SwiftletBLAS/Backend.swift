import Glibc
import Logging
import SwiftletCore

/// Which BLAS does the work, and whether it can be trusted.
///
/// Chosen once per process. `SWIFTLET_BLAS=openblas|swift` overrides the choice: `swift` takes our
/// own kernels, `openblas` (the default) OpenBLAS as far as it passes its self-check.
public struct Backend: Sendable {
  /// What OpenBLAS calls itself: version and options. Asking does not start the self-check.
  public static let configuration = OpenBLAS.configuration
  /// The kernels that OpenBLAS chose for this CPU.
  public static let core = OpenBLAS.core
  /// What the self-check found, one verdict per routine; empty without OpenBLAS.
  public let verdicts: [SelfCheck.Verdict]
  /// Whether matrix products go to OpenBLAS.
  public let usesOpenBLAS: Bool
  /// Why products do not go to OpenBLAS; `nil` if they do.
  public let replacementReason: String?

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
          "\(verdict.routine.rawValue) of OpenBLAS \(Self.core) is refused: \(verdict.remark)")
      }
      let asked = unsafe getenv("SWIFTLET_BLAS").map { unsafe String(cString: $0) }
      if let asked, !["openblas", "swift"].contains(asked) {
        Logger.swiftlet("blas").warning(
          "SWIFTLET_BLAS=\(asked) is neither openblas nor swift, and is ignored")
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

  /// The name of what multiplies matrices.
  public var name: String { usesOpenBLAS ? "OpenBLAS" : "Swift" }

  /// Whether factorisations like `routine` may be left to LAPACK.
  package func trusts(_ routine: SelfCheck.Routine) -> Bool {
    usesOpenBLAS && verdicts.contains { $0.routine == routine && $0.passed }
  }
}
