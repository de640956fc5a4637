// SPDX-License-Identifier: Apache-2.0

/// The 95 % confidence interval of an accuracy (Wilson score interval).
public struct WilsonInterval: Sendable, Equatable {
  /// The lower bound, 0 to 1.
  public let low: Double
  /// The upper bound, 0 to 1.
  public let high: Double

  /// The interval for `hits` correct answers out of `images`. Unlike a normal approximation, it
  /// stays within 0…1 and does not shrink to a point if all or none are hits.
  ///
  /// - Precondition: `0 ≤ hits ≤ images`, and there is at least one image.
  /// - Source: Wilson 1927.
  public init(hits: Int, of images: Int) {
    precondition(0...images ~= hits && images > 0, "\(hits) hits of \(images) images")
    let z = 1.959963984540054
    let (n, p) = (Double(images), Double(hits) / Double(images))
    let scale = 1 / (1 + z * z / n)
    let centre = (p + z * z / (2 * n)) * scale
    let half = z * scale * (p * (1 - p) / n + z * z / (4 * n * n)).squareRoot()
    (low, high) = (max(0, min(p, centre - half)), min(1, max(p, centre + half)))
  }

  /// Like ``init(hits:of:)`` for an accuracy; `nil` if that is not in 0…1, or the number of images
  /// is 0 or absurdly large.
  init?(top1: Double, images: Int) {
    guard 1...1_000_000_000_000 ~= images, 0...1 ~= top1 else { return nil }
    self.init(hits: Int((top1 * Double(images)).rounded()), of: images)
  }
}
