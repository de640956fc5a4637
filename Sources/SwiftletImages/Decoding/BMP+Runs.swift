// SPDX-License-Identifier: Apache-2.0

import SwiftletFiles

extension BMP {
  /// Expands run-length encoded indices. Pixels that are skipped have index 0.
  static func runs(
    _ reader: inout ByteReader, _ header: Header, _ source: PictureSource
  ) throws -> Image {
    let (width, height) = (header.size.width, header.size.height)
    var indices = [UInt8](repeating: 0, count: width * height)
    let hasFourBits = header.compression == .runs4
    var (x, line) = (0, 0)
    /// Sets the next pixel; one beyond the end of its row is dropped.
    func put(_ value: UInt8) {
      if x < width { indices[(header.isTopDown ? line : height - 1 - line) * width + x] = value }
      x = min(x + 1, width)
    }
    while line < height {
      let count = try reader.littleEndian(UInt8.self)
      let code = try reader.littleEndian(UInt8.self)
      switch (count, code) {
      case (0, 0): (x, line) = (0, line + 1)
      case (0, 1): line = height
      case (0, 2):
        x = min(x + Int(try reader.littleEndian(UInt8.self)), width)
        line += Int(try reader.littleEndian(UInt8.self))
      case (0, _):
        let bytes = try reader.skip(hasFourBits ? (Int(code) + 1) / 2 : Int(code))
        for i in 0..<Int(code) {
          guard hasFourBits else {
            put(reader.bytes[bytes.lowerBound + i])
            continue
          }
          let pair = reader.bytes[bytes.lowerBound + i / 2]
          put(i % 2 == 0 ? pair >> 4 : pair & 15)
        }
        _ = try reader.skip(min(bytes.count % 2, reader.remaining))
      default:
        for i in 0..<Int(count) { put(!hasFourBits ? code : i % 2 == 0 ? code >> 4 : code & 15) }
      }
    }
    var image = Image(uninitialized: header.size, .grey)
    unsafe image.withMutablePixels { pixels in
      unsafe indices.withUnsafeBufferPointer { _ = unsafe pixels.update(from: $0) }
    }
    return image
  }
}
