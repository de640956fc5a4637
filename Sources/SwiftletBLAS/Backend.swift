internal import COpenBLAS
import Glibc
import Logging
import SwiftletCore

/// Which BLAS does the work, and whether it can be trusted.
///
/// Chosen once per process. `SWIFTLET_BLAS=openblas|swift` overrides the choice for products of
/// matrices: `swift` takes our own loops, `openblas` (the default) OpenBLAS if it passes its
/// self-check.
public struct Backend: Sendable {
  /// What OpenBLAS calls itself: version and options. Asking does not start the self-check.
  public static let configuration = unsafe String(cString: openblas_get_config()).trimmedSpaces
  /// The kernels that OpenBLAS chose for this CPU.
  public static let core = unsafe String(cString: openblas_get_corename())
  /// What the self-check found, one verdict per routine.
  public let verdicts: [SelfCheck.Verdict]
  /// Whether matrix products go to OpenBLAS.
  @usableFromInline let usesOpenBLAS: Bool
  /// Why products do not go to OpenBLAS; `nil` if they do.
  public let replacementReason: String?

  public static let current = Backend()

  private init() {
    // Parallel work is split above BLAS; see ``BLAS``.
    openblas_set_num_threads(1)
    verdicts = SelfCheck.run(.installed)
    let failed = verdicts.filter { !$0.passed }
    for verdict in failed {
      Logger.swiftlet("blas").warning(
        "\(verdict.routine.rawValue) of OpenBLAS \(Self.core) is refused: \(verdict.remark)")
    }
    let override = unsafe getenv("SWIFTLET_BLAS").map { unsafe String(cString: $0) }
    if override == "swift" {
      replacementReason = "SWIFTLET_BLAS=swift"
    } else if let bad = failed.first(where: { [.sgemm, .dgemm].contains($0.routine) }) {
      replacementReason = "\(bad.routine.rawValue) failed its self-check"
    } else {
      replacementReason = nil
    }
    usesOpenBLAS = replacementReason == nil
  }

  /// The name of what multiplies matrices.
  public var name: String { usesOpenBLAS ? "OpenBLAS" : "Swift loops" }

  /// - Throws: `internal` if the routine failed its self-check.
  func requireTrusted(_ routine: SelfCheck.Routine) throws {
    guard let verdict = verdicts.first(where: { $0.routine == routine }), !verdict.passed else {
      return
    }
    throw SwiftletError(
      .internal, "\(routine.rawValue) failed its self-check: \(verdict.remark)",
      at: "OpenBLAS \(Self.core)", mend: "install another BLAS, or set OPENBLAS_CORETYPE=Haswell")
  }
}

extension String {
  fileprivate var trimmedSpaces: String {
    split(separator: " ").joined(separator: " ")
  }
}
