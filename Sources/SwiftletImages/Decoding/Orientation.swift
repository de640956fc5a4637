// SPDX-License-Identifier: Apache-2.0

import SwiftletFiles

/// How a picture is stored, as EXIF counts the ways (tag 0x0112).
enum Orientation: UInt16 {
  case upright = 1
  case flippedHorizontally, upsideDown, flippedVertically
  case transposed, rotatedLeft, transversed, rotatedRight

  /// Whether rows are stored as columns.
  var transposes: Bool { rawValue >= 5 }
  /// Whether the first pixel of a shown row (or column) is the last that is stored.
  var flipsX: Bool {
    [.flippedHorizontally, .upsideDown, .transversed, .rotatedRight].contains(self)
  }
  /// Whether the first row (or column) that is shown is the last that is stored.
  var flipsY: Bool { [.flippedVertically, .upsideDown, .rotatedLeft, .transversed].contains(self) }

  /// What EXIF data say, which are a TIFF file without a picture.
  ///
  /// Damage to them does not damage the picture: what cannot be read counts as upright.
  init(exif: ArraySlice<UInt8>) {
    self = (try? Self.read(Array(exif))) ?? .upright
  }

  private static func read(_ bytes: [UInt8]) throws -> Orientation? {
    var reader = ByteReader(bytes, file: "")
    let isLittle: Bool
    switch try reader.bigEndian(UInt32.self) {
    case 0x4949_2A00: isLittle = true
    case 0x4D4D_002A: isLittle = false
    default: return nil
    }
    func number<I: FixedWidthInteger>(_: I.Type) throws -> I {
      isLittle ? try reader.littleEndian() : try reader.bigEndian()
    }
    try reader.move(to: Int(try number(UInt32.self)))
    for _ in 0..<(try number(UInt16.self)) {
      let tag = try number(UInt16.self)
      let type = try number(UInt16.self)
      let count = try number(UInt32.self)
      let value = try number(UInt16.self)
      if tag == 0x0112, type == 3, count == 1 { return Orientation(rawValue: value) }
      _ = try reader.skip(2)
    }
    return nil
  }
}
