// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import Testing

struct SwiftletErrorTests {
  @Test func readsAsOneLine() {
    let error = SwiftletError(.badInput, "3 bytes", at: "a.idx", fix: "fetch it again")
    #expect("\(error)" == "3 bytes (a.idx): fetch it again")
    #expect("\(error.located(at: "folder"))" == "3 bytes (folder, a.idx): fetch it again")
    #expect("\(error.located(at: "a.idx"))" == "\(error)")
  }

  @Test func showsNoControlCharactersAndStaysShort() {
    let name = "evil\n\u{1b}[31m\u{202e}" + String(repeating: "é", count: 1000)
    let line = "\(SwiftletError(.badInput, "bad name", at: name))"
    #expect(line.unicodeScalars.count <= 400)
    #expect(!line.unicodeScalars.contains { $0.value < 32 || $0 == "\u{202e}" })
    #expect(line.hasSuffix("…"))
  }

  @Test func exitCodesAreThePromisedOnes() {
    for code in [SwiftletError.Code.badInput, .io, .numerical] { #expect(code.exitCode == 2) }
    #expect(SwiftletError.Code.unsupported.exitCode == 3)
    #expect(SwiftletError.Code.internal.exitCode == 70)
  }

  @Test func locatingKeepsOtherErrors() {
    #expect(throws: CancellationError.self) { try locating("x") { throw CancellationError() } }
  }
}
