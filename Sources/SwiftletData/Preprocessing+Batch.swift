// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

extension Preprocessing {
  /// The images at `indices`, as a model's input. A single channel is repeated for all.
  ///
  /// - Parameters:
  ///   - data: The images.
  ///   - indices: Which of them, in order.
  ///   - moves: One for each; `nil` leaves all unchanged.
  ///   - threads: For decoding and conversion.
  /// - Returns: N×C×H×W or N×H×W×C, by ``layout``.
  /// - Throws: For pictures in files, `io`, `badInput` or `unsupported` naming the first that
  ///   cannot be decoded.
  public func batch(
    _ data: ImageDataset, _ indices: [Int], moves: [Augmentation.Move]? = nil, threads: Threads
  ) throws -> Tensor<Float> {
    switch data.pixels {
    case .packed(let images) where isDirect: batch(of: images, indices, fit, moves, threads)
    case .packed(let images):
      batch(fitted: try fitted(images, indices, threads), moves, threads)
    case .stored(let images):
      try batch(
        ImageDataset(name: data.name, images: images.packed(indices), labels: [], classCount: 0),
        Array(indices.indices), moves: moves, threads: threads)
    case .files(let files):
      batch(fitted: try fitted(files, indices, threads), moves, threads)
    case .arrays:
      throw SwiftletError(.unsupported, "arrays are not preprocessed", at: data.name)
    }
  }

  /// Pictures in the size of the model's input, as its input.
  func batch(
    fitted images: Tensor<UInt8>, _ moves: [Augmentation.Move]?, _ threads: Threads
  ) -> Tensor<Float> {
    batch(of: images, Array(0..<images.shape[0]), .pad, moves, threads)
  }

  /// - Parameter data: N×C×H×W, red first.
  private func batch(
    of data: Tensor<UInt8>, _ indices: [Int], _ fit: Fit, _ moves: [Augmentation.Move]?,
    _ threads: Threads
  ) -> Tensor<Float> {
    let (channels, sourceHeight, sourceWidth) = (data.shape[1], data.shape[2], data.shape[3])
    let tables = zip(mean, deviation).map { mean, deviation in
      (0..<256).map { (scaled(Float($0)) - mean) / deviation }
    }
    let images = data.contiguous()
    let sourceArea = sourceHeight * sourceWidth
    let area = height * width
    let isPlanar = layout == .planar
    var batch = Tensor<Float>(uninitialized: shape(batch: indices.count))
    threads.forEachBlock(of: &batch) { rows, output in
      for row in rows {
        let start = (row - rows.lowerBound) * self.channels * area
        for channel in 0..<self.channels {
          let colour = colours == .bgr ? self.channels - 1 - channel : channel
          var part = output.part(
            isPlanar
              ? start + channel * area..<start + (channel + 1) * area
              : start..<start + self.channels * area)
          let place = Place(
            first: isPlanar ? 0 : channel, step: isPlanar ? 1 : self.channels)
          let source = indices[row] * channels + (channels == 1 ? 0 : colour)
          let pixels = images.span.extracting(source * sourceArea..<(source + 1) * sourceArea)
          let move = moves?[row] ?? .none
          switch fit {
          case .resize:
            resize(pixels, sourceHeight, sourceWidth, channel, move, &part, place)
          case .pad, .crop, .letterbox:
            let table = tables[channel]
            let border = table[Int(self.border?[colour] ?? 0)]
            pad(pixels, sourceHeight, sourceWidth, table, border, move, &part, place)
          }
        }
      }
    }
    return batch
  }

  /// Where a channel's numbers are: the first one, and the distance between neighbors.
  private struct Place {
    let first, step: Int
  }

  private func pad(
    _ pixels: Span<UInt8>, _ sourceHeight: Int, _ sourceWidth: Int, _ table: [Float],
    _ border: Float, _ move: Augmentation.Move, _ part: inout MutableSpan<Float>, _ place: Place
  ) {
    let step = place.step
    if step == 1 {
      part.fill(with: border)
    } else {
      for i in stride(from: place.first, to: part.count, by: step) { part[i] = border }
    }
    let top = (height - sourceHeight) / 2 + move.down
    let left = (width - sourceWidth) / 2 + move.right
    for y in max(0, -top)..<max(max(0, -top), min(sourceHeight, height - top)) {
      let row = ((y + top) * width + left) * step + place.first
      for x in max(0, -left)..<max(max(0, -left), min(sourceWidth, width - left)) {
        let column = move.isFlipped ? sourceWidth - 1 - x : x
        part[row + x * step] = table[Int(pixels[y * sourceWidth + column])]
      }
    }
  }

  private func resize(
    _ pixels: Span<UInt8>, _ sourceHeight: Int, _ sourceWidth: Int, _ channel: Int,
    _ move: Augmentation.Move, _ part: inout MutableSpan<Float>, _ place: Place
  ) {
    func position(_ target: Int, _ size: Int, _ source: Int) -> (Int, Int, Float) {
      let exact = (Float(target) + 0.5) * Float(source) / Float(size) - 0.5
      let clamped = min(max(exact, 0), Float(source - 1))
      let lower = Int(clamped)
      return (lower, min(lower + 1, source - 1), clamped - Float(lower))
    }
    for y in 0..<height {
      let (y0, y1, fy) = position(min(max(y - move.down, 0), height - 1), height, sourceHeight)
      for x in 0..<width {
        let moved = min(max(x - move.right, 0), width - 1)
        let column = move.isFlipped ? width - 1 - moved : moved
        let (x0, x1, fx) = position(column, width, sourceWidth)
        let upper =
          Float(pixels[y0 * sourceWidth + x0]) * (1 - fx)
          + Float(pixels[y0 * sourceWidth + x1]) * fx
        let lower =
          Float(pixels[y1 * sourceWidth + x0]) * (1 - fx)
          + Float(pixels[y1 * sourceWidth + x1]) * fx
        let value = upper * (1 - fy) + lower * fy
        part[(y * width + x) * place.step + place.first] =
          (scaled(value) - mean[channel]) / deviation[channel]
      }
    }
  }
}
