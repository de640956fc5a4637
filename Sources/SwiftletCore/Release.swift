/// Which Swiftlet this is.
public enum Release {
  /// The version, by the rules of semantic versioning; `swiftlet.h` and the command say the same.
  public static let version = "0.1.0"
}
