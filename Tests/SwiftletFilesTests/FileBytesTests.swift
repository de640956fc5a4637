// SPDX-License-Identifier: Apache-2.0

import Glibc
import SwiftletCore
import SwiftletFiles
import Testing
import _SwiftletTestSupport

/// Bytes of files that are read piece by piece.
struct FileBytesTests {
  @Test(arguments: [0, 1, 5000])
  func piecesAreThoseOfTheFile(count: Int) throws {
    try withTemporaryFolder { folder in
      let bytes = randomBytes(count, seed: 5)
      try put(bytes, folder, "a")
      for file in [try FileBytes(reading: "\(folder)/a"), FileBytes(bytes, name: "a")] {
        #expect(file.count == count)
        for range in [0..<count, count / 3..<count / 2, count..<count] {
          #expect(try file.bytes(in: range) == bytes[range])
        }
      }
    }
  }

  @Test func whatIsNoFileIsRefused() throws {
    try withTemporaryFolder { folder in
      expectError(.io, "none", "check the path") { try FileBytes(reading: "\(folder)/none") }
      expectError(.io, "folder, not a file") { try FileBytes(reading: folder) }
      expectError(.io, "device or a pipe") { try FileBytes(reading: "/dev/zero") }
      expectError(.badInput, "empty") { try FileBytes(reading: "") }
    }
  }

  /// Files that were closed to open others must be the same when they are opened again.
  @Test func replacedFilesAreNoticed() throws {
    try withTemporaryFolder { folder in
      let names = (0..<40).map { "\(folder)/\($0)" }
      for index in names.indices { try put([UInt8(index), 1, 2], folder, "\(index)") }
      let files = try names.map { try FileBytes(reading: $0) }
      for (index, file) in files.enumerated() {
        #expect(try file.bytes(in: 0..<1) == [UInt8(index)])
      }
      try AtomicFile.write([9, 9, 9], to: names[0])
      for file in files[1...] { #expect(try file.bytes(in: 1..<3) == [1, 2]) }
      expectError(.io, names[0], "changed") { try files[0].bytes(in: 0..<1) }
      unsafe unlink(names[1])
      for file in files[2...] { #expect(try file.bytes(in: 1..<3) == [1, 2]) }
      expectError(.io, names[1], "No such file") { try files[1].bytes(in: 0..<1) }
    }
  }
}

/// Bytes that are kept for the time of a run.
struct ScratchTests {
  @Test func bytesAreKeptInMemoryAndInAFile() throws {
    try withTemporaryFolder { folder in
      let scratch = Scratch(limit: 100, folder: folder)
      let parts = [60, 0, 30, 5000, 9, 1, 200].map { randomBytes($0, seed: UInt64($0)) }
      let kept = try parts.map { part in
        try scratch.keep(part.count, name: "part") { sink in
          try sink(part.span.extracting(..<(part.count / 2)))
          try sink(part.span.extracting((part.count / 2)...))
        }
      }
      // The 9 bytes fit beside the 60 and the 30; the one after them too.
      #expect(kept.map(\.isInMemory) == [true, true, true, false, true, true, false])
      for (part, file) in zip(parts, kept) {
        #expect(file.count == part.count)
        #expect(try Array(file.bytes(in: 0..<part.count)) == part)
      }
      // The file has no name, so that nothing is left however the process ends.
      #expect(try names(in: folder).isEmpty)
    }
  }

  @Test func foldersWithoutRoomAreNamed() throws {
    try withTemporaryFolder { folder in
      let missing = Scratch(limit: 0, folder: "\(folder)/none")
      expectError(.io, "\(folder)/none", "TMPDIR") {
        try missing.keep(1, name: "x") { _ in Issue.record("there is no file") }
      }
      let scratch = Scratch(limit: 0, folder: folder)
      expectError(.io, folder, "array 'x' expands to", "TMPDIR") {
        try scratch.keep(1 << 60, name: "array 'x'") { _ in Issue.record("nothing fits") }
      }
    }
  }

  @Test func errorsOfWritingAreReported() async {
    await #expect(processExitsWith: .success) { try expandBeyondTheSizeLimit() }
  }
}

/// Sets a limit, for the whole process, on the size of files.
private func expandBeyondTheSizeLimit() throws {
  try withTemporaryFolder { folder in
    var limit = rlimit(rlim_cur: 4096, rlim_max: 4096)
    signal(SIGXFSZ, SIG_IGN)
    unsafe setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
    let bytes = randomBytes(6000, seed: 3)
    expectError(.io, folder, "File too large", "write elsewhere") {
      try Scratch(limit: 0, folder: folder).keep(6000, name: "x") { try $0(bytes.span) }
    }
  }
}
