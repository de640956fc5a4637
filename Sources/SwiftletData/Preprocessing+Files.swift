// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletImages
import Synchronization

extension Preprocessing {
  /// Pictures of any size as a model's input; see ``batch(_:_:moves:threads:)``.
  ///
  /// - Parameters:
  ///   - count: The number of pictures.
  ///   - moves: One for each, or none.
  ///   - threads: Each takes some of the pictures.
  ///   - picture: A picture by its position in the batch, grey or RGB.
  /// - Throws: What `picture` throws, for the first of the pictures.
  func pictures(
    _ count: Int, _ moves: [Augmentation.Move]?, _ threads: Threads,
    _ picture: @Sendable (Int) throws -> Image
  ) throws -> Tensor<Float> {
    let scaling = Image.Scaling(scale: 1 / 255, mean: mean, deviation: deviation)
    let length = channels * height * width
    var batch = Tensor<Float>(uninitialized: shape(batch: count))
    let failures = Mutex<[Int: any Error]>([:])
    threads.forEachBlock(of: &batch, minimumWork: length) { rows, output in
      for row in rows {
        let start = (row - rows.lowerBound) * length
        var target = output.part(start..<start + length)
        do {
          let whole = try picture(row).converted(to: channels == 1 ? .grey : .rgb)
          let fitted = self.fitted(whole).moved(by: moves?[row] ?? .none, repeatsEdge: fit != .pad)
          fitted.write(fitted.bounds, to: &target, .planar, scaling: scaling)
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

  /// A picture in the size of the model's input.
  private func fitted(_ image: Image) -> Image {
    let size = Image.Size(width: width, height: height)
    switch fit {
    case .pad: return image.centerCropped(to: size)
    case .resize: return image.resized(to: size)
    case .crop:
      return image.resized(to: image.size.withShorterSide(shorterSide ?? 0)).centerCropped(to: size)
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
  init(_ images: Tensor<UInt8>, at index: Int) {
    let image = images.slice(axis: 0, range: index..<index + 1)
    let (channels, height, width) = (images.shape[1], images.shape[2], images.shape[3])
    self.init(
      image.permuted(to: [0, 2, 3, 1]).contiguous().reshaped(to: [height, width, channels]))
  }

  /// The picture mirrored and moved.
  ///
  /// - Parameter repeatsEdge: Whether its edge fills what the move uncovers; else black does.
  fileprivate func moved(by move: Augmentation.Move, repeatsEdge: Bool) -> Image {
    guard move != .none else { return self }
    let source = move.isFlipped ? flippedHorizontally() : self
    var pixels = Tensor<UInt8>(zeros: source.pixels.shape)
    let count = channels.rawValue
    let from = source.pixels.span
    var to = pixels.mutableSpan
    for y in 0..<height {
      let row = y - move.down
      if !repeatsEdge && !(0..<height ~= row) { continue }
      let start = min(max(row, 0), height - 1) * width
      for x in 0..<width {
        let column = x - move.right
        if !repeatsEdge && !(0..<width ~= column) { continue }
        let place = (start + min(max(column, 0), width - 1)) * count
        for c in 0..<count { to[(y * width + x) * count + c] = from[place + c] }
      }
    }
    return Image(pixels)
  }
}
