// SPDX-License-Identifier: Apache-2.0

import Glibc
import SwiftletCore

/// Commands of the user's, run by the shell.
package enum ShellCommand {
  /// How a command ended.
  package enum Ending: Sendable, Equatable {
    case code(Int)
    case signal(Int)
  }

  /// How a command ended, and what it printed.
  package struct Result: Sendable {
    /// How it ended.
    package let ending: Ending
    /// The last line of standard output that is not blank, without spaces around it; empty if there
    /// is none.
    package let lastLine: String
    /// The same of standard error.
    package let lastError: String
  }

  /// Bytes that are kept of the end of each stream.
  private static let kept = 1 << 16

  /// Runs `/bin/sh -c command`, with arguments from `$1` on, and waits for it. Standard input is
  /// empty. The command and what it starts form a process group of their own, so that they end
  /// together.
  ///
  /// - Parameters:
  ///   - command: A command for the shell.
  ///   - arguments: Its arguments.
  ///   - whileWaiting: Called several times per second. If it throws, the command and what it has
  ///     started are ended, first with SIGTERM, a second later with SIGKILL.
  /// - Throws: `io` if the command cannot be started, and what `whileWaiting` throws.
  package static func run(
    _ command: String, _ arguments: [String], whileWaiting: () throws -> Void
  ) throws -> Result {
    var (output, errors) = (try Pipe(), try Pipe())
    defer {
      output.close()
      errors.close()
    }
    let child = try spawn(["sh", "-c", command, "sh"] + arguments, output.writer, errors.writer)
    output.closeWriter()
    errors.closeWriter()
    var status: Int32 = 0
    do {
      while unsafe waitpid(child, &status, WNOHANG) == 0 {
        Pipe.wait(for: output, errors, milliseconds: 100)
        output.drain(keeping: kept)
        errors.drain(keeping: kept)
        try whileWaiting()
      }
    } catch {
      end(child)
      throw error
    }
    output.drain(keeping: kept)
    errors.drain(keeping: kept)
    let signal = Int(status & 0x7f)
    return Result(
      ending: signal == 0 ? .code(Int(status >> 8 & 0xff)) : .signal(signal),
      lastLine: output.lastLine, lastError: errors.lastLine)
  }

  /// Ends a process group and waits for its first process.
  private static func end(_ child: pid_t) {
    kill(-child, SIGTERM)
    for _ in 0..<20 {
      // Leaves the process to be waited for, so that its number stays taken.
      var info = unsafe siginfo_t()
      unsafe waitid(P_PID, id_t(child), &info, WEXITED | WNOHANG | WNOWAIT)
      if unsafe info.si_signo != 0 { break }
      usleep(50_000)
    }
    kill(-child, SIGKILL)
    var status: Int32 = 0
    unsafe waitpid(child, &status, 0)
  }

  private static func spawn(
    _ arguments: [String], _ output: Int32, _ errors: Int32
  ) throws -> pid_t {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
    unsafe posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO)
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    // Signals that this process ignores or blocks are not the command's concern.
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    unsafe posix_spawnattr_setsigmask(&attributes, &signals)
    unsafe sigfillset(&signals)
    unsafe posix_spawnattr_setsigdefault(&attributes, &signals)
    unsafe posix_spawnattr_setpgroup(&attributes, 0)
    unsafe posix_spawnattr_setflags(
      &attributes,
      Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
    var pointers = unsafe arguments.map { unsafe strdup($0) }
    unsafe pointers.append(nil)
    defer { for index in unsafe pointers.indices { unsafe free(pointers[index]) } }
    var child: pid_t = 0
    let code = unsafe posix_spawn(&child, "/bin/sh", &actions, &attributes, pointers, environ)
    guard code == 0 else {
      throw SwiftletError(
        .io, "cannot start a command: \(unsafe String(cString: strerror(code)))", at: "/bin/sh")
    }
    return child
  }

  /// A pipe from a command, and the end of what came through it.
  private struct Pipe {
    private var reader: Int32
    private(set) var writer: Int32
    private var bytes: [UInt8] = []

    init() throws {
      var ends: [Int32] = [0, 0]
      guard unsafe pipe(&ends) == 0 else {
        throw SwiftletError(
          .io, "cannot create a pipe: \(unsafe String(cString: strerror(errno)))")
      }
      (reader, writer) = (ends[0], ends[1])
      for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
      _ = fcntl(reader, F_SETFL, O_NONBLOCK)
    }

    mutating func closeWriter() {
      if writer >= 0 { Glibc.close(writer) }
      writer = -1
    }

    private mutating func closeReader() {
      if reader >= 0 { Glibc.close(reader) }
      reader = -1
    }

    mutating func close() {
      closeWriter()
      closeReader()
    }

    /// Waits until something can be read, or for a time.
    static func wait(for first: Pipe, _ second: Pipe, milliseconds: Int32) {
      // Numbers below 0 are those of closed pipes, which are ignored.
      var ends = [first, second].map { pollfd(fd: $0.reader, events: Int16(POLLIN), revents: 0) }
      _ = unsafe poll(&ends, 2, milliseconds)
    }

    /// Reads what there is, and keeps the end of it.
    mutating func drain(keeping limit: Int) {
      guard reader >= 0 else { return }
      var buffer = [UInt8](repeating: 0, count: 1 << 14)
      while true {
        let count = unsafe read(reader, &buffer, buffer.count)
        if count < 0 && errno == EINTR { continue }
        if count == 0 { closeReader() }
        guard count > 0 else { return }
        bytes += buffer[..<count]
        if bytes.count > 2 * limit { bytes.removeFirst(bytes.count - limit) }
      }
    }

    var lastLine: String {
      let space: Set<UInt8> = [0x20, 0x09, 0x0d, 0x0b, 0x0c]
      let line = bytes.split(separator: 0x0a).last { !$0.allSatisfy(space.contains) } ?? []
      let start = line.drop(while: space.contains)
      let end = start.lastIndex { !space.contains($0) }.map { start[...$0] } ?? []
      return String(decoding: end, as: UTF8.self)
    }
  }
}
