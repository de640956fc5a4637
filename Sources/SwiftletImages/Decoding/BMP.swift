// SPDX-License-Identifier: Apache-2.0

import SwiftletFiles

/// BMP, with headers of 12 to 124 bytes: palettes of 1, 4 and 8 bits, also run-length encoded;
/// 16, 24 and 32 bits with any masks; from bottom to top or from top to bottom.
///
/// Source: Bitmap Storage, in Microsoft's description of Windows GDI.
enum BMP {
  enum Compression: UInt32 {
    case uncompressed = 0
    case runs8 = 1
    case runs4 = 2
    case masks = 3
    case masksWithOpacity = 6
  }

  struct Header {
    var size: Image.Size
    var isTopDown = false
    var bits: Int
    var compression = Compression.uncompressed
    /// Colours of the palette, as red, green and blue.
    var palette: [[UInt8]] = []
    /// Bits of red, green, blue and opacity; without opacity the last one is 0.
    var masks: [UInt32] = []
  }

  static func decode(_ source: PictureSource) throws -> Image {
    var reader = ByteReader(source.bytes, file: source.file)
    let header = try readHeader(&reader, source)
    let image =
      header.bits <= 8
      ? try coloured(try indices(&reader, header, source), header, source)
      : try masked(&reader, header)
    return image.converted(to: source.options.channels ?? (image.channels == .grey ? .grey : .rgb))
  }

  /// The indices of a picture with a palette, from top to bottom.
  private static func indices(
    _ reader: inout ByteReader, _ header: Header, _ source: PictureSource
  ) throws -> Image {
    switch header.compression {
    case .runs8, .runs4: try runs(&reader, header, source)
    default: try packed(&reader, header)
    }
  }

  private static func packed(_ reader: inout ByteReader, _ header: Header) throws -> Image {
    let (width, height, bits) = (header.size.width, header.size.height, header.bits)
    let stride = (width * bits + 31) / 32 * 4
    let rows = try reader.skip(stride * height)
    var image = Image(uninitialized: header.size, .grey)
    let mask = UInt8(truncatingIfNeeded: 1 << bits - 1)
    let perByte = 8 / bits
    let bytes = reader.bytes
    unsafe image.withMutablePixels { pixels in
      for y in 0..<height {
        let row = rows.lowerBound + (header.isTopDown ? y : height - 1 - y) * stride
        for x in 0..<width {
          let shift = 8 - bits * (x % perByte + 1)
          unsafe pixels[y * width + x] = bytes[row + x / perByte] >> UInt8(shift) & mask
        }
      }
    }
    return image
  }

  /// The colours of indices, or grey if the palette has nothing else.
  private static func coloured(
    _ indices: Image, _ header: Header, _ source: PictureSource
  ) throws -> Image {
    let palette = header.palette
    let isGrey = palette.allSatisfy { $0[0] == $0[1] && $0[1] == $0[2] }
    var image = Image(uninitialized: indices.size, isGrey ? .grey : .rgb)
    let count = image.channels.rawValue
    let isComplete = unsafe indices.withPixels { indices in
      unsafe image.withMutablePixels { pixels in
        for i in 0..<indices.count {
          let index = unsafe Int(indices[i])
          guard index < palette.count else { return false }
          for c in 0..<count { unsafe pixels[count * i + c] = palette[index][c] }
        }
        return true
      }
    }
    guard isComplete else { throw source.damaged("a pixel has a colour beyond the palette") }
    return image
  }

  /// A picture of 16, 24 or 32 bits a pixel.
  private static func masked(_ reader: inout ByteReader, _ header: Header) throws -> Image {
    let (width, height) = (header.size.width, header.size.height)
    let size = header.bits / 8
    let stride = (width * header.bits + 31) / 32 * 4
    let rows = try reader.skip(stride * height)
    let bytes = reader.bytes
    var image = Image(uninitialized: header.size, header.masks[3] == 0 ? .rgb : .rgba)
    let count = image.channels.rawValue
    let fields = header.masks.prefix(count).map(Field.init)
    unsafe image.withMutablePixels { pixels in
      for y in 0..<height {
        var offset = rows.lowerBound + (header.isTopDown ? y : height - 1 - y) * stride
        for x in 0..<width {
          var value: UInt32 = 0
          for i in 0..<size { value |= UInt32(bytes[offset + i]) << UInt32(8 * i) }
          for c in 0..<count { unsafe pixels[(y * width + x) * count + c] = fields[c][value] }
          offset += size
        }
      }
    }
    return image
  }

  /// Some bits of a pixel, scaled to 8: rounded down, as Pillow does.
  private struct Field {
    let shift: UInt32
    let largest: UInt32

    init(_ mask: UInt32) {
      shift = mask == 0 ? 0 : UInt32(mask.trailingZeroBitCount)
      // More than 8 bits: the higher ones.
      largest = mask >> shift
    }

    subscript(_ pixel: UInt32) -> UInt8 {
      guard largest > 0 else { return 0 }
      let value = pixel >> shift & largest
      return UInt8(UInt64(value) * 255 / UInt64(largest))
    }
  }
}
