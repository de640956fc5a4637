// SPDX-License-Identifier: Apache-2.0

/// The release of Swiftlet.
public enum Release {
  /// The semantic version; `swiftlet.h` and the command report the same.
  public static let version = "0.1.0"
}
