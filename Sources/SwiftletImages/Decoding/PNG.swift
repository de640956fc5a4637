// SPDX-License-Identifier: Apache-2.0

import SwiftletFiles

#if Images
  internal import CSwiftletImages
#endif

/// PNG, by libpng: 1 to 16 bits, grey, colours and palettes, with and without opacity, interlaced.
///
/// Source: Portable Network Graphics, third edition (W3C, 2025).
enum PNG {
  static func decode(_ source: PictureSource) throws -> (Image, Orientation) {
    #if Images
      let header = try header(of: source)
      try source.check(header.size)
      let isGrey = header.colourType & 2 == 0
      let hasOpacity = header.colourType & 4 != 0 || header.hasTransparentColours
      let keepsOpacity = hasOpacity && source.options.channels == .rgba
      let channels: Image.Channels = keepsOpacity ? .rgba : isGrey ? .grey : .rgb
      var image = Image(uninitialized: header.size, channels)
      unsafe try source.calling { bytes, message in
        unsafe image.withMutablePixels { pixels in
          unsafe swl_png_read(
            bytes.baseAddress, bytes.count, UInt32(header.size.width), UInt32(header.size.height),
            Int32(channels.rawValue), pixels.baseAddress, message)
        }
      }
      return (image.converted(to: source.options.channels ?? channels), header.orientation)
    #else
      throw source.leftOut("PNG")
    #endif
  }
}

#if Images
  extension PNG {
    private struct Header {
      var size = Image.Size(width: 0, height: 0)
      /// Bits: 1 for a palette, 2 for colours, 4 for opacity.
      var colourType: UInt8 = 0
      var hasTransparentColours = false
      var orientation = Orientation.upright
    }

    /// What the chunks say. Damage after the first one is left to libpng.
    private static func header(of source: PictureSource) throws -> Header {
      var header = Header()
      var reader = ByteReader(source.bytes, file: source.file)
      _ = try reader.skip(8)
      guard try reader.bigEndian(UInt32.self) == 13,
        try reader.bigEndian(UInt32.self) == 0x4948_4452
      else { throw source.damaged("it does not begin with a header chunk") }
      let width = Int(try reader.bigEndian(UInt32.self))
      header.size = Image.Size(width: width, height: Int(try reader.bigEndian(UInt32.self)))
      _ = try reader.skip(1)
      header.colourType = try reader.bigEndian()
      _ = try reader.skip(7)
      while reader.remaining >= 12 {
        let length = Int(try reader.bigEndian(UInt32.self))
        let type = try reader.bigEndian(UInt32.self)
        guard length <= reader.remaining - 4 else { break }
        let content = try reader.skip(length)
        switch type {
        case 0x7452_4E53: header.hasTransparentColours = true  // tRNS
        case 0x6558_4966: header.orientation = Orientation(exif: source.bytes[content])  // eXIf
        default: break
        }
        _ = try reader.skip(4)
      }
      return header
    }
  }
#endif
