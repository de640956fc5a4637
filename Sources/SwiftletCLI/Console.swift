// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import Logging
import Swiftlet
import Synchronization

/// What a person sees: text and progress on standard error, results on standard output.
enum Console {
  private struct State {
    var isQuiet = false
    var shown = 0
    var last = ContinuousClock.now
  }

  private static let state = Mutex(State())
  private static let isTerminal = isatty(STDERR_FILENO) == 1

  static func beQuiet() { state.withLock { $0.isQuiet = true } }

  /// Prints a line for a person.
  static func say(_ line: String) {
    endProgress()
    guard !state.withLock({ $0.isQuiet }) else { return }
    write(line + "\n")
  }

  /// Prints a line about what casts doubt on results.
  static func warn(_ line: String) { say("swiftlet: warning: \(line)") }

  /// Prints text whose names come from files: without their control characters.
  static func print(_ text: String) {
    Swift.print(
      text.split(separator: "\n", omittingEmptySubsequences: false)
        .map { SwiftletError.printable(String($0), limit: .max) }.joined(separator: "\n"))
  }

  /// Prints the one error line; not even `--quiet` hides it.
  static func error(_ message: String) { write("swiftlet: error: \(message)\n") }

  /// Prints results as one JSON document on standard output.
  static func json(_ value: some Encodable) throws {
    endProgress()
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    Swift.print(String(decoding: try encoder.encode(value), as: UTF8.self))
  }

  /// Shows progress: on a terminal as one line that changes, else as a line now and then. Stops the
  /// work if the user has interrupted it.
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

  /// Wipes the changing line.
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

/// Sends the library's log to the console: notices as they are, worse with their level.
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

/// Ctrl-C: the first one asks the work to stop at the next safe place, the second one kills.
enum Interruption {
  private static let requested = Atomic(false)

  static func install() {
    // A reader that goes away, or a limit on file sizes, must not end us by a signal.
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    let handler: @convention(c) (Int32) -> Void = { number in
      Interruption.requested.store(true, ordering: .relaxed)
      signal(number, SIG_DFL)
    }
    // A parent may have left the signals blocked: threads of thread pools do.
    var handled = sigset_t()
    unsafe sigemptyset(&handled)
    for number in [SIGINT, SIGTERM] {
      unsafe sigaddset(&handled, number)
      signal(number, handler)
    }
    unsafe pthread_sigmask(SIG_UNBLOCK, &handled, nil)
    endInOrder()
  }

  /// Whatever defect of ours would end the process by a signal ends it with exit code 70 and a line
  /// that says so, and what the system has no memory for with exit code 2.
  private static func endInOrder() {
    MemoryLimit.whenExhausted = { bytes in
      Console.error(
        SwiftletError(
          .outOfMemory, "the system has no memory for a tensor of \(bytes) bytes",
          mend: "use a smaller batch, or set --max-memory"
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
