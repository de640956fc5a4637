// SPDX-License-Identifier: Apache-2.0

/// Where an accuracy lies that was measured on some images.
public struct WilsonInterval: Sendable, Equatable {
  public let low: Double
  public let high: Double

  /// The share of `hits` among `images`, with 95 % confidence. Unlike the interval of a normal
  /// distribution it stays within 0…1, and does not shrink to a point where all or none are hits.
  ///
  /// - Precondition: `0 ≤ hits ≤ images`, at least one image.
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

  /// As ``init(hits:of:)`` for a fraction; `nil` if it is none, or the images are none or absurdly
  /// many.
  init?(top1: Double, images: Int) {
    guard 1...1_000_000_000_000 ~= images, 0...1 ~= top1 else { return nil }
    self.init(hits: Int((top1 * Double(images)).rounded()), of: images)
  }
}
