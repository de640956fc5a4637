internal import CZlib
import SwiftletCore

/// Files compressed by gzip.
enum Gzip {
  /// Whether the bytes start as a gzip file does.
  static func isCompressed(_ bytes: [UInt8]) -> Bool { bytes.starts(with: [0x1f, 0x8b]) }

  /// The uncompressed bytes, of all members of the file.
  ///
  /// - Throws: `badInput` if the data are damaged or short, or grow beyond `limit` bytes.
  /// - Source: RFC 1952, by zlib.
  static func inflate(_ bytes: [UInt8], limit: Int) throws -> [UInt8] {
    var stream = unsafe z_stream()
    // 16 selects the gzip header, 15 the largest window.
    let status = unsafe inflateInit2_(
      &stream, 16 + 15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard status == Z_OK else { throw SwiftletError(.internal, "zlib does not start (\(status))") }
    defer { unsafe inflateEnd(&stream) }
    var output: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 18)
    var input = bytes
    let total = input.count
    try unsafe input.withUnsafeMutableBufferPointer { input in
      var consumed = 0
      while true {
        let (code, read, made) = unsafe chunk.withUnsafeMutableBufferPointer { chunk in
          unsafe stream.next_in = input.baseAddress! + consumed
          unsafe stream.avail_in = UInt32(clamping: total - consumed)
          unsafe stream.next_out = chunk.baseAddress!
          unsafe stream.avail_out = UInt32(chunk.count)
          let offered = unsafe stream.avail_in
          let code = unsafe CZlib.inflate(&stream, Z_NO_FLUSH)
          return unsafe (
            code, Int(offered - stream.avail_in), chunk.count - Int(stream.avail_out)
          )
        }
        consumed += read
        guard output.count + made <= limit else {
          throw SwiftletError(.badInput, "unpacks to more than \(limit) bytes")
        }
        output.append(contentsOf: chunk[..<made])
        switch code {
        case Z_STREAM_END where consumed == total:
          return
        case Z_STREAM_END:
          unsafe inflateReset(&stream)
        case Z_OK:
          continue
        case Z_BUF_ERROR:
          throw SwiftletError(.badInput, "the compressed data end early", at: "byte \(total)")
        default:
          throw SwiftletError(.badInput, "the compressed data are damaged", at: "byte \(consumed)")
        }
      }
    }
    return output
  }
}
