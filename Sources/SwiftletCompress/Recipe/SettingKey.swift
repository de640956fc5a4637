// SPDX-License-Identifier: Apache-2.0

/// The name of a setting, as a key of what is decoded and encoded.
package struct SettingKey: CodingKey {
  package let stringValue: String
  package var intValue: Int? { nil }

  package init(_ name: String) { stringValue = name }
  package init?(stringValue: String) { self.init(stringValue) }
  package init?(intValue: Int) { nil }
}
