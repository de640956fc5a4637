// SPDX-License-Identifier: Apache-2.0

extension Image {
  /// The same picture with other channels.
  ///
  /// - Brightness is that of ITU-R BT.601 in 16-bit fixed point, `(19595·R + 38470·G + 7471·B +
  ///   32768) >> 16`, as Pillow's `convert("L")`.
  /// - Grey becomes equal colours.
  /// - Opacity is dropped, not blended with a background, as Pillow's `convert("RGB")`; pictures
  ///   without one become opaque.
  public func converted(to channels: Channels) -> Image {
    switch (self.channels, channels) {
    case (.grey, .grey), (.rgb, .rgb), (.rgba, .rgba): return self
    case (.grey, .rgb): return unsafe mapped(to: .rgb) { unsafe $1.spread($0[0], 3) }
    case (.grey, .rgba):
      return unsafe mapped(to: .rgba) {
        unsafe $1.spread($0[0], 3)
        unsafe $1[3] = 255
      }
    case (.rgb, .grey), (.rgba, .grey):
      return unsafe mapped(to: .grey) { unsafe $1[0] = brightness($0[0], $0[1], $0[2]) }
    case (.rgb, .rgba):
      return unsafe mapped(to: .rgba) {
        unsafe $1.update(from: $0, count: 3)
        unsafe $1[3] = 255
      }
    case (.rgba, .rgb): return unsafe mapped(to: .rgb) { unsafe $1.update(from: $0, count: 3) }
    }
  }

  /// A picture of the same size whose pixels `body` makes of this one's, one at a time.
  @inline(__always)
  private func mapped(
    to channels: Channels,
    _ body: (_ source: UnsafePointer<UInt8>, _ target: UnsafeMutablePointer<UInt8>) -> Void
  ) -> Image {
    var result = Image(uninitialized: size, channels)
    let (from, to) = (self.channels.rawValue, channels.rawValue)
    let count = size.area
    unsafe withPixels { source in
      unsafe result.withMutablePixels { target in
        for i in 0..<count {
          unsafe body(source.baseAddress! + i * from, target.baseAddress! + i * to)
        }
      }
    }
    return result
  }
}

@inline(__always)
private func brightness(_ red: UInt8, _ green: UInt8, _ blue: UInt8) -> UInt8 {
  let sum = 19595 * UInt32(red) + 38470 * UInt32(green) + 7471 * UInt32(blue) + 0x8000
  return UInt8(truncatingIfNeeded: sum >> 16)
}

extension UnsafeMutablePointer<UInt8> {
  @inline(__always)
  fileprivate func spread(_ value: UInt8, _ count: Int) {
    for i in 0..<count { unsafe self[i] = value }
  }
}

/// `a·b / 255`, rounded.
@inline(__always)
func scaled(_ a: UInt8, by b: UInt8) -> UInt8 {
  let product = UInt32(a) * UInt32(b) + 128
  return UInt8(truncatingIfNeeded: (product + product >> 8) >> 8)
}
