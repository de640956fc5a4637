// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletImages
import Testing
import _SwiftletTestSupport

@Suite struct ResizingTests {
  static let cases = Fixtures.digests.keys.filter { $0.hasPrefix("scene") }.sorted()

  @Test func allCasesAreThere() { #expect(Self.cases.count == 3 * 5 * 10) }

  /// Every bit.
  @Test(arguments: cases) func equalsPillow(line: String) throws {
    let words = line.split(separator: " ").map(String.init)
    let extents = words[2].split(separator: "x").map { Int($0)! }
    let image = Image(try Fixtures.array(words[0]))
    let interpolation = try #require(Interpolation(rawValue: words[1]))
    let result = image.resized(
      to: Image.Size(width: extents[0], height: extents[1]), interpolation)
    #expect(result.digest == Fixtures.digests[line])
  }

  @Test(arguments: Interpolation.allCases, Image.Channels.allCases)
  func oneColourStays(interpolation: Interpolation, channels: Image.Channels) {
    let colour = [UInt8](arrayLiteral: 200, 3, 77, 255).prefix(channels.rawValue)
    let image = Image.random(Image.Size(width: 1, height: 1), channels)
      .padded(to: Image.Size(width: 9, height: 8), x: 0, y: 0, colour: Array(colour))
      .cropped(to: Image.Region(x: 1, y: 1, size: Image.Size(width: 8, height: 7)))
    for size in [(1, 1), (3, 20), (30, 2), (17, 19)] {
      let result = image.resized(to: Image.Size(width: size.0, height: size.1), interpolation)
      #expect(
        result.pixels.elements
          == (0..<size.0 * size.1).flatMap { _ in Array(colour) })
    }
  }

  @Test func byHand() {
    let image = Image(grey: [[0, 10, 20, 255]])
    let half = Image.Size(width: 2, height: 1)
    #expect(image.resized(to: half, .area).rows == [[5, 138]])
    // Weights 3, 3, 1 of 7 at the left edge: 0·3 + 10·3 + 20·1 = 50, and 10 + 60 + 765 = 835.
    #expect(image.resized(to: half, .bilinear).rows == [[7, 119]])
    #expect(image.resized(to: half, .nearest).rows == [[10, 255]])
    // The centre of a pixel of the result lies between two.
    #expect(image.resized(to: half, .bilinear, antialias: false).rows == [[5, 138]])
  }

  /// Plain bilinear interpolation, in floating point: at most one shade of rounding apart.
  @Test(arguments: [(5, 3), (74, 58), (36, 30), (1, 1), (13, 29), (37, 4)])
  func withoutAntialiasingItIsPlainBilinear(width: Int, height: Int) throws {
    let image = Image(try Fixtures.array("scene-grey"))
    let result = image.resized(
      to: Image.Size(width: width, height: height), .bilinear, antialias: false)
    func position(_ place: Int, _ from: Int, _ to: Int) -> (Int, Int, Double) {
      let exact = max(0, (Double(place) + 0.5) * Double(from) / Double(to) - 0.5)
      let first = min(Int(exact), from - 1)
      return (first, min(first + 1, from - 1), exact - Double(first))
    }
    let rows = image.rows.map { $0.map(Double.init) }
    for y in 0..<height {
      let (top, bottom, down) = position(y, image.height, height)
      for x in 0..<width {
        let (left, right, across) = position(x, image.width, width)
        let upper = rows[top][left] * (1 - across) + rows[top][right] * across
        let lower = rows[bottom][left] * (1 - across) + rows[bottom][right] * across
        let exact = upper * (1 - down) + lower * down
        #expect(abs(Double(result.rows[y][x]) - exact) <= 1.001)
      }
    }
  }

  @Test func transparentColoursDoNotCount() {
    let image = Image(.init([1, 2, 4], [10, 20, 30, 255, 200, 200, 200, 0]))
    let one = image.resized(to: Image.Size(width: 1, height: 1), .area)
    // Half as opaque; the colour is the opaque pixel's, as well as its product with 128 tells.
    #expect(one.pixels.elements == [9, 19, 29, 128])
  }

  @Test func theSameSizeIsTheSamePicture() throws {
    let image = Image(try Fixtures.array("scene"))
    for interpolation in Interpolation.allCases {
      #expect(image.resized(to: image.size, interpolation) == image)
    }
  }
}
