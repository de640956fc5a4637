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
      try pixels(of: files.image(at: index, pictureChannels), at: path)
    }
  }

  /// Images in memory, fitted in the same way.
  func fitted(
    _ images: Tensor<UInt8>, _ indices: [Int], _ threads: Threads
  ) throws -> Tensor<UInt8> {
    try stacked(indices.count, threads) { position in
      let image = Image(images, at: indices[position]).converted(to: pictureChannels)
      return try pixels(of: image, at: "image \(indices[position])")
    }
  }

  /// The channels of a picture for the model: grey or RGB.
  private var pictureChannels: Image.Channels { channels == 1 ? .grey : .rgb }

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
    let target: Image.Size
    switch fit {
    case .pad: return centered(image, in: size)
    case .resize: target = box ?? size
    case .letterbox: target = image.size.fitting(in: box ?? size)
    case .crop: target = image.size.withShorterSide(shorterSide ?? 0)
    }
    // Of a thin line, the other side becomes enormous; a box is as large as a file says.
    guard target.height <= Image.maximumPixels / target.width else {
      throw SwiftletError(
        .badInput,
        "a picture of \(image.size) pixels would become one of \(target), which is too large",
        at: location, fix: "crop it, leave it out, or resize it to less")
    }
    let resized = image.resized(to: target, interpolation, antialias: antialias ?? true)
    return centered(resized, in: size)
  }

  /// The part of `size` in the middle, with a border where the picture is smaller.
  private func centered(_ image: Image, in size: Image.Size) -> Image {
    var image = image
    if image.width < size.width || image.height < size.height {
      let larger = Image.Size(
        width: max(image.width, size.width), height: max(image.height, size.height))
      image = image.padded(
        to: larger, x: (larger.width - image.width) / 2, y: (larger.height - image.height) / 2,
        colour: border)
    }
    func offset(_ total: Int, _ part: Int) -> Int {
      let margin = Double(total - part) / 2
      return Int(margin.rounded(cropRounding == .even ? .toNearestOrEven : .down))
    }
    return image.cropped(
      to: Image.Region(
        x: offset(image.width, size.width), y: offset(image.height, size.height), size: size))
  }
}

extension Image.Size {
  /// The size with the same proportions, rounded down, as torchvision's `Resize` has it.
  fileprivate func withShorterSide(_ side: Int) -> Image.Size {
    width <= height
      ? Image.Size(width: side, height: max(side, side * height / width))
      : Image.Size(width: max(side, side * width / height), height: side)
  }

  /// The largest size with the same proportions that fits, rounded to the nearest, at least one
  /// pixel, as Ultralytics' `LetterBox` has it.
  fileprivate func fitting(in box: Image.Size) -> Image.Size {
    let ratio = min(Double(box.width) / Double(width), Double(box.height) / Double(height))
    func side(_ side: Int, _ limit: Int) -> Int {
      min(max(Int((Double(side) * ratio).rounded(.toNearestOrEven)), 1), limit)
    }
    return Image.Size(width: side(width, box.width), height: side(height, box.height))
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
