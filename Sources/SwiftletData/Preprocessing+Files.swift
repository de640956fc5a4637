// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletImages
import Synchronization

extension Preprocessing {
  /// Pictures in files, fitted to the model's input: N×C×H×W.
  ///
  /// - Throws: `io`, `badInput` or `unsupported` naming the first that cannot be decoded.
  func fitted(_ files: ImageFiles, _ indices: [Int], _ threads: Threads) throws -> Tensor<UInt8> {
    try stacked(indices.count, threads) { try pixels(of: files, at: indices[$0]) }
  }

  /// A picture in a file, fitted to the model's input: C×H×W.
  ///
  /// - Throws: `io`, `badInput` or `unsupported` naming it, if it cannot be decoded.
  func pixels(of files: ImageFiles, at index: Int) throws -> [UInt8] {
    let path = files.paths[index]
    return try FittedImages.shared.pixels(of: path, for: self) {
      try pixels(of: files.image(at: index, colours), at: path)
    }
  }

  /// Images in memory, fitted in the same way.
  func fitted(
    _ images: Tensor<UInt8>, _ indices: [Int], _ threads: Threads
  ) throws -> Tensor<UInt8> {
    try stacked(indices.count, threads) { position in
      let image = Image(images, at: indices[position]).converted(to: colours)
      return try pixels(of: image, at: "image \(indices[position])")
    }
  }

  /// The channels of a picture for the model: grey or RGB.
  private var colours: Image.Channels { channels == 1 ? .grey : .rgb }

  /// N×C×H×W of pictures C×H×W.
  ///
  /// - Throws: The error for the first one that `pixels` throws for.
  func stacked(
    _ count: Int, _ threads: Threads, _ pixels: @Sendable (Int) throws -> [UInt8]
  ) throws -> Tensor<UInt8> {
    let length = channels * height * width
    var batch = Tensor<UInt8>(uninitialized: [count, channels, height, width])
    let failures = Mutex<[Int: any Error]>([:])
    threads.forEachBlock(of: &batch, minimumWork: length) { rows, output in
      for row in rows {
        let start = (row - rows.lowerBound) * length
        var target = output.part(start..<start + length)
        do {
          // Named: a span of a temporary crashes the compiler (Swift 6.3.1).
          let made = try pixels(row)
          target.copy(made.span, to: 0)
        } catch {
          // What is left of the batch is thrown away; it must be initialized all the same.
          target.fill(with: 0)
          failures.withLock { $0[row] = error }
        }
      }
    }
    // The first in order, however many threads there are.
    if let first = failures.withLock({ $0.min { $0.key < $1.key } }) { throw first.value }
    return batch
  }

  /// A picture in the size of the model's input, C×H×W.
  private func pixels(of image: Image, at location: String) throws -> [UInt8] {
    let fitted = try fitted(image, at: location)
    var pixels = [UInt8](repeating: 0, count: channels * height * width)
    var target = pixels.mutableSpan
    fitted.write(fitted.bounds, to: &target, .planar)
    return pixels
  }

  private func fitted(_ image: Image, at location: String) throws -> Image {
    let size = Image.Size(width: width, height: height)
    switch fit {
    case .pad: return image.centerCropped(to: size)
    case .resize: return image.resized(to: size)
    case .crop:
      let whole = image.size.withShorterSide(shorterSide ?? 0)
      // Of a thin line, the other side becomes enormous.
      guard whole.height <= Image.maximumPixels / whole.width else {
        throw SwiftletError(
          .badInput,
          "a picture of \(image.size) pixels would become one of \(whole), which is too large",
          at: location, fix: "crop it, or leave it out")
      }
      return image.resized(to: whole).centerCropped(to: size)
    }
  }
}

extension Image.Size {
  /// The size with the same proportions, rounded down, as torchvision's `Resize` has it.
  fileprivate func withShorterSide(_ side: Int) -> Image.Size {
    width <= height
      ? Image.Size(width: side, height: max(side, side * height / width))
      : Image.Size(width: max(side, side * width / height), height: side)
  }
}

extension Image {
  /// One of N×C×H×W images, grey or RGB.
  fileprivate init(_ images: Tensor<UInt8>, at index: Int) {
    let image = images.slice(axis: 0, range: index..<index + 1)
    let (channels, height, width) = (images.shape[1], images.shape[2], images.shape[3])
    self.init(
      image.permuted(to: [0, 2, 3, 1]).contiguous().reshaped(to: [height, width, channels]))
  }
}
