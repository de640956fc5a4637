// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

extension Image {
  /// A part of the picture.
  ///
  /// - Precondition: The region is not empty and lies in the picture.
  public func cropped(to region: Region) -> Image {
    check(region)
    if region == bounds { return self }
    var result = Image(uninitialized: region.size, channels)
    result.copyRows(of: self, region, to: (0, 0))
    return result
  }

  /// The part of `size` in the middle, as torchvision's `center_crop`: odd margins are rounded to
  /// the even half. Where the picture is smaller, black surrounds it.
  ///
  /// - Precondition: The size is not empty.
  public func centerCropped(to size: Size) -> Image {
    guard size.width <= width, size.height <= height else {
      let larger = Size(width: max(width, size.width), height: max(height, size.height))
      let left = (larger.width - width) / 2
      let top = (larger.height - height) / 2
      return padded(to: larger, x: left, y: top).centerCropped(to: size)
    }
    func margin(_ total: Int, _ part: Int) -> Int {
      Int((Double(total - part) / 2).rounded(.toNearestOrEven))
    }
    let (x, y) = (margin(width, size.width), margin(height, size.height))
    return cropped(to: Region(x: x, y: y, size: size))
  }

  /// A picture of `size` with this one at (x, y), and a colour around it.
  ///
  /// - Parameters:
  ///   - size: The size of the result.
  ///   - x: The column that the picture begins in.
  ///   - y: The row that the picture begins in.
  ///   - colour: A value for each channel; zeros if it is left out.
  /// - Precondition: The picture fits there, and `colour` has a value for each channel.
  public func padded(to size: Size, x: Int, y: Int, colour: [UInt8]? = nil) -> Image {
    precondition(
      x >= 0 && y >= 0 && x <= size.width - width && y <= size.height - height,
      "a picture of \(self.size) does not fit into \(size) at (\(x), \(y))")
    let colour = colour ?? [UInt8](repeating: 0, count: channels.rawValue)
    precondition(
      colour.count == channels.rawValue,
      "a colour of \(colour.count) values for \(channels.rawValue) channels")
    var result = Image(uninitialized: size, channels)
    unsafe result.withMutablePixels { pixels in
      for i in 0..<size.area {
        for c in colour.indices { unsafe pixels[i * colour.count + c] = colour[c] }
      }
    }
    result.copyRows(of: self, bounds, to: (x, y))
    return result
  }

  /// The mirror image: left and right exchanged.
  public func flippedHorizontally() -> Image { rearranged(.flippedHorizontally) }

  /// The picture with rows and columns in another order.
  func rearranged(_ orientation: Orientation) -> Image {
    if orientation == .upright { return self }
    let transposes = orientation.transposes
    var result = Image(uninitialized: transposes ? size.transposed : size, channels)
    let count = channels.rawValue
    // Steps through the source along its columns and rows, and where its first pixel is.
    let right = orientation.flipsX ? -count : count
    let down = orientation.flipsY ? -rowBytes : rowBytes
    let start =
      (orientation.flipsX ? rowBytes - count : 0)
      + (orientation.flipsY ? rowBytes * (height - 1) : 0)
    let (stepX, stepY) = transposes ? (down, right) : (right, down)
    let size = result.size
    unsafe withPixels { source in
      unsafe result.withMutablePixels { target in
        var next = 0
        for y in 0..<size.height {
          var offset = start + y * stepY
          for _ in 0..<size.width {
            for c in 0..<count { unsafe target[next + c] = source[offset + c] }
            next += count
            offset += stepX
          }
        }
      }
    }
    return result
  }

  /// - Precondition: The region is not empty and lies in the picture.
  func check(_ region: Region) {
    precondition(
      region.x >= 0 && region.y >= 0 && region.size.width > 0 && region.size.height > 0
        && region.x <= width - region.size.width && region.y <= height - region.size.height,
      "\(region.size) pixels at (\(region.x), \(region.y)) are not in a picture of \(size)")
  }

  /// Copies a region of a picture with the same channels, to where it fits.
  mutating func copyRows(of other: Image, _ region: Region, to place: (x: Int, y: Int)) {
    let count = channels.rawValue
    let (from, to) = (other.rowBytes, rowBytes)
    unsafe other.withPixels { source in
      unsafe withMutablePixels { target in
        for y in 0..<region.size.height {
          let row = unsafe source.baseAddress! + (region.y + y) * from + region.x * count
          unsafe (target.baseAddress! + (place.y + y) * to + place.x * count)
            .update(from: row, count: region.size.width * count)
        }
      }
    }
  }
}
