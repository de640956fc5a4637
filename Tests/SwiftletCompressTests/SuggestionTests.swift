// SPDX-License-Identifier: Apache-2.0

import SwiftletCompress
import Testing

struct SuggestionTests {
  @Test func choicesAreSuggested() {
    let methods = SettingKind.choices(["channel", "spatial", "tucker"])
    #expect(methods.suggestion(for: "channel,tuker") == "; did you mean 'tucker'?")
    #expect(methods.suggestion(for: "channel,tucker") == "")
    #expect(methods.suggestion(for: "magic") == "")
    let costs = SettingKind.choice(["macs", "bytes"])
    #expect(costs.suggestion(for: "byets") == "; did you mean 'bytes'?")
    #expect(SettingKind.names.suggestion(for: "x") == "")
  }
}
