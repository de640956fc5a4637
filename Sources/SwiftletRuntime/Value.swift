// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels

/// A value inside a program: channels-last images in fp32, bf16 or bytes.
///
/// A matrix N×C is N images of one pixel. int8 values are stored as bytes, shifted by 128.
struct Value: Sendable {
  enum Kind: Sendable, Hashable {
    case float
    /// bf16, stored with an even number of channels: an odd number is padded with a zero, so that
    /// kernels may read pairs.
    case bfloat
    /// 8-bit values with this zero point.
    case byte(zeroPoint: UInt8)
  }

  let kind: Kind
  let channels: Int
  var height: Int
  let width: Int
  /// Pixels around the image that windows reach into; they hold zeros.
  var halo = Halo()

  struct Halo: Sendable, Equatable {
    var top = 0, left = 0, bottom = 0, right = 0

    var isEmpty: Bool { self == Halo() }

    func union(_ other: Halo) -> Halo {
      Halo(
        top: max(top, other.top), left: max(left, other.left), bottom: max(bottom, other.bottom),
        right: max(right, other.right))
    }
  }

  var elementSize: Int {
    switch kind {
    case .float: 4
    case .bfloat: 2
    case .byte: 1
    }
  }
  /// The number of channels in memory.
  var storedChannels: Int { kind == .bfloat ? channels.roundedUp(to: 2) : channels }
  var pixels: Int { height * width }
  /// Elements per image.
  var count: Int { channels * pixels }

  /// Strides of a multiple of 2 KiB would map the pixels of a tile to the same few cache lines.
  private static let aliasing = 2048

  /// Strides in bytes, including the halo.
  var steps: ImageSteps {
    var pixel = storedChannels * elementSize
    if pixel % Self.aliasing == 0 && pixels > 1 { pixel += 64 }
    let row = (halo.left + width + halo.right) * pixel
    let image = ((halo.top + height + halo.bottom) * row).roundedUp(to: 64)
    return ImageSteps(
      pixel: pixel, row: row, image: pixels == 1 && image % Self.aliasing == 0 ? image + 64 : image)
  }

  /// The number of parts that work on a row is divided into, so that all threads that share an
  /// image have some: rows N×S×C are one row of pixels.
  func rowParts(threadsPerImage threads: Int) -> Int {
    threads > height ? max(1, min(4 * threads, width)) : 1
  }

  /// Bytes from the start of an image's memory to its first pixel.
  var origin: Int { halo.top * steps.row + halo.left * steps.pixel }

  /// The size of the given number of images, in bytes. Kernels may read up to a word past the last
  /// element.
  func byteCount(images: Int) -> Int { steps.image * images + 64 }

  /// Sets the pixels of the halo to zero, for some of the images.
  func fillHalo(_ start: UnsafeMutableRawPointer, images: Range<Int>) {
    let (steps, byte) = (steps, fill)
    let bottom = (halo.top + height) * steps.row
    let sides = (halo.left + halo.right) * steps.pixel
    for image in images {
      let base = unsafe start + image * steps.image - origin
      // The end of a row and the beginning of the next one are adjacent.
      let first = halo.top * steps.row + halo.left * steps.pixel
      unsafe base.initializeMemory(as: UInt8.self, repeating: byte, count: first)
      if sides > 0 {
        for row in 1..<max(1, height) {
          let end = unsafe base + (halo.top + row) * steps.row - halo.right * steps.pixel
          unsafe end.initializeMemory(as: UInt8.self, repeating: byte, count: sides)
        }
      }
      let last = bottom - halo.right * steps.pixel
      let tail = (halo.top + height + halo.bottom) * steps.row - last
      unsafe (base + last).initializeMemory(as: UInt8.self, repeating: byte, count: tail)
    }
  }

  private var fill: UInt8 {
    if case .byte(let zeroPoint) = kind { zeroPoint } else { 0 }
  }
}
