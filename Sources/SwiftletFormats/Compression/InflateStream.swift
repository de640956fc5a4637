// SPDX-License-Identifier: Apache-2.0

internal import CZlib
import SwiftletCore

/// A zlib stream. Its address is fixed, because zlib keeps a pointer back to it.
@safe
struct InflateStream: ~Copyable {
  private let stream: UnsafeMutablePointer<z_stream>

  static let outOfMemory = SwiftletError(.internal, "zlib has no memory for a window of 32 KiB")

  /// The wrapping of the compressed data: gzip's header and checksum, or none, as in zip files.
  enum Wrapping {
    case gzip, none

    /// In zlib's encoding.
    fileprivate var windowBits: Int32 { self == .gzip ? MAX_WBITS + 16 : -MAX_WBITS }
  }

  init(_ wrapping: Wrapping) throws {
    unsafe stream = .allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    let status = unsafe inflateInit2_(
      stream, wrapping.windowBits, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
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
