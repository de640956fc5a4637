// SPDX-License-Identifier: Apache-2.0

import SwiftletImages

/// What equals the defaults is left out, so that earlier versions read what they can express.
extension Preprocessing: Codable {
  private enum Key: String, CodingKey {
    case channels, height, width, fit, shorterSide, mean, deviation
    case boxHeight, boxWidth, interpolation, antialias, cropRounding, border, colours, layout, scale
  }

  /// Reads what `encode` writes.
  ///
  /// - Throws: `DecodingError` for values of the wrong kind, and as the initializer of the parts.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    func choice<C: RawRepresentable<String>>(_ key: Key, _ usual: C) throws -> C {
      guard let text = try values.decodeIfPresent(String.self, forKey: key) else { return usual }
      guard let choice = C(rawValue: text) else {
        throw DecodingError.dataCorruptedError(
          forKey: key, in: values, debugDescription: "unknown value")
      }
      return choice
    }
    let box = try (
      height: values.decodeIfPresent(Int.self, forKey: .boxHeight),
      width: values.decodeIfPresent(Int.self, forKey: .boxWidth)
    )
    try self.init(
      channels: values.decode(Int.self, forKey: .channels),
      height: values.decode(Int.self, forKey: .height),
      width: values.decode(Int.self, forKey: .width), fit: values.decode(Fit.self, forKey: .fit),
      shorterSide: values.decodeIfPresent(Int.self, forKey: .shorterSide),
      // One extent alone makes a box that is not sound.
      box: box == (nil, nil) ? nil : Image.Size(width: box.width ?? 0, height: box.height ?? 0),
      interpolation: choice(.interpolation, .bilinear),
      antialias: values.decodeIfPresent(Bool.self, forKey: .antialias),
      cropRounding: choice(.cropRounding, .even),
      border: values.decodeIfPresent([UInt8].self, forKey: .border),
      colours: choice(.colours, .rgb), layout: choice(.layout, .planar),
      scale: values.decodeIfPresent(Float.self, forKey: .scale) ?? Self.unitScale,
      mean: values.decode([Float].self, forKey: .mean),
      deviation: values.decode([Float].self, forKey: .deviation))
  }

  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    try values.encode(channels, forKey: .channels)
    try values.encode(height, forKey: .height)
    try values.encode(width, forKey: .width)
    try values.encode(fit, forKey: .fit)
    try values.encodeIfPresent(shorterSide, forKey: .shorterSide)
    try values.encode(mean, forKey: .mean)
    try values.encode(deviation, forKey: .deviation)
    try values.encodeIfPresent(box?.height, forKey: .boxHeight)
    try values.encodeIfPresent(box?.width, forKey: .boxWidth)
    try values.encodeIfPresent(antialias, forKey: .antialias)
    try values.encodeIfPresent(border, forKey: .border)
    if interpolation != .bilinear {
      try values.encode(interpolation.rawValue, forKey: .interpolation)
    }
    if cropRounding != .even { try values.encode(cropRounding.rawValue, forKey: .cropRounding) }
    if colours != .rgb { try values.encode(colours.rawValue, forKey: .colours) }
    if layout != .planar { try values.encode(layout.rawValue, forKey: .layout) }
    if scale != Self.unitScale { try values.encode(scale, forKey: .scale) }
  }
}
