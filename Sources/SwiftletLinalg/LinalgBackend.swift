public import SwiftletBLAS
import SwiftletCore

/// What factorises matrices.
public enum LinalgBackend: String, Sendable, CaseIterable {
  /// LAPACK, through OpenBLAS.
  case lapack
  /// Algorithms of our own in Swift, on kernels of our own.
  case swift

  /// LAPACK where it is installed and like routines passed their self-check, else Swift.
  static func automatic(_ routine: SelfCheck.Routine) -> LinalgBackend {
    Backend.current.trusts(routine) ? .lapack : .swift
  }

  /// What singular values and factors of T are left to, unless something else is asked for.
  public static func automatic<T: BLASElement>(for _: T.Type) -> LinalgBackend {
    automatic(T.dtype == .float32 ? .sgesdd : .dgesdd)
  }

  /// What eigenvalues of T are left to, unless something else is asked for.
  public static func automaticForEigenvalues<T: BLASElement>(of _: T.Type) -> LinalgBackend {
    automatic(T.dtype == .float32 ? .ssyevd : .dsyevd)
  }

  /// Whether this build has it.
  public var isAvailable: Bool { self == .swift || LAPACK.isInstalled }
}
