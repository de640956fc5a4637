// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import Testing

/// Expects an error of this code.
func expect(_ code: SwiftletError.Code, _ body: () throws -> Void) {
  #expect { try body() } throws: { ($0 as? SwiftletError)?.code == code }
}
