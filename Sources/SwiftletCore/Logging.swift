public import Logging

extension Logger {
  /// The logger of one module, labelled `swiftlet.NAME`. Where it writes is up to the application
  /// (`LoggingSystem.bootstrap`).
  public static func swiftlet(_ name: String) -> Logger { Logger(label: "swiftlet.\(name)") }
}
