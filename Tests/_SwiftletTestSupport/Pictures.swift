// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// Small labelled pictures that a network can learn: class c is a bright square in place c.
public enum Pictures {
  /// - Returns: Images N×channels×size×size and their classes, 0 ..< classes (at most 9).
  public static func make(
    count: Int, classes: Int, channels: Int = 1, size: Int = 12, seed: UInt64 = 1
  ) -> (images: Tensor<UInt8>, labels: [Int]) {
    var generator = RandomGenerator(seed: seed)
    var images = Tensor<UInt8>(zeros: [count, channels, size, size])
    let labels = (0..<count).map { $0 % classes }
    let side = size / 3
    for (index, label) in labels.enumerated() {
      for channel in 0..<channels {
        for y in 0..<size {
          for x in 0..<size {
            let isInside = y / side == label / 3 && x / side == label % 3
            images[index, channel, y, x] = UInt8((isInside ? 180 : 20) + generator.below(60))
          }
        }
      }
    }
    return (images, labels)
  }

  /// One of N×1×H×W images as BMP, in three equal channels: what every build can decode.
  public static func bmp(_ images: Tensor<UInt8>, at index: Int) -> [UInt8] {
    func word(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(value >> ($0 * 8) & 255) } }
    let (height, width) = (images.shape[2], images.shape[3])
    let padding = [UInt8](repeating: 0, count: (4 - width * 3 % 4) % 4)
    // The last row comes first.
    let pixels = (0..<height).reversed().flatMap { y in
      (0..<width).flatMap { x in [UInt8](repeating: images[index, 0, y, x], count: 3) } + padding
    }
    let header = [54 + pixels.count, 0, 54, 40, width, height].flatMap(word)
    return Array("BM".utf8) + header + [1, 0, 24, 0] + word(0) + word(pixels.count)
      + [0, 0, 0, 0].flatMap(word) + pixels
  }
}

/// A picture of one colour, as BMP: what every build can decode.
public func bmp(
  width: Int, height: Int, _ colour: (red: UInt8, green: UInt8, blue: UInt8)
) -> [UInt8] {
  func word(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(value >> ($0 * 8) & 255) } }
  let padding = [UInt8](repeating: 0, count: (4 - width * 3 % 4) % 4)
  let row = (0..<width).flatMap { _ in [colour.blue, colour.green, colour.red] } + padding
  let size = row.count * height
  let header =
    Array("BM".utf8) + word(54 + size) + word(0) + word(54) + word(40) + word(width) + word(height)
  return header + [1, 0, 24, 0] + word(0) + word(size) + word(2835) + word(2835) + word(0) + word(0)
    + (0..<height).flatMap { _ in row }
}
