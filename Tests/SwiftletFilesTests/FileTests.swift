// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import SwiftletCore
import SwiftletFiles
import Testing
import _SwiftletTestSupport

@Suite struct InputFileTests {
  @Test(arguments: [0, 1, 4095, 4096, 100_000])
  func readsWhatIsThere(count: Int) throws {
    try withTemporaryFolder { folder in
      let bytes = randomBytes(count, seed: 1)
      try put(bytes, folder, "file")
      #expect(try InputFile.read("\(folder)/file") == bytes)
      #expect(try InputFile.read("\(folder)/file", limit: count) == bytes)
    }
  }

  @Test func refusesWhatIsNoFile() throws {
    try withTemporaryFolder { folder in
      try put([1, 2, 3], folder, "file")
      expectError(.io, "\(folder)/none", "No such file", "check the path") {
        try InputFile.read("\(folder)/none")
      }
      expectError(.io, folder, "folder, not a file") { try InputFile.read(folder) }
      expectError(.io, "/dev/zero", "device or a pipe") { try InputFile.read("/dev/zero") }
      unsafe mkfifo("\(folder)/pipe", 0o600)
      expectError(.io, "device or a pipe") { try InputFile.read("\(folder)/pipe") }
      expectError(.badInput, "3 bytes", "limit of 2") {
        try InputFile.read("\(folder)/file", limit: 2)
      }
      expectError(.badInput, "empty") { try InputFile.read("") }
      expectError(.badInput, "NUL") { try InputFile.read("\(folder)/file\0.txt") }
    }
  }

  @Test(.enabled(if: geteuid() != 0, "root may read everything"))
  func namesMissingPermissions() throws {
    try withTemporaryFolder { folder in
      try put([1], folder, "secret")
      unsafe chmod("\(folder)/secret", 0)
      expectError(.io, "Permission denied", "check the permissions") {
        try InputFile.read("\(folder)/secret")
      }
    }
  }
}

@Suite struct AtomicFileTests {
  @Test func writesAndReplaces() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/out"
      for count in [0, 5, 200_000, 3] {
        let bytes = randomBytes(count, seed: 2)
        try AtomicFile.checkWritable(path)
        try AtomicFile.write(bytes, to: path)
        #expect(try InputFile.read(path) == bytes)
        #expect(try names(in: folder) == ["out"])
      }
    }
  }

  @Test func keepsPermissions() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/out"
      try put([1], folder, "out")
      unsafe chmod(path, 0o640)
      try AtomicFile.write([2], to: path)
      let attributes = try FileManager.default.attributesOfItem(atPath: path)
      #expect(attributes[.posixPermissions] as? Int == 0o640)
    }
  }

  @Test func refusesBadTargetsBeforeAndAtWriting() throws {
    try withTemporaryFolder { folder in
      try put([1], folder, "file")
      try put([1], folder, "inner/file")
      for attempt in [AtomicFile.checkWritable, { try AtomicFile.write([2], to: $0) }] {
        expectError(.io, "\(folder)/none/out", "create the folder '\(folder)/none/'") {
          try attempt("\(folder)/none/out")
        }
        expectError(.io, "Not a directory") { try attempt("\(folder)/file/out") }
        expectError(.io, "folder, not a file") { try attempt("\(folder)/inner") }
        expectError(.io, "folder, not a file") { try attempt("\(folder)/inner/") }
        expectError(.io, "folder, not a file") { try attempt("..") }
        expectError(.io, "device or a pipe") { try attempt("/dev/null") }
        expectError(.io, "/proc/out") { try attempt("/proc/out") }
        expectError(.badInput, "empty") { try attempt("") }
        expectError(.badInput, "NUL") { try attempt("\(folder)/a\0b") }
      }
      #expect(try names(in: folder) == ["file", "inner"])
    }
  }

  @Test(.enabled(if: geteuid() != 0, "root may write everywhere"))
  func namesUnwritableFolders() throws {
    try withTemporaryFolder { folder in
      unsafe chmod(folder, 0o500)
      defer { unsafe chmod(folder, 0o700) }
      for attempt in [AtomicFile.checkWritable, { try AtomicFile.write([2], to: $0) }] {
        expectError(.io, "Permission denied") { try attempt("\(folder)/out") }
      }
    }
  }

  @Test func failedWriteLeavesTheOldFile() async {
    await #expect(processExitsWith: .success) { try writeBeyondTheSizeLimit() }
  }
}

/// Sets a limit, for the whole process, that makes one write short and the next one fail.
private func writeBeyondTheSizeLimit() throws {
  try withTemporaryFolder { folder in
    let old = randomBytes(3000, seed: 3)
    try put(old, folder, "out")
    var limit = rlimit(rlim_cur: 4096, rlim_max: 4096)
    signal(SIGXFSZ, SIG_IGN)
    unsafe setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
    expectError(.io, "\(folder)/out", "File too large") {
      try AtomicFile.write(randomBytes(10_000, seed: 4), to: "\(folder)/out")
    }
    #expect(try InputFile.read("\(folder)/out") == old)
    #expect(try names(in: folder) == ["out"])
  }
}
