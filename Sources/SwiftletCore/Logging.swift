// SPDX-License-Identifier: Apache-2.0

public import Logging

extension Logger {
  /// The logger of one module, labelled `swiftlet.NAME`. The application chooses its destination
  /// (`LoggingSystem.bootstrap`).
  public static func swiftlet(_ name: String) -> Logger { Logger(label: "swiftlet.\(name)") }
}
