// SPDX-License-Identifier: Apache-2.0

public import SwiftletBLAS
import SwiftletCore

/// The backend that factors matrices.
public enum LinalgBackend: String, Sendable, CaseIterable {
  /// LAPACK, through OpenBLAS.
  case lapack
  /// Our own algorithms and kernels in Swift.
  case swift

  /// LAPACK if it is installed and similar routines passed their self-check, otherwise Swift.
  static func automatic(_ routine: SelfCheck.Routine) -> LinalgBackend {
    Backend.current.trusts(routine) ? .lapack : .swift
  }

  /// The default backend for singular values and factors of T.
  public static func automatic<T: BLASElement>(for _: T.Type) -> LinalgBackend {
    automatic(T.dtype == .float32 ? .sgesdd : .dgesdd)
  }

  /// The default backend for eigenvalues of T.
  public static func automaticForEigenvalues<T: BLASElement>(of _: T.Type) -> LinalgBackend {
    automatic(T.dtype == .float32 ? .ssyevd : .dsyevd)
  }

  /// Whether this build includes it.
  public var isAvailable: Bool { self == .swift || LAPACK.isInstalled }
}
