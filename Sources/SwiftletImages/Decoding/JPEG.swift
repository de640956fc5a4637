// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFiles

#if Images
  internal import CSwiftletImages
#endif

/// JPEG, by libjpeg: baseline and progressive, with Huffman or arithmetic coding, 8 bits; grey,
/// YCbCr, RGB, CMYK and YCCK.
///
/// Source: ITU-T T.81 (1992), Annex B; Exif 2.32.
enum JPEG {
  static func decode(_ source: PictureSource) throws -> (Image, Orientation) {
    #if Images
      let header = try header(of: source)
      try check(header, source)
      let eighths = eighths(of: header, source.options)
      let size = Image.Size(
        width: (header.size.width * eighths + 7) / 8, height: (header.size.height * eighths + 7) / 8
      )
      let stored = try pixels(header.components, size, eighths, source)
      let image = stored.converted(to: source.options.channels ?? stored.channels)
      return (image, header.orientation)
    #else
      throw source.leftOut("JPEG")
    #endif
  }
}

#if Images
  extension JPEG {
    /// What the segments before the first scan say.
    private struct Header {
      var process: UInt8?
      var precision = 8
      var size = Image.Size(width: 0, height: 0)
      var components = 0
      var orientation = Orientation.upright
    }

    private static func header(of source: PictureSource) throws -> Header {
      var header = Header()
      var reader = ByteReader(source.bytes, file: source.file)
      _ = try reader.skip(2)
      while true {
        let marker = try nextMarker(&reader, source)
        switch marker {
        case 0x01, 0xD0...0xD8: continue
        case 0xD9: throw source.damaged("it has no pixels")
        case 0xDA:
          guard header.process != nil else { throw source.damaged("it has no frame header") }
          return header
        default: break
        }
        let length = Int(try reader.bigEndian(UInt16.self))
        guard length >= 2 else { throw source.damaged("it has a segment of \(length) bytes") }
        let content = try reader.skip(length - 2)
        try read(marker, source.bytes[content], &header, source)
      }
    }

    /// The next marker, skipping what is before it as libjpeg does.
    private static func nextMarker(
      _ reader: inout ByteReader, _ source: PictureSource
    ) throws -> UInt8 {
      while true {
        while try reader.bigEndian(UInt8.self) != 0xFF {}
        var code: UInt8 = 0xFF
        while code == 0xFF { code = try reader.bigEndian() }
        if code != 0 { return code }
      }
    }

    private static func read(
      _ marker: UInt8, _ content: ArraySlice<UInt8>, _ header: inout Header,
      _ source: PictureSource
    ) throws {
      switch marker {
      case 0xC0...0xCF where ![0xC4, 0xC8, 0xCC].contains(marker):
        var reader = ByteReader(Array(content), file: source.file)
        header.process = marker
        header.precision = Int(try reader.bigEndian(UInt8.self))
        let height = Int(try reader.bigEndian(UInt16.self))
        let width = Int(try reader.bigEndian(UInt16.self))
        header.size = Image.Size(width: width, height: height)
        header.components = Int(try reader.bigEndian(UInt8.self))
      case 0xE1 where content.starts(with: Array("Exif\0\0".utf8)):
        header.orientation = Orientation(exif: content.dropFirst(6))
      default: break
      }
    }

    private static func check(_ header: Header, _ source: PictureSource) throws {
      switch header.process {
      case 0xC0, 0xC1, 0xC2, 0xC9, 0xCA: break
      default: throw source.unsupported("lossless or hierarchical JPEG")
      }
      guard header.precision == 8 else {
        throw source.unsupported("JPEG with \(header.precision) bits")
      }
      guard [1, 3, 4].contains(header.components) else {
        throw source.damaged("it has \(header.components) components, which must be 1, 3 or 4")
      }
      try source.check(header.size)
    }

    private static func eighths(of header: Header, _ options: Image.DecodingOptions) -> Int {
      guard let wanted = options.sufficientSize else { return 8 }
      let turns = options.appliesOrientation && header.orientation.transposes
      let size = turns ? header.size.transposed : header.size
      // libjpeg-turbo has SIMD kernels for these; the sizes between take longer than the full one.
      return [1, 2, 4].first {
        (size.width * $0 + 7) / 8 >= wanted.width && (size.height * $0 + 7) / 8 >= wanted.height
      } ?? 8
    }

    private static func pixels(
      _ components: Int, _ size: Image.Size, _ eighths: Int, _ source: PictureSource
    ) throws -> Image {
      var stored = Image(uninitialized: size, Image.Channels(rawValue: components)!)
      unsafe try source.calling { bytes, message in
        unsafe stored.withMutablePixels { pixels in
          unsafe swl_jpeg_read(
            bytes.baseAddress, bytes.count, Int32(eighths), UInt32(size.width),
            UInt32(size.height), Int32(components), pixels.baseAddress, message)
        }
      }
      return components == 4 ? rgb(ofInverted: stored) : stored
    }

    /// RGB of CMYK as Adobe stores it, 255 for no ink; all programs assume that, Pillow too.
    private static func rgb(ofInverted cmyk: Image) -> Image {
      var result = Image(uninitialized: cmyk.size, .rgb)
      let count = cmyk.size.area
      unsafe cmyk.withPixels { source in
        unsafe result.withMutablePixels { target in
          for i in 0..<count {
            let light = unsafe source[4 * i + 3]
            for c in 0..<3 {
              let ink = unsafe 255 - source[4 * i + c]
              unsafe target[3 * i + c] = light - scaled(ink, by: light)
            }
          }
        }
      }
      return result
    }
  }

  extension PictureSource {
    /// Runs a decoder in C.
    ///
    /// - Throws: `outOfMemory` if it lacks memory; `badInput` with its message for other failures.
    func calling(
      _ body: (UnsafeBufferPointer<UInt8>, UnsafeMutablePointer<CChar>) -> Int32
    ) throws {
      let failure: SwiftletError? = unsafe withUnsafeTemporaryAllocation(
        of: CChar.self, capacity: SWL_IMAGE_MESSAGE
      ) { message -> SwiftletError? in
        let start = message.baseAddress!
        unsafe start.initialize(repeating: 0, count: message.count)
        let result = unsafe bytes.withUnsafeBufferPointer { unsafe body($0, start) }
        switch result {
        case 0: return nil
        case Int32(SWL_IMAGE_NO_MEMORY): return exhausted
        default: return unsafe damaged(String(cString: start))
        }
      }
      if let failure { throw failure }
    }
  }
#endif
