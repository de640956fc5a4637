// SPDX-License-Identifier: Apache-2.0

/// An error: what is wrong, where, and how to fix it.
///
/// The whole package uses this error type. Its ``description`` is the line that the command prints:
/// `WHAT (WHERE): HOW TO FIX IT`. Programming errors (a shape mismatch in code) trap with
/// `precondition`; every error that data can cause (files, graphs, values) throws this type.
public struct SwiftletError: Error, Sendable, Hashable {
  /// The kind of failure. The set is open: later versions may add codes.
  public struct Code: Sendable, Hashable {
    private enum Kind {
      case badInput, unsupported, numerical, io, outOfMemory, interrupted, `internal`
    }
    private let kind: Kind

    /// A file, shape, value or flag that cannot be used as given.
    public static let badInput = Code(kind: .badInput)
    /// Well-formed input that requires an unsupported feature.
    public static let unsupported = Code(kind: .unsupported)
    /// A computation produced non-finite numbers or did not converge.
    public static let numerical = Code(kind: .numerical)
    /// The operating system failed to read or write.
    public static let io = Code(kind: .io)
    /// The user stopped the work; finished parts are kept if the message says so.
    public static let interrupted = Code(kind: .interrupted)
    /// The operation needs more memory than the limit allows or the machine has.
    public static let outOfMemory = Code(kind: .outOfMemory)
    /// A defect of Swiftlet or of a library below it.
    public static let `internal` = Code(kind: .internal)

    /// The exit code of the command for this kind of failure.
    public var exitCode: Int32 {
      switch kind {
      case .badInput, .numerical, .io, .outOfMemory: 2
      case .unsupported: 3
      case .interrupted: 130
      case .internal: 70
      }
    }
  }

  /// The kind of failure; it decides the command's exit code.
  public let code: Code
  /// What is wrong, in one clause, including the numbers.
  public let what: String
  /// The file, node, tensor or flag in question.
  public let location: String?
  /// How the user can fix it.
  public let fix: String?

  /// An error in one line, `what (location): fix`.
  public init(_ code: Code, _ what: String, at location: String? = nil, fix: String? = nil) {
    self.code = code
    self.what = what
    self.location = location
    self.fix = fix
  }

  /// The same error with a more precise location: the outer location comes first, unless it is
  /// already there.
  public func located(at outer: String) -> SwiftletError {
    if let location, location.hasPrefix(outer) { return self }
    return SwiftletError(code, what, at: location.map { "\(outer), \($0)" } ?? outer, fix: fix)
  }
}

extension SwiftletError: CustomStringConvertible {
  /// One line without control characters, whatever the input contained. Including the name of the
  /// command it has at most 400 characters.
  public var description: String {
    var line = what
    if let location { line += " (\(location))" }
    if let fix { line += ": \(fix)" }
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

/// Runs `body` and prefixes `location` to the location of any ``SwiftletError`` it throws.
public func locating<R>(_ location: @autoclosure () -> String, _ body: () throws -> R) throws -> R {
  do {
    return try body()
  } catch let error as SwiftletError {
    throw error.located(at: location())
  }
}
