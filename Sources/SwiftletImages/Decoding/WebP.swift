// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFiles

#if Images
  internal import CWebP
#endif

/// WebP, by libwebp: lossy and lossless, with and without opacity; the first picture of animations.
///
/// Source: WebP Container Specification, and RFC 9649.
enum WebP {
  static func decode(_ source: PictureSource) throws -> (Image, Orientation) {
    #if Images
      let features = try features(of: 0..<source.bytes.count, source)
      let size = Image.Size(width: Int(features.width), height: Int(features.height))
      try source.check(size)
      let isOpaque = features.has_alpha == 0 || source.options.channels != .rgba
      var image = Image(uninitialized: size, isOpaque ? .rgb : .rgba)
      let chunks = try chunks(source)
      if features.has_animation != 0 {
        try readFirstFrame(chunks, into: &image, source)
      } else {
        try read(0..<source.bytes.count, into: &image, source)
      }
      let exif = chunks.first { $0.name == 0x4558_4946 }  // EXIF
      let orientation = exif.map { Orientation(exif: source.bytes[$0.content]) } ?? .upright
      return (image.converted(to: source.options.channels ?? .rgb), orientation)
    #else
      throw source.leftOut("WebP")
    #endif
  }
}

#if Images
  extension WebP {
    private typealias Chunk = (name: UInt32, content: Range<Int>)

    /// The chunks of the file that are complete.
    private static func chunks(_ source: PictureSource) throws -> [Chunk] {
      var reader = ByteReader(source.bytes, file: source.file)
      var chunks: [Chunk] = []
      _ = try reader.skip(12)
      while reader.remaining >= 8 {
        let name = try reader.bigEndian(UInt32.self)
        let length = Int(try reader.littleEndian(UInt32.self))
        guard length <= reader.remaining else { break }
        chunks.append((name, try reader.skip(length)))
        _ = try reader.skip(min(length % 2, reader.remaining))
      }
      return chunks
    }

    /// What libwebp finds in a range of the file: the file, or a frame of an animation.
    private static func features(
      of range: Range<Int>, _ source: PictureSource
    ) throws -> WebPBitstreamFeatures {
      var features = WebPBitstreamFeatures()
      let status = unsafe source.bytes.withUnsafeBufferPointer { bytes in
        unsafe WebPGetFeatures(bytes.baseAddress! + range.lowerBound, range.count, &features)
      }
      guard status == VP8_STATUS_OK else { throw error(status, source) }
      return features
    }

    /// Decodes a range of the file that has the size of `image`.
    private static func read(
      _ range: Range<Int>, into image: inout Image, _ source: PictureSource
    ) throws {
      var configuration = unsafe WebPDecoderConfig()
      guard unsafe WebPInitDecoderConfig(&configuration) != 0 else {
        throw source.unsupported("another version of libwebp than that of the build")
      }
      let rowBytes = image.rowBytes
      let isOpaque = image.channels == .rgb
      let status = unsafe image.withMutablePixels { pixels in
        unsafe configuration.output.colorspace = isOpaque ? MODE_RGB : MODE_RGBA
        unsafe configuration.output.is_external_memory = 1
        unsafe configuration.output.u.RGBA.rgba = pixels.baseAddress
        unsafe configuration.output.u.RGBA.size = pixels.count
        unsafe configuration.output.u.RGBA.stride = Int32(rowBytes)
        return unsafe source.bytes.withUnsafeBufferPointer { bytes in
          unsafe WebPDecode(bytes.baseAddress! + range.lowerBound, range.count, &configuration)
        }
      }
      guard status == VP8_STATUS_OK else { throw error(status, source) }
    }

    /// Decodes the first frame of an animation, which may cover only a part of it: transparent
    /// black is around it.
    private static func readFirstFrame(
      _ chunks: [Chunk], into image: inout Image, _ source: PictureSource
    ) throws {
      guard let frame = chunks.first(where: { $0.name == 0x414E_4D46 })?.content,  // ANMF
        frame.count > 16
      else { throw source.damaged("it has no complete frame") }
      func number(_ index: Int) -> Int {
        (0..<3).reduce(0) { $0 | Int(source.bytes[frame.lowerBound + index + $1]) << (8 * $1) }
      }
      let content = frame.dropFirst(16)
      let (x, y) = (2 * number(0), 2 * number(3))
      let found = try features(of: content, source)
      let size = Image.Size(width: Int(found.width), height: Int(found.height))
      guard x + size.width <= image.width, y + size.height <= image.height else {
        throw source.damaged("its first frame is larger than itself")
      }
      var part = Image(uninitialized: size, image.channels)
      try read(content, into: &part, source)
      image = part.padded(to: image.size, x: x, y: y)
    }

    private static func error(_ status: VP8StatusCode, _ source: PictureSource) -> SwiftletError {
      switch status {
      case VP8_STATUS_OUT_OF_MEMORY: source.exhausted
      case VP8_STATUS_SUSPENDED, VP8_STATUS_NOT_ENOUGH_DATA: source.damaged("the file ends early")
      default: source.damaged("its data are invalid")
      }
    }
  }
#endif
