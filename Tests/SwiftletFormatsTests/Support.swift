// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import SwiftletCore
import SwiftletFormats
import _SwiftletTestSupport

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

/// Writes a file without waiting for the disk, as ``put(_:_:_:)`` does: for thousands of them.
func putQuickly(_ bytes: [UInt8], _ path: String) throws {
  guard let file = unsafe fopen(path, "w") else { throw CocoaError(.fileWriteUnknown) }
  let count = unsafe fwrite(bytes, 1, bytes.count, file)
  guard unsafe fclose(file) == 0, count == bytes.count else {
    throw CocoaError(.fileWriteUnknown)
  }
}

/// Sets the size of a file; it is sparse where it grows.
func extend(_ path: String, to size: Int) throws {
  if unsafe truncate(path, size) != 0 { throw CocoaError(.fileWriteUnknown) }
}

/// An npz file with compressed entries.
func deflatedNPZ(_ arrays: [(name: String, tensor: AnyTensor)]) -> [UInt8] {
  npz(
    arrays.map { name, tensor in
      let content = NPY.encode(tensor)
      // The stream within a gzip file, between its header and its checksum.
      let member = gzip(content)
      return (name, member[10..<member.count - 8], content, 8)
    })
}

/// An npz file of one npy file.
func storedNPZ(_ name: String, _ file: [UInt8]) -> [UInt8] { npz([(name, file[...], file, 0)]) }

private func npz(
  _ entries: [(name: String, stream: ArraySlice<UInt8>, content: [UInt8], method: UInt8)]
) -> [UInt8] {
  func little(_ value: Int, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }
  var (bytes, directory): ([UInt8], [UInt8]) = ([], [])
  for entry in entries {
    let name = Array("\(entry.name).npy".utf8)
    var shared: [UInt8] = [20, 0, 0, 8, entry.method, 0, 0, 0, 0x21, 0]
    shared += gzip(entry.content).suffix(8).prefix(4)
    for size in [entry.stream.count, entry.content.count, name.count] { shared += little(size, 4) }
    directory += [0x50, 0x4b, 1, 2, 20, 0]
    directory += shared
    directory += [UInt8](repeating: 0, count: 10)
    directory += little(bytes.count, 4)
    directory += name
    bytes += [0x50, 0x4b, 3, 4]
    bytes += shared
    bytes += name
    bytes += entry.stream
  }
  var end: [UInt8] = [0x50, 0x4b, 5, 6, 0, 0, 0, 0]
  for _ in 0..<2 { end += little(entries.count, 2) }
  for size in [directory.count, bytes.count] { end += little(size, 4) }
  return bytes + directory + end + [0, 0]
}
