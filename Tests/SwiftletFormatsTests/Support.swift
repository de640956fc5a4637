// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Makes a symbolic link in a folder.
func link(_ target: String, _ folder: String, _ name: String) throws {
  try FileManager.default.createSymbolicLink(
    atPath: "\(folder)/\(name)", withDestinationPath: target)
}

/// Gives a file a second name.
func hardLink(_ file: String, _ name: String) throws {
  try FileManager.default.linkItem(atPath: file, toPath: name)
}

/// A protobuf field with a length.
func field(_ number: Int, _ payload: [UInt8]) -> [UInt8] {
  var head: [UInt8] = []
  for value in [number << 3 | 2, payload.count] {
    var rest = value
    while rest > 0x7f {
      head.append(UInt8(rest & 0x7f | 0x80))
      rest >>= 7
    }
    head.append(UInt8(rest))
  }
  return head + payload
}

func field(_ number: Int, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }
