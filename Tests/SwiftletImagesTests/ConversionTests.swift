// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletImages
import Testing

@Suite struct ConversionTests {
  /// Pillow: `Image.new("RGB", (1, 1), colour).convert("L")`.
  @Test(
    arguments: [
      ([0, 0, 0], 0), ([255, 255, 255], 255), ([255, 0, 0], 76), ([0, 255, 0], 150),
      ([0, 0, 255], 29), ([1, 2, 3], 2), ([200, 100, 50], 124), ([17, 250, 133], 167),
    ] as [([UInt8], UInt8)])
  func brightness(colour: [UInt8], expected: UInt8) {
    let image = Image(Tensor([1, 1, 3], colour))
    #expect(image.converted(to: .grey).pixels.elements == [expected])
    #expect(image.converted(to: .rgba).converted(to: .grey).pixels.elements == [expected])
  }

  @Test func channelsAreAddedAndDropped() {
    let grey = Image(grey: [[3, 200]])
    #expect(grey.converted(to: .rgb).pixels.elements == [3, 3, 3, 200, 200, 200])
    #expect(grey.converted(to: .rgba).pixels.elements == [3, 3, 3, 255, 200, 200, 200, 255])
    let clear = Image(Tensor([1, 2, 4], [1, 2, 3, 0, 4, 5, 6, 7]))
    #expect(clear.converted(to: .rgb).pixels.elements == [1, 2, 3, 4, 5, 6])
    #expect(
      clear.converted(to: .rgb).converted(to: .rgba).pixels.elements
        == [1, 2, 3, 255, 4, 5, 6, 255])
  }

  @Test(arguments: Image.Channels.allCases) func theSameChannelsAreTheSamePicture(
    channels: Image.Channels
  ) {
    let image = Image.random(Image.Size(width: 3, height: 2), channels)
    #expect(image.converted(to: channels) == image)
    #expect(Image(image.pixels) == image)
  }
}
