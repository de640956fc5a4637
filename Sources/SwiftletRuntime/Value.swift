import SwiftletCore
import SwiftletKernels

/// A value inside a program: images whose channels lie side by side (channels-last): fp32, bf16 or
/// bytes.
///
/// A matrix N×C is N images of one pixel. int8 values are kept as bytes, shifted by 128.
struct Value: Sendable {
  enum Kind: Sendable, Hashable {
    case float
    /// bf16, of which an even number is stored: a zero takes the place of a last channel that is not
    /// there, so that kernels may read pairs.
    case bfloat
    /// 8-bit values, of which this one stands for zero.
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
  /// Channels that have memory.
  var storedChannels: Int { kind == .bfloat ? channels.roundedUp(to: 2) : channels }
  var pixels: Int { height * width }
  /// Elements of one image.
  var count: Int { channels * pixels }

  /// Steps of a multiple of 2 KiB would map the pixels of a tile to the same few lines of the cache.
  private static let aliasing = 2048

  /// Bytes between neighbours, halo included.
  var steps: ImageSteps {
    var pixel = storedChannels * elementSize
    if pixel % Self.aliasing == 0 && pixels > 1 { pixel += 64 }
    let row = (halo.left + width + halo.right) * pixel
    let image = ((halo.top + height + halo.bottom) * row).roundedUp(to: 64)
    return ImageSteps(
      pixel: pixel, row: row, image: pixels == 1 && image % Self.aliasing == 0 ? image + 64 : image)
  }

  /// Into how many parts work on a row is cut, so that threads which share an image have all some: rows
  /// N×S×C are one row of pixels.
  func rowParts(threads: Int) -> Int { threads > height ? max(1, min(4 * threads, width)) : 1 }

  /// Bytes from the start of an image's memory to its first pixel.
  var origin: Int { halo.top * steps.row + halo.left * steps.pixel }

  /// Bytes of so many images. Kernels may read up to a word past the last element.
  func byteCount(images: Int) -> Int { steps.image * images + 64 }

  /// Sets the pixels of the halo to zero, for some of the images.
  func fillHalo(_ start: UnsafeMutableRawPointer, images: Range<Int>) {
    let (steps, byte) = (steps, fill)
    let bottom = (halo.top + height) * steps.row
    let sides = (halo.left + halo.right) * steps.pixel
    for image in images {
      let base = unsafe start + image * steps.image - origin
      // The end of one row and the beginning of the next lie side by side.
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
