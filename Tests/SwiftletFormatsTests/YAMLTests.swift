// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFormats
import Testing

/// What of YAML is read, and how.
struct YAMLTests {
  @Test func scalarsHaveTypes() throws {
    let values = try #require(
      try YAML.parse(
        """
        ---
        a: 1   # a comment
        b: -2.5e3
        'c': "two # words\\n"
        d: 'it''s'
        e: true
        f: plain text, 1.2.3
        g:
        h: .inf
        i: |
          nan
          0x1p3
        j: nan
        """) as? [String: Any])
    #expect(values["a"] as? Int == 1)
    #expect(values["b"] as? Double == -2500)
    #expect(values["c"] as? String == "two # words\n")
    #expect(values["d"] as? String == "it's")
    #expect(values["e"] as? Bool == true)
    #expect(values["f"] as? String == "plain text, 1.2.3")
    #expect(values["g"] is YAML.Null)
    #expect(values["h"] as? Double == .infinity)
    #expect(values["i"] as? String == "nan\n0x1p3\n")
    #expect(values["j"] as? String == "nan")
  }

  @Test func blocksNest() throws {
    let value = try YAML.parse(
      """
      list:
      - name: a
        inner:
          - 1
          -
            - 2
            - [3, {x: 4,
               y: [5]}]
      -   - deep
      other: {}
      """)
    let root = try #require(value as? [String: Any])
    let list = try #require(root["list"] as? [Any])
    let inner = try #require((list[0] as? [String: Any])?["inner"] as? [Any])
    #expect(inner[0] as? Int == 1)
    let second = try #require(inner[1] as? [Any])
    #expect(second[0] as? Int == 2)
    let map = try #require((second[1] as? [Any])?[1] as? [String: Any])
    #expect((map["y"] as? [Any])?.first as? Int == 5)
    #expect((list[1] as? [Any])?.first as? String == "deep")
    #expect((root["other"] as? [String: Any])?.isEmpty == true)
  }

  @Test(arguments: [
    "a: 1\na: 2", "a: [1", "a: {b: 1", "a: \"x", "a: &b 1", "a: *b", "a: !t 1",
    "&b [1]", "!t {a: 1}", "? [a]\n: 1", "--- a\n--- b", "a: \u{1}",
    "a:\n\t- 1", "a: 1\n  b: 2", "a:\n    - 1\n  - 2", "a: [1] 2", "- a\nb: 1", "f: a: b",
    "a: \"\\q\"",
    String(repeating: "[", count: 100), String(repeating: "- ", count: 100) + "x",
  ])
  func whatIsNotReadIsRefused(text: String) {
    let error = #expect(throws: SwiftletError.self) { try YAML.parse(text) }
    #expect(error?.description.contains("line") == true)
  }
}
