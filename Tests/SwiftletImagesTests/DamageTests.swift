// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletImages
import Testing
import _SwiftletTestSupport

/// Damaged pictures are refused with an error that names the file, or decoded; nothing else.
@Suite struct DamageTests {
  private func survives(_ bytes: [UInt8], sourceLocation: SourceLocation = #_sourceLocation) {
    do {
      let options = Image.DecodingOptions(channels: .rgba, maximumPixels: 1 << 20)
      let image = try Image(decoding: bytes, file: "some-file", options)
      #expect(image.size.width * image.size.height <= 1 << 20, sourceLocation: sourceLocation)
    } catch let error as SwiftletError {
      #expect("\(error)".contains("some-file"), sourceLocation: sourceLocation)
    } catch {
      Issue.record(error, sourceLocation: sourceLocation)
    }
  }

  @Test(arguments: Fixtures.names) func truncated(name: String) throws {
    let bytes = try Fixtures.bytes(name)
    for cut in 0..<50 { survives(Array(bytes[..<(bytes.count * cut / 50)])) }
  }

  @Test(arguments: Fixtures.names) func changed(name: String) throws {
    let bytes = try Fixtures.bytes(name)
    var generator = RandomGenerator(seed: 1)
    for round in 0..<150 {
      var damaged = bytes
      // Headers are at the beginning, and the damage that matters most.
      let limit = round < 75 ? min(64, bytes.count) : bytes.count
      for _ in 0...generator.below(3) {
        damaged[generator.below(limit)] = UInt8(generator.below(256))
      }
      survives(damaged)
    }
  }

  /// All bytes of a file are needed, apart from what ends it.
  @Test(arguments: ["bmp-24.bmp", "bmp-8.bmp", "bmp-runs-8.bmp", "bmp-runs-4.bmp"])
  func bmpEndsEarly(name: String) throws {
    let bytes = try Fixtures.bytes(name)
    let end = name.contains("runs") ? bytes.count - 4 : bytes.count
    for count in stride(from: 14, to: end, by: 7) {
      expectError(.badInput, "some-file") {
        try Image(decoding: Array(bytes[..<count]), file: "some-file")
      }
    }
  }

  @Test func otherFiles() {
    expectError(.badInput, "some-file", "empty") { try Image(decoding: [], file: "some-file") }
    expectError(.badInput, "some-file", "known format") {
      try Image(decoding: Array("hello".utf8), file: "some-file")
    }
    expectError(.unsupported, "some-file", "GIF") {
      try Image(decoding: Array("GIF89a".utf8), file: "some-file")
    }
    expectError(.unsupported, "some-file", "TIFF") {
      try Image(decoding: Array("II*\0....".utf8), file: "some-file")
    }
  }

  /// A BMP header with a size and a number of bits, and nothing after it.
  private func bmp(_ width: Int32, _ height: Int32, bits: UInt8 = 24, code: UInt8 = 0) -> [UInt8] {
    let size = [width, height].flatMap { number in
      [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: number >> Int32($0)) }
    }
    return Array("BM".utf8) + [0, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0] + size
      + [1, 0, bits, 0, code] + [UInt8](repeating: 0, count: 23)
  }

  @Test func sizesAreChecked() {
    expectError(.badInput, "some-file", "0×5") { try Image(decoding: bmp(0, 5), file: "some-file") }
    expectError(.badInput, "3×0") { try Image(decoding: bmp(3, 0), file: "") }
    expectError(.badInput, "-3×1") { try Image(decoding: bmp(-3, 1), file: "") }
    expectError(.badInput, "2147483647×2147483648", "exceeds the limit") {
      try Image(decoding: bmp(.max, .min), file: "")
    }
    expectError(.badInput, "some-file", "4×3", "limit of 11 pixels") {
      try Image(decoding: bmp(4, 3), file: "some-file", .init(maximumPixels: 11))
    }
    expectError(.badInput, "ends early") {
      try Image(decoding: bmp(4, 3), file: "", .init(maximumPixels: 12))
    }
  }

  @Test func bmpFeatures() {
    expectError(.unsupported, "compression 4") {
      try Image(decoding: bmp(4, 3, code: 4), file: "")
    }
    expectError(.badInput, "3 bits") { try Image(decoding: bmp(4, 3, bits: 3), file: "") }
    expectError(.badInput, "24 bits", "runs8") { try Image(decoding: bmp(4, 3, code: 1), file: "") }
  }

  #if Images
    /// The file with some bytes replaced.
    private func patched(_ name: String, at place: Int, _ bytes: [UInt8]) throws -> [UInt8] {
      var file = try Fixtures.bytes(name)
      file.replaceSubrange(place..<place + bytes.count, with: bytes)
      return file
    }

    /// Pixels end before the last bytes; JPEG has an end marker, which Pillow asks for too.
    @Test(arguments: [
      "jpeg-420.jpg": 1, "jpeg-progressive.jpg": 1, "png-rgb-8.png": 21,
      "png-grey-16-interlaced.png": 21, "webp-lossy.webp": 20, "webp-lossless.webp": 1,
    ])
    func endsEarly(name: String, missing: Int) throws {
      let bytes = try Fixtures.bytes(name)
      for count in [missing, missing + 50, bytes.count - 40, bytes.count - 12] {
        expectError(.badInput, "some-file") {
          try Image(decoding: Array(bytes.dropLast(count)), file: "some-file")
        }
      }
      let half = Array(bytes.prefix(bytes.count / 2))
      expectError(.badInput, "early") { try Image(decoding: half, file: "some-file") }
    }

    @Test func jpegFeatures() throws {
      let frame = try #require(try Fixtures.bytes("jpeg-444.jpg").place(of: [0xFF, 0xC0]))
      let cases: [(Int, [UInt8], SwiftletError.Code, String)] = [
        (4, [12], .unsupported, "12 bits"), (1, [0xC3], .unsupported, "lossless"),
        (9, [2], .badInput, "2 components"), (5, [0, 0], .badInput, "37×0"),
        (7, [0, 0], .badInput, "0×29"), (1, [0xFE], .badInput, "no frame header"),
      ]
      for (place, bytes, code, fragment) in cases {
        let file = try patched("jpeg-444.jpg", at: frame + place, bytes)
        expectError(code, "some-file", fragment) { try Image(decoding: file, file: "some-file") }
      }
      expectError(.badInput, "exceeds the limit") {
        let file = try patched("jpeg-444.jpg", at: frame + 5, [0xFF, 0xFF, 0xFF, 0xFF])
        return try Image(decoding: file, file: "")
      }
    }

    /// libjpeg warns of bytes that do not belong there, and goes on; Pillow too.
    @Test func jpegWithStrayBytesIsDecoded() throws {
      var bytes = try Fixtures.bytes("jpeg-444.jpg")
      let expected = try Image(decoding: bytes, file: "")
      bytes.insert(contentsOf: [1, 2, 3], at: bytes.count - 2)
      #expect(try Image(decoding: bytes, file: "") == expected)
    }

    @Test func jpegWithThousandsOfScansIsRefused() throws {
      let bytes = try Fixtures.bytes("jpeg-progressive.jpg")
      let scan = try #require(bytes.indices.last { bytes[$0...].starts(with: [0xFF, 0xDA]) })
      let last = Array(bytes[scan..<bytes.count - 2])
      let many = Array(bytes[..<scan]) + (0..<600).flatMap { _ in last } + [0xFF, 0xD9]
      expectError(.badInput, "500 scans") { try Image(decoding: many, file: "") }
    }

    @Test func pngFeatures() throws {
      // Width, height, then bits, colour type; the checksum is wrong too, but comes last.
      let cases: [(Int, [UInt8], String)] = [
        (16, [0, 0, 0, 0], "0×13"), (20, [0, 0, 0, 0], "19×0"),
        (16, [0x7F, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF], "exceeds the limit"),
        (12, Array("IDAT".utf8), "header chunk"), (29, [0], "damaged"), (50, [99, 99], "damaged"),
      ]
      for (place, bytes, fragment) in cases {
        let file = try patched("png-rgb-8.png", at: place, bytes)
        expectError(.badInput, "some-file", fragment) {
          try Image(decoding: file, file: "some-file")
        }
      }
    }

    @Test func damagedExifIsIgnored() throws {
      let bytes = try Fixtures.bytes("jpeg-turned-6.jpg")
      let exif = try #require(bytes.place(of: Array("Exif".utf8)))
      let stored = try Image(reading: Fixtures.path("jpeg-turned-1.jpg"))
      for (place, value) in [(6, UInt8(0)), (10, 255), (15, 0), (17, 255), (19, 4), (25, 9)] {
        let file = try patched("jpeg-turned-6.jpg", at: exif + place, [value])
        #expect(try Image(decoding: file, file: "") == stored)
      }
    }
  #endif
}
