/// What went wrong, where, and what to do about it.
///
/// One error type serves the whole package. Its ``description`` is the one line that the command
/// line prints: `WHAT (WHERE): MEND`. Programmer mistakes (a shape mismatch written in code) trap
/// with `precondition`; everything that data can cause (files, graphs, values) throws this.
public struct SwiftletError: Error, Sendable, Hashable {
  /// The kind of failure. An open set: later versions may add codes.
  public struct Code: Sendable, Hashable {
    private enum Kind {
      case badInput, unsupported, numerical, io, outOfMemory, interrupted, `internal`
    }
    private let kind: Kind

    /// A file, shape, value or flag that cannot be used as given.
    public static let badInput = Code(kind: .badInput)
    /// Well-formed input that asks for something Swiftlet does not do.
    public static let unsupported = Code(kind: .unsupported)
    /// A computation left the finite numbers or did not converge.
    public static let numerical = Code(kind: .numerical)
    /// The operating system refused to read or write.
    public static let io = Code(kind: .io)
    /// The user has stopped the work; what was finished is kept, where the message says so.
    public static let interrupted = Code(kind: .interrupted)
    /// More memory is needed than the limit allows or the machine has.
    public static let outOfMemory = Code(kind: .outOfMemory)
    /// A defect of Swiftlet or of a library below it.
    public static let `internal` = Code(kind: .internal)

    /// The process exit code that the command line promises for this kind of failure.
    public var exitCode: Int32 {
      switch kind {
      case .badInput, .numerical, .io, .outOfMemory: 2
      case .unsupported: 3
      case .interrupted: 130
      case .internal: 70
      }
    }
  }

  public let code: Code
  /// What is wrong, in one clause, with the numbers in it.
  public let what: String
  /// The file, node, tensor or flag concerned.
  public let location: String?
  /// What the user can do about it.
  public let mend: String?

  public init(_ code: Code, _ what: String, at location: String? = nil, mend: String? = nil) {
    self.code = code
    self.what = what
    self.location = location
    self.mend = mend
  }

  /// The same error, placed more precisely: the outer location comes first, unless it is there.
  public func located(at outer: String) -> SwiftletError {
    if let location, location.hasPrefix(outer) { return self }
    return SwiftletError(code, what, at: location.map { "\(outer), \($0)" } ?? outer, mend: mend)
  }
}

extension SwiftletError: CustomStringConvertible {
  /// One line without control characters, whatever the input held. With the name of the command in
  /// front it has at most 400 characters.
  public var description: String {
    var line = what
    if let location { line += " (\(location))" }
    if let mend { line += ": \(mend)" }
    return Self.printable(line)
  }

  package static func printable(_ text: String, limit: Int = 380) -> String {
    var scalars = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      if scalars.count == limit - 1 {
        scalars.append("…")
        break
      }
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator: scalars.append("?")
      default: scalars.append(scalar)
      }
    }
    return String(scalars)
  }
}

/// Runs `body` and puts `location` in front of the place that a ``SwiftletError`` names.
public func locating<R>(_ location: @autoclosure () -> String, _ body: () throws -> R) throws -> R {
  do {
    return try body()
  } catch let error as SwiftletError {
    throw error.located(at: location())
  }
}
