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
}
