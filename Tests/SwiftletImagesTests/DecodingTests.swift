// SPDX-License-Identifier: Apache-2.0

import Foundation
import SwiftletCore
import SwiftletImages
import Testing
import _SwiftletTestSupport

@Suite struct DecodingTests {
  @Test func thereArePicturesOfEveryKind() {
    #if Images
      #expect(Fixtures.names.count > 60)
    #else
      #expect(Fixtures.names.count > 10)
    #endif
  }

  /// Lossless files are read exactly; the libraries for others differ by a shade.
  @Test(arguments: Fixtures.names) func equalsPillow(name: String) throws {
    let image = try Image(reading: Fixtures.path(name))
    let expected = try Fixtures.array(String(name.prefix { $0 != "." }))
    try #require(image.pixels.shape == expected.shape)
    let isLossy = name.hasSuffix(".jpg") || name.hasPrefix("webp-lossy")
    #expect(image.distance(to: expected) <= (isLossy ? 2 : 0))
  }

  @Test(arguments: Fixtures.names.filter { Fixtures.digests["\($0) rgba"] != nil })
  func opacityEqualsPillow(name: String) throws {
    let image = try Image(reading: Fixtures.path(name), .init(channels: .rgba))
    guard !name.hasPrefix("webp-lossy") else {
      let expected = try Fixtures.array(String(name.prefix { $0 != "." }))
      #expect(image.converted(to: .rgb).distance(to: expected) <= 2)
      #expect(
        Set(
          image.pixels.elements.indices.filter { $0 % 4 == 3 }
            .map { image.pixels.elements[$0] }
        ).count > 10)
      return
    }
    #expect(image.digest == Fixtures.digests["\(name) rgba"])
  }

  @Test(arguments: Fixtures.names, Image.Channels.allCases)
  func givesTheChannelsThatAreWanted(name: String, channels: Image.Channels) throws {
    let image = try Image(reading: Fixtures.path(name), .init(channels: channels))
    #expect(image.channels == channels)
    guard channels != .rgba else { return }
    #expect(image == (try Image(reading: Fixtures.path(name))).converted(to: channels))
  }

  #if Images
    @Test(arguments: 2...8) func orientationsAreApplied(number: Int) throws {
      let path = Fixtures.path("jpeg-turned-\(number).jpg")
      let stored = try Image(reading: path, .init(appliesOrientation: false))
      #expect(stored.size == Image.Size(width: 19, height: 11))
      #expect(stored == (try Image(reading: Fixtures.path("jpeg-turned-1.jpg"))))
      let shown = try Image(reading: path)
      #expect((shown.width == 11) == (number >= 5))
      #expect(shown != stored)
    }

    @Test func grey2And4BitsAreComparedWithTheTransparentShade() throws {
      for bits in [2, 4] {
        let image = try Image(
          reading: Fixtures.path("png-grey-\(bits)-transparent.png"), .init(channels: .rgba))
        let pixels = image.pixels.elements
        for i in 0..<pixels.count / 4 {
          #expect((pixels[4 * i + 3] == 0) == (pixels[4 * i] == pixels[0]))
        }
      }
    }

    /// 37 × 29 at an eighth, a quarter, a half and all of its size, rounded up.
    @Test(arguments: [
      (1, 1, 5, 4), (5, 4, 5, 4), (6, 4, 10, 8), (14, 11, 19, 15), (15, 1, 19, 15),
      (1, 16, 37, 29), (37, 29, 37, 29), (100, 1, 37, 29),
    ])
    func jpegIsScaledWhileDecoding(width: Int, height: Int, scaledWidth: Int, scaledHeight: Int)
      throws
    {
      let path = Fixtures.path("jpeg-444.jpg")
      let wanted = Image.Size(width: width, height: height)
      let image = try Image(reading: path, .init(sufficientSize: wanted))
      #expect(image.size == Image.Size(width: scaledWidth, height: scaledHeight))
      let resized = try Image(reading: path).resized(to: image.size, .area)
      let difference =
        zip(image.pixels.elements, resized.pixels.elements)
        .reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) } / image.pixels.count
      #expect(difference < 20)
    }

    @Test func turnedPicturesAreLargeEnoughToo() throws {
      let path = Fixtures.path("jpeg-turned-6.jpg")
      let wanted = Image.Size(width: 5, height: 9)
      let image = try Image(reading: path, .init(sufficientSize: wanted))
      #expect(image.size == Image.Size(width: 6, height: 10))
    }

    @Test func theNameDoesNotMatter() throws {
      let bytes = try Fixtures.bytes("png-rgb-8.png")
      try withTemporaryFolder { folder in
        try put(bytes, folder, "picture.jpg")
        let image = try Image(reading: "\(folder)/picture.jpg")
        #expect(image == (try Image(decoding: bytes, file: "")))
      }
    }
  #else
    @Test(arguments: ["jpeg-444.jpg": "JPEG", "png-rgb-8.png": "PNG", "webp-lossy.webp": "WebP"])
    func whatWasLeftOutIsNamed(name: String, format: String) {
      expectError(.unsupported, name, format, "trait Images") {
        try Image(reading: Fixtures.path(name))
      }
    }
  #endif

  @Test func missingFilesAreNamed() {
    expectError(.io, "/nowhere/a.jpg") { try Image(reading: "/nowhere/a.jpg") }
  }
}
