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
  /// Memory grows with the content, not with a size that the file claims.
  ///
  /// - Parameters:
  ///   - file: The name that errors give.
  ///   - limit: The most bytes that the content may have.
  /// - Throws: `badInput` with the byte offset if the stream is corrupt or cut off, if anything but
  ///   another member follows a member, or if the content exceeds the limit.
  package static func inflate(_ bytes: [UInt8], file: String, limit: Int) throws -> [UInt8] {
    let content = try prefix(bytes, file: file, count: limit + 1)
    guard content.count <= limit else {
      throw SwiftletError(
        .badInput, "the file expands to more than the \(limit) bytes expected", at: file,
        mend: "get a fresh copy")
    }
    return content
  }

  /// The first `count` bytes of the content, or all of them if there are fewer.
  package static func prefix(_ bytes: [UInt8], file: String, count: Int) throws -> [UInt8] {
    var stream = try InflateStream()
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
          .badInput, "the compressed file is cut off", at: "\(file), byte \(position)",
          mend: "get a fresh copy")
      case Z_MEM_ERROR: throw InflateStream.outOfMemory
      default:
        throw SwiftletError(
          .badInput, "the compressed file is corrupt", at: "\(file), byte \(position)",
          mend: "get a fresh copy")
      }
    }
    return content
  }
}

/// A zlib stream. It stays at one address, because zlib keeps a pointer back to it.
@safe
private struct InflateStream: ~Copyable {
  private let stream: UnsafeMutablePointer<z_stream>

  static let outOfMemory = SwiftletError(.internal, "zlib has no memory for a window of 32 KiB")

  init() throws {
    unsafe stream = .allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    let gzipOnly = MAX_WBITS + 16
    let status = unsafe inflateInit2_(
      stream, gzipOnly, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard status == Z_OK else { throw Self.outOfMemory }
  }

  deinit {
    unsafe inflateEnd(stream)
    unsafe stream.deallocate()
  }

  /// Decompresses from `input[position...]` into the first `room` bytes of `output`.
  mutating func advance(
    _ input: [UInt8], from position: Int, into output: inout [UInt8], room: Int
  ) -> (status: Int32, consumed: Int, produced: Int) {
    let available = min(input.count - position, 1 << 30)  // zlib counts in 32 bits
    return unsafe input.withUnsafeBufferPointer { source in
      unsafe output.withUnsafeMutableBufferPointer { target in
        // zlib does not write through next_in; its declaration lacks the const.
        unsafe stream.pointee.next_in = .init(
          mutating: source.baseAddress.map { unsafe $0 + position })
        unsafe stream.pointee.avail_in = UInt32(available)
        unsafe stream.pointee.next_out = target.baseAddress
        unsafe stream.pointee.avail_out = UInt32(room)
        let status = unsafe CZlib.inflate(stream, Z_NO_FLUSH)
        return unsafe (
          status, available - Int(stream.pointee.avail_in), room - Int(stream.pointee.avail_out)
        )
      }
    }
  }

  mutating func startNextMember() { _ = unsafe inflateReset(stream) }
}
