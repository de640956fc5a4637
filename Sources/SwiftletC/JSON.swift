// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SwiftletData

/// JSON documents for callers, in the command's format.
enum JSON {
  /// - Parameter damaged: The pictures that were left out; `nil` if that was not asked for.
  static func text(
    _ value: some Encodable, leftOut damaged: DamagedPictures? = nil
  ) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return String(decoding: try encoder.encode(ResultWithDamage(value, damaged)), as: UTF8.self)
  }
}
