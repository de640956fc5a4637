// SPDX-License-Identifier: Apache-2.0

internal import CSwiftletABI
import Logging
import SwiftletCore

/// A failed call whose error is not a ``SwiftletError`` of the library.
struct Refusal: Error {
  let status: swiftlet_status
  let error: SwiftletError

  /// A mistake of the calling program.
  static func usage(_ what: String, at location: String? = nil, fix: String? = nil) -> Refusal {
    Refusal(
      status: SWIFTLET_USAGE, error: SwiftletError(.badInput, what, at: location, fix: fix))
  }

  /// A callback asked to stop. Unlike for `CancellationError`, no search goes on with what it has.
  static var cancelled: Refusal {
    Refusal(
      status: SWIFTLET_CANCELLED,
      error: SwiftletError(.badInput, "cancelled: no output file was changed"))
  }
}

/// A library reports problems on standard error, but not its progress.
private let quietLogging: Void = LoggingSystem.bootstrap { label in
  var handler = StreamLogHandler.standardError(label: label)
  handler.logLevel = .warning
  return handler
}

/// Runs the body of a C function: an error becomes a status, and the thread's last error.
@inline(__always)
func call(_ body: () throws -> Void) -> swiftlet_status {
  guard swl_call_begin() else {
    return failed(
      SWIFTLET_INTERNAL,
      SwiftletError(
        .internal, "the process was forked while another thread was inside Swiftlet",
        fix: "fork before the call, or exec after the fork"))
  }
  defer { swl_call_end() }
  _ = quietLogging
  do {
    try body()
    return SWIFTLET_OK
  } catch {
    return failed(error)
  }
}

@inline(never)
private func failed(_ error: any Error) -> swiftlet_status {
  switch error {
  case let refusal as Refusal: failed(refusal.status, refusal.error)
  case let error as SwiftletError: failed(status(of: error), error)
  default: failed(SWIFTLET_INTERNAL, SwiftletError(.internal, "\(error)"))
  }
}

private func status(of error: SwiftletError) -> swiftlet_status {
  switch error.code {
  case .badInput, .numerical, .io: SWIFTLET_BAD_INPUT
  case .unsupported: SWIFTLET_UNSUPPORTED
  case .interrupted: SWIFTLET_CANCELLED
  case .outOfMemory: SWIFTLET_OUT_OF_MEMORY
  default: SWIFTLET_INTERNAL
  }
}

private func failed(_ status: swiftlet_status, _ error: SwiftletError) -> swiftlet_status {
  var line = error.description
  line.withUTF8 { bytes in
    unsafe bytes.withMemoryRebound(to: CChar.self) { text in
      unsafe swl_set_last_error(text.baseAddress, text.count)
    }
  }
  return status
}
