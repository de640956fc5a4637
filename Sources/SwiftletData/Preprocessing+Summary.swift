// SPDX-License-Identifier: Apache-2.0

import SwiftletImages

extension Preprocessing {
  /// The processing of images, for display: `3×32×32, padded; pixels scaled to 0…1`.
  public var summary: String {
    let size =
      switch layout {
      case .planar: "\(channels)×\(height)×\(width)"
      case .interleaved: "\(height)×\(width)×\(channels)"
      }
    let colours = colours == .bgr ? " in the order BGR" : ""
    return "\(size)\(colours), \(fitted); \(scaled)"
  }

  private var fitted: String {
    var parts: [String] = []
    let box = box.map { " to \($0.height)×\($0.width)" }
    switch fit {
    case .pad: parts.append("padded")
    case .resize: parts.append(box.map { "the center after resizing\($0)" } ?? "resized")
    case .crop:
      parts.append("the center after resizing the shorter side to \(shorterSide ?? 0)")
    case .letterbox:
      parts.append(
        box.map { "the center after fitting\($0), with a border" } ?? "letterboxed")
    }
    if fit != .pad {
      if interpolation != .bilinear { parts.append("\(interpolation.rawValue) interpolation") }
      if antialias == false, interpolation != .nearest { parts.append("without antialiasing") }
    }
    return parts.joined(separator: ", ")
  }

  private var scaled: String {
    guard !mean.isEmpty, !deviation.isEmpty else { return "pixels are not scaled" }
    func list(_ numbers: [Float]) -> String {
      Set(numbers).count == 1 ? "\(numbers[0])" : numbers.map { "\($0)" }.joined(separator: ", ")
    }
    guard Set(mean).count == 1, Set(deviation).count == 1 else {
      let factor =
        switch scale {
        case Self.unitScale: " divided by 255,"
        case 1: ""
        default: " times \(scale),"
        }
      let divisor = deviation.allSatisfy { $0 == 1 } ? "" : ", divided by \(list(deviation))"
      return "pixels\(factor) minus \(list(mean))\(divisor)"
    }
    func range(_ pixel: Float) -> String {
      let value = ((scaled(pixel) - mean[0]) / deviation[0] * 1e3).rounded() / 1e3
      return value.rounded() == value && abs(value) < 1e6 ? "\(Int(value))" : "\(value)"
    }
    return "pixels scaled to \(range(0))…\(range(255))"
  }
}
