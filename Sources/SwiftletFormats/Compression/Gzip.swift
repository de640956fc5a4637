// SPDX-License-Identifier: Apache-2.0

internal import CZlib
import SwiftletCore

/// Decompression of gzip files (RFC 1952) with zlib.
package enum Gzip {
  /// Whether the bytes start like a gzip file.
  package static func isCompressed(_ bytes: [UInt8]) -> Bool {
    bytes.starts(with: [0x1F, 0x8B])
  }

  /// The decompressed content of all members of a gzip file, checksums verified.
  ///
  /// Memory grows with the content rather than with the claimed size.
  ///
  /// - Parameters:
  ///   - file: The file name for errors.
  ///   - limit: The maximum size of the content in bytes.
  /// - Throws: `badInput` with the byte offset if the stream is corrupt or truncated, if a member
  ///   is followed by anything but another member, or if the content exceeds the limit.
  package static func inflate(_ bytes: [UInt8], file: String, limit: Int) throws -> [UInt8] {
    let content = try prefix(bytes, file: file, count: limit + 1)
    guard content.count <= limit else {
      throw SwiftletError(
        .badInput, "the file expands to more than the \(limit) bytes expected", at: file,
        fix: "get a fresh copy")
    }
    return content
  }

  /// The first `count` bytes of the content, or all if there are fewer.
  package static func prefix(_ bytes: [UInt8], file: String, count: Int) throws -> [UInt8] {
    var stream = try InflateStream(.gzip)
    var chunk = [UInt8](repeating: 0, count: min(count, 256 << 10))
    var content: [UInt8] = []
    var position = 0
    while content.count < count {
      let room = min(chunk.count, count - content.count)
      let step = stream.advance(bytes, from: position, into: &chunk, room: room)
      position += step.consumed
      content.append(contentsOf: chunk[..<step.produced])
      switch step.status {
      case Z_OK: continue
      case Z_STREAM_END where position == bytes.count: return content
      case Z_STREAM_END: stream.startNextMember()
      case Z_BUF_ERROR:
        throw SwiftletError(
          .badInput, "the compressed file is truncated", at: "\(file), byte \(position)",
          fix: "get a fresh copy")
      case Z_MEM_ERROR: throw InflateStream.outOfMemory
      default:
        throw SwiftletError(
          .badInput, "the compressed file is corrupt", at: "\(file), byte \(position)",
          fix: "get a fresh copy")
      }
    }
    return content
  }
}
