// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import Logging
import Swiftlet
import Synchronization

/// The terminal: messages and progress go to standard error, results to standard output.
enum Console {
  /// The state of the terminal.
  private struct State {
    /// Whether `--quiet` was given.
    var isQuiet = false
    /// Length of the progress line on screen.
    var shown = 0
    /// When progress was last shown.
    var last = ContinuousClock.now
  }

  private static let state = Mutex(State())
  private static let isTerminal = isatty(STDERR_FILENO) == 1

  static func beQuiet() { state.withLock { $0.isQuiet = true } }

  /// Prints a message, unless `--quiet` was given.
  static func say(_ line: String) {
    endProgress()
    guard !state.withLock({ $0.isQuiet }) else { return }
    write(line + "\n")
  }

  /// Prints a warning.
  static func warn(_ line: String) { say("swiftlet: warning: \(line)") }

  /// Prints results that may contain names from files, without control characters.
  static func print(_ text: String) {
    Swift.print(
      text.split(separator: "\n", omittingEmptySubsequences: false)
        .map { SwiftletError.printable(String($0), limit: .max) }.joined(separator: "\n"))
  }

  /// Prints the error line, even with `--quiet`.
  static func error(_ message: String) { write("swiftlet: error: \(message)\n") }

  /// Prints results as a JSON document on standard output, with the number of damaged pictures that
  /// were left out as `damaged`, if that was asked for.
  static func json(_ value: some Encodable, leftOut: DamagedPictures? = nil) throws {
    endProgress()
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    let document = try encoder.encode(ResultWithDamage(value, leftOut))
    Swift.print(String(decoding: document, as: UTF8.self))
  }

  /// Shows progress: on a terminal as one line that changes, else as a line every two seconds.
  /// Throws if the user has interrupted the work.
  static let progress: Progress.Handler = { progress in
    try Interruption.check()
    state.withLock { state in
      guard !state.isQuiet else { return }
      let interval: Duration = isTerminal ? .milliseconds(100) : .seconds(2)
      guard state.last.duration(to: .now) >= interval else { return }
      state.last = .now
      var line = progress.task
      if let total = progress.total { line += " \(progress.completed)/\(total)" }
      if let remark = progress.remark { line += ", \(remark)" }
      if isTerminal {
        let padding = String(repeating: " ", count: max(0, state.shown - line.count))
        write("\r\(line)\(padding)")
        state.shown = line.count
      } else {
        write(line + "\n")
      }
    }
  }

  /// Erases the progress line.
  static func endProgress() {
    state.withLock { state in
      if state.shown > 0 { write("\r\(String(repeating: " ", count: state.shown))\r") }
      state.shown = 0
    }
  }

  private static func write(_ text: String) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = unsafe bytes.withUnsafeBytes {
        unsafe Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count)
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return }
      bytes = bytes.dropFirst(count)
    }
  }

  static func bootstrapLogging() {
    LoggingSystem.bootstrap { _ in ConsoleLogHandler() }
  }
}

/// Sends the library's log to the console: notices as they are, warnings and errors with their
/// level.
private struct ConsoleLogHandler: LogHandler {
  var metadata: Logger.Metadata = [:]
  var logLevel: Logger.Level = .notice

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let prefix = event.level >= .warning ? "swiftlet: \(event.level): " : ""
    Console.say(SwiftletError.printable("\(prefix)\(event.message)", limit: 1000))
  }
}

/// Ctrl-C: the first one stops the work at the next safe point, the second one kills the process.
enum Interruption {
  private static let requested = Atomic(false)

  static func install() {
    // A closed pipe or a file size limit must not kill the process.
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    let handler: @convention(c) (Int32) -> Void = { number in
      Interruption.requested.store(true, ordering: .relaxed)
      signal(number, SIG_DFL)
    }
    // A parent may have started us with these signals blocked, as threads of thread pools do.
    var handled = sigset_t()
    unsafe sigemptyset(&handled)
    for number in [SIGINT, SIGTERM] {
      unsafe sigaddset(&handled, number)
      signal(number, handler)
    }
    unsafe pthread_sigmask(SIG_UNBLOCK, &handled, nil)
    endInOrder()
  }

  /// Turns crashes into exit code 70 with an error line, and failed memory allocations into exit
  /// code 2.
  private static func endInOrder() {
    MemoryLimit.whenExhausted = { bytes in
      Console.error(
        SwiftletError(
          .outOfMemory, "the system has no memory for a tensor of \(bytes) bytes",
          fix: "use a smaller batch, or set --max-memory"
        ).description)
      _exit(2)
    }
    for number in [SIGILL, SIGTRAP, SIGABRT, SIGSEGV, SIGBUS, SIGFPE] {
      signal(number) { number in
        let line: StaticString = "swiftlet: error: internal error: please report the input\n"
        _ = unsafe Glibc.write(STDERR_FILENO, line.utf8Start, line.utf8CodeUnitCount)
        _exit(70)
      }
    }
  }

  static func check() throws {
    if requested.load(ordering: .relaxed) { throw CancellationError() }
  }
}
