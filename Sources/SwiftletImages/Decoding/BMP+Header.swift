// SPDX-License-Identifier: Apache-2.0

import SwiftletFiles

extension BMP {
  /// Reads everything before the pixels, and moves to them.
  static func readHeader(
    _ reader: inout ByteReader, _ source: PictureSource
  ) throws -> Header {
    _ = try reader.skip(10)
    let start = Int(try reader.littleEndian(UInt32.self))
    let length = Int(try reader.littleEndian(UInt32.self))
    guard [12, 40, 52, 56, 64, 108, 124].contains(length) else {
      throw source.damaged("its header has \(length) bytes, which no version of BMP has")
    }
    var header = try length == 12 ? readShortHeader(&reader) : readLongHeader(&reader, source)
    try source.check(header.size)
    let bits: [Compression: [Int]] = [
      .uncompressed: [1, 4, 8, 16, 24, 32], .runs8: [8], .runs4: [4], .masks: [16, 24, 32],
      .masksWithOpacity: [16, 32],
    ]
    guard bits[header.compression]!.contains(header.bits) else {
      throw source.damaged("\(header.bits) bits do not go with compression \(header.compression)")
    }
    let counted = length == 12 ? 0 : try colourCount(&reader)
    if header.bits > 8 {
      header.masks = try masks(&reader, header, length)
    } else {
      try reader.move(to: 14 + length)
      let count = counted == 0 ? 1 << header.bits : counted
      header.palette = try palette(&reader, count, length == 12 ? 3 : 4, source)
    }
    try reader.move(to: start)
    return header
  }

  private static func readShortHeader(_ reader: inout ByteReader) throws -> Header {
    let width = Int(try reader.littleEndian(UInt16.self))
    let height = Int(try reader.littleEndian(UInt16.self))
    _ = try reader.skip(2)
    return Header(
      size: Image.Size(width: width, height: height),
      bits: Int(try reader.littleEndian(UInt16.self)))
  }

  private static func readLongHeader(
    _ reader: inout ByteReader, _ source: PictureSource
  ) throws -> Header {
    let width = Int(try reader.littleEndian(Int32.self))
    let height = Int(try reader.littleEndian(Int32.self))
    _ = try reader.skip(2)
    let bits = Int(try reader.littleEndian(UInt16.self))
    let code = try reader.littleEndian(UInt32.self)
    guard let compression = Compression(rawValue: code) else {
      throw source.unsupported("BMP with compression \(code)")
    }
    return Header(
      size: Image.Size(width: width, height: abs(height)), isTopDown: height < 0, bits: bits,
      compression: compression)
  }

  /// The number of colours in the palette that a long header gives; 0 for all.
  private static func colourCount(_ reader: inout ByteReader) throws -> Int {
    _ = try reader.skip(12)
    let count = Int(try reader.littleEndian(UInt32.self))
    _ = try reader.skip(4)
    return count
  }

  private static func palette(
    _ reader: inout ByteReader, _ count: Int, _ size: Int, _ source: PictureSource
  ) throws -> [[UInt8]] {
    guard count <= 256 else {
      throw source.damaged("its palette has \(count) colours, more than 256")
    }
    return try (0..<count).map { _ in
      let blue = try reader.skip(size).lowerBound
      return [reader.bytes[blue + 2], reader.bytes[blue + 1], reader.bytes[blue]]
    }
  }

  /// The bits of red, green, blue and opacity. They follow a header of 40 bytes, and are in longer
  /// ones; those of 52 bytes have no opacity.
  private static func masks(
    _ reader: inout ByteReader, _ header: Header, _ length: Int
  ) throws -> [UInt32] {
    switch header.compression {
    case .masks, .masksWithOpacity:
      try reader.move(to: 14 + 40)
      let hasOpacity = header.compression == .masksWithOpacity || length >= 56
      let count = hasOpacity ? 4 : 3
      let masks = try (0..<count).map { _ in try reader.littleEndian(UInt32.self) }
      return hasOpacity ? masks : masks + [0]
    default:
      return header.bits == 16
        ? [0x7C00, 0x3E0, 0x1F, 0] : [0xFF_0000, 0xFF00, 0xFF, 0]
    }
  }
}
