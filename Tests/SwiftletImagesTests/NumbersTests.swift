// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletImages
import Testing

@Suite struct NumbersTests {
  static let region = Image.Region(x: 2, y: 1, size: Image.Size(width: 3, height: 4))
  let image = Image.random(Image.Size(width: 7, height: 6), .rgb)

  @Test(arguments: [Image.Order.planar, .interleaved], [false, true])
  func pixelsAreScaled(order: Image.Order, reverses: Bool) {
    let scaling = Image.Scaling(
      scale: 1 / 255, mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225])
    var numbers = [Float](repeating: -1, count: 36)
    var target = numbers.mutableSpan
    image.write(Self.region, to: &target, order, scaling: scaling, reversesChannels: reverses)
    for y in 0..<4 {
      for x in 0..<3 {
        for c in 0..<3 {
          let channel = reverses ? 2 - c : c
          let value = Float(image.pixels[1 + y, 2 + x, channel])
          let expected = (value * (1 / 255) - scaling.mean[channel]) / scaling.deviation[channel]
          let place = order == .planar ? (c * 4 + y) * 3 + x : (y * 3 + x) * 3 + c
          #expect(numbers[place] == expected)
        }
      }
    }
  }

  @Test(arguments: [Image.Order.planar, .interleaved], [false, true])
  func pixelsAreCopied(order: Image.Order, reverses: Bool) {
    var bytes = [UInt8](repeating: 0, count: 36)
    var target = bytes.mutableSpan
    image.write(Self.region, to: &target, order, reversesChannels: reverses)
    for y in 0..<4 {
      for x in 0..<3 {
        for c in 0..<3 {
          let place = order == .planar ? (c * 4 + y) * 3 + x : (y * 3 + x) * 3 + c
          #expect(bytes[place] == image.pixels[1 + y, 2 + x, reverses ? 2 - c : c])
        }
      }
    }
  }

  /// A batch is written picture by picture.
  @Test func greyFillsABatch() {
    let images = (1...3).map { Image.random(Image.Size(width: 4, height: 2), .grey, seed: $0) }
    var batch = Tensor<Float>(zeros: [3, 1, 2, 4])
    var all = batch.mutableSpan
    for (index, image) in images.enumerated() {
      var part = all.part(8 * index..<8 * index + 8)
      let scaling = Image.Scaling(scale: 2, mean: [1], deviation: [0.5])
      image.write(image.bounds, to: &part, .planar, scaling: scaling)
    }
    let expected = images.flatMap { $0.pixels.elements.map { (Float($0) * 2 - 1) / 0.5 } }
    #expect(batch.elements == expected)
  }
}
