// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import Testing

struct MemoryLimitTests {
  /// More than any machine has, and what no integer counts.
  @Test(arguments: [1e15, 1e19, 1e30, .infinity]) func tooMuchIsRefused(count: Double) {
    let error = #expect(throws: SwiftletError.self) {
      try MemoryLimit.require(count, of: Double.self, for: "the test")
    }
    #expect(error?.code == .outOfMemory)
    #expect(error?.code.exitCode == 2)
    #expect(error?.what.hasPrefix("the test needs ") == true)
    #expect(error?.description.contains("\n") == false)
  }

  @Test func sizesAreSaidInUnits() {
    let error = #expect(throws: SwiftletError.self) {
      try MemoryLimit.require(0x1p60 / 8, of: Double.self, for: "the test")
    }
    #expect(
      error?.what.hasPrefix("the test needs 1152.9 PB") == true
        || error?.what.hasPrefix("the test needs 1.2 EB") == true)
  }

  @Test(arguments: [0, 1, 1000, 1e6]) func littleIsThere(count: Double) throws {
    try MemoryLimit.require(count, of: Float.self, for: "the test")
    try MemoryLimit.requireAvailable(count, for: "the test")
  }
}
