// SPDX-License-Identifier: Apache-2.0

package import SwiftletCore

/// Random changes to training images that do not change their class.
public struct Augmentation: Sendable, Codable, Equatable {
  /// The maximum shift of an image in each direction, in pixels: padding by that much and cropping
  /// at random.
  public var crop: Int
  /// Whether half of the images are mirrored left to right.
  public var flips: Bool

  /// Moves by up to `crop` pixels, mirrors if `flips`.
  public init(crop: Int = 0, flips: Bool = false) {
    self.crop = crop
    self.flips = flips
  }

  /// Images stay as they are.
  public static let none = Augmentation()

  /// The change applied to one image.
  public struct Move: Sendable, Equatable {
    /// Pixels that the image moves down; up if negative.
    public let down: Int
    /// Pixels that the image moves to the right; to the left if negative.
    public let right: Int
    /// Whether it is mirrored, left to right, before it moves.
    public let isFlipped: Bool

    /// A move by pixels, after mirroring.
    public init(down: Int, right: Int, isFlipped: Bool) {
      self.down = down
      self.right = right
      self.isFlipped = isFlipped
    }

    /// The image stays as it is.
    public static let none = Move(down: 0, right: 0, isFlipped: false)
  }

  /// Draws one move per image; `nil` if nothing is ever changed.
  package func moves(count: Int, using generator: inout RandomGenerator) -> [Move]? {
    guard self != .none else { return nil }
    return (0..<count).map { _ in
      Move(
        down: generator.below(2 * crop + 1) - crop, right: generator.below(2 * crop + 1) - crop,
        isFlipped: flips && generator.below(2) == 1)
    }
  }
}
