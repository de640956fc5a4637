// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFormats
import Testing
import _SwiftletTestSupport

@Suite struct GzipTests {
  @Test(arguments: [0, 1, 1000, 256 << 10, (256 << 10) + 1, 1_000_000])
  func roundTrip(count: Int) throws {
    let bytes = randomBytes(count, seed: 1)
    let file = gzip(bytes)
    #expect(Gzip.isCompressed(file))
    #expect(try Gzip.inflate(file, file: "a.gz", limit: count) == bytes)
    for length in [0, 1, count / 2, count] where length <= count {
      #expect(try Gzip.prefix(file, file: "a.gz", count: length) == Array(bytes[..<length]))
    }
  }

  @Test func membersAreConcatenated() throws {
    let parts = [randomBytes(1000, seed: 1), [], randomBytes(70_000, seed: 2)]
    let file = parts.flatMap(gzip)
    #expect(try Gzip.inflate(file, file: "a.gz", limit: 71_000) == parts.flatMap { $0 })
  }

  @Test func everyTruncationIsFound() {
    let file = gzip(randomBytes(300, seed: 1))
    for length in 0..<file.count {
      expectError(.badInput, "a.gz, byte", "truncated") {
        try Gzip.inflate(Array(file[..<length]), file: "a.gz", limit: 1000)
      }
    }
  }

  @Test func corruptionIsFound() {
    let bytes = [UInt8](repeating: 7, count: 5000)
    for position in [0, 2, 12, -8, -1] {
      var file = gzip(bytes)
      file[position < 0 ? file.count + position : position] ^= 0xFF
      expectError(.badInput, "a.gz, byte", "corrupt") {
        try Gzip.inflate(file, file: "a.gz", limit: 5000)
      }
    }
    expectError(.badInput, "corrupt") {
      try Gzip.inflate(gzip(bytes) + [1, 2, 3], file: "a.gz", limit: 5000)
    }
  }

  @Test func bombIsDefused() {
    let file = gzip([UInt8](repeating: 0, count: 50_000_000))
    #expect(file.count < 60_000)
    expectError(.badInput, "more than the 1000 bytes") {
      try Gzip.inflate(file, file: "a.gz", limit: 1000)
    }
  }
}
