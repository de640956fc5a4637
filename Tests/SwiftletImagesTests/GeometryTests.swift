// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletImages
import Testing

@Suite struct GeometryTests {
  let image = Image(grey: [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]])

  @Test func crops() {
    let part = Image.Region(x: 1, y: 1, size: Image.Size(width: 2, height: 2))
    #expect(image.cropped(to: part).rows == [[6, 7], [10, 11]])
    #expect(image.cropped(to: image.bounds) == image)
  }

  /// Margins of 1.5 and 0.5 become 2 and 0: torchvision rounds to even numbers.
  @Test func cropsTheMiddle() {
    #expect(image.centerCropped(to: Image.Size(width: 1, height: 2)).rows == [[3], [7]])
    #expect(image.centerCropped(to: Image.Size(width: 2, height: 1)).rows == [[6, 7]])
    #expect(image.centerCropped(to: image.size) == image)
  }

  /// Python: torchvision pads (6 − 4) // 2 = 1 on the left and (5 − 3) // 2 = 1 above.
  @Test func centerCropsOfSmallPicturesArePadded() {
    let result = image.centerCropped(to: Image.Size(width: 6, height: 5))
    #expect(
      result.rows == [
        [0, 0, 0, 0, 0, 0], [0, 1, 2, 3, 4, 0], [0, 5, 6, 7, 8, 0], [0, 9, 10, 11, 12, 0],
        [0, 0, 0, 0, 0, 0],
      ])
    #expect(
      image.centerCropped(to: Image.Size(width: 2, height: 4)).rows
        == [[2, 3], [6, 7], [10, 11], [0, 0]])
  }

  @Test func pads() {
    let one = Image(Tensor([1, 1, 3], [1, 2, 3]))
    let result = one.padded(
      to: Image.Size(width: 2, height: 2), x: 1, y: 0, colour: [7, 8, 9])
    #expect(result.pixels.elements == [7, 8, 9, 1, 2, 3, 7, 8, 9, 7, 8, 9])
  }

  @Test(arguments: Image.Channels.allCases) func flips(channels: Image.Channels) {
    #expect(image.flippedHorizontally().rows == [[4, 3, 2, 1], [8, 7, 6, 5], [12, 11, 10, 9]])
    let picture = Image.random(Image.Size(width: 5, height: 3), channels)
    let flipped = picture.flippedHorizontally()
    for y in 0..<3 {
      for x in 0..<5 {
        for c in 0..<channels.rawValue {
          #expect(flipped.pixels[y, x, c] == picture.pixels[y, 4 - x, c])
        }
      }
    }
    #expect(flipped.flippedHorizontally() == picture)
  }
}
