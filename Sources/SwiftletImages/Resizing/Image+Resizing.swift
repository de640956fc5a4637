// SPDX-License-Identifier: Apache-2.0

internal import CSwiftletImages

extension Image {
  /// The picture in another size.
  ///
  /// Every pixel equals that of Pillow's `Image.resize`: along rows, then along columns (the other
  /// way round if the height shrinks by more than twice as much), each rounded to 8 bits, in fixed
  /// point. Colours of pictures with opacity are weighted by it.
  ///
  /// Without `antialias`, windows keep their width when the picture shrinks, and pixels between
  /// them count for nothing. Bilinear is then what OpenCV's `INTER_LINEAR` and torch's
  /// `interpolate(mode="bilinear", antialias=False)` compute, up to rounding.
  ///
  /// - Parameters:
  ///   - size: The size of the result.
  ///   - interpolation: What pixels of the result are made of.
  ///   - antialias: Whether all pixels count when the picture shrinks; nearest ignores it.
  /// - Precondition: The size is not empty.
  /// - Complexity: O(W′·H·k + W′·H′·l) with k and l pixels in a window of a row and of a column.
  public func resized(
    to size: Size, _ interpolation: Interpolation = .bilinear, antialias: Bool = true
  ) -> Image {
    precondition(size.width > 0 && size.height > 0, "a picture of \(size) pixels")
    if size == self.size { return self }
    if interpolation == .nearest { return nearest(size) }
    if channels == .rgba {
      return premultiplied().resampled(to: size, interpolation, antialias).unpremultiplied()
    }
    return resampled(to: size, interpolation, antialias)
  }

  private func resampled(
    to size: Size, _ interpolation: Interpolation, _ antialias: Bool
  ) -> Image {
    guard size.height != height else {
      return resampledRows(0..<height, to: size.width, interpolation, antialias)
    }
    let columns = ResamplingWeights(
      from: height, to: size.height, interpolation, antialias: antialias)
    guard size.width != width else { return resampledColumns(columns, firstRow: 0) }
    // The order matters where a pass clamps what exceeds 8 bits. Pillow has this one since 13.0.
    if size.height < height, height - size.height > 2 * (width - size.width) {
      return resampledColumns(columns, firstRow: 0)
        .resampledRows(0..<size.height, to: size.width, interpolation, antialias)
    }
    let rows = columns.range
    return resampledRows(rows, to: size.width, interpolation, antialias)
      .resampledColumns(columns, firstRow: rows.lowerBound)
  }

  /// Some rows of the picture, with another width.
  private func resampledRows(
    _ rows: Range<Int>, to width: Int, _ interpolation: Interpolation, _ antialias: Bool
  ) -> Image {
    let weights = ResamplingWeights(
      from: self.width, to: width, interpolation, antialias: antialias)
    var result = Image(uninitialized: Size(width: width, height: rows.count), channels)
    let (from, to) = (rowBytes, result.rowBytes)
    unsafe weights.withWindows { windows in
      unsafe withPixels { source in
        unsafe result.withMutablePixels { target in
          for row in rows {
            unsafe swl_resample_row(
              source.baseAddress! + row * from, Int32(self.width), Int32(channels.rawValue),
              windows, target.baseAddress! + (row - rows.lowerBound) * to)
          }
        }
      }
    }
    return result
  }

  /// The picture with another height.
  ///
  /// - Parameter firstRow: What the windows count the picture's first row as.
  private func resampledColumns(_ weights: ResamplingWeights, firstRow: Int) -> Image {
    var result = Image(
      uninitialized: Size(width: width, height: weights.starts.count), channels)
    let count = rowBytes
    unsafe weights.withWindows { windows in
      unsafe withPixels { source in
        unsafe result.withMutablePixels { target in
          for row in weights.starts.indices {
            let start = Int(weights.starts[row]) - firstRow
            unsafe swl_combine_rows(
              source.baseAddress! + start * count, count, windows, Int32(row),
              target.baseAddress! + row * count)
          }
        }
      }
    }
    return result
  }

  private func nearest(_ size: Size) -> Image {
    /// Steps are added up, as Pillow does: at borders between pixels, rounding decides.
    func places(_ length: Int, _ target: Int) -> [Int] {
      let step = Double(length) / Double(target)
      var place = step * 0.5
      return (0..<target).map { _ in
        defer { place += step }
        return min(Int(place), length - 1)
      }
    }
    var result = Image(uninitialized: size, channels)
    let count = channels.rawValue
    let offsets = places(width, size.width).map { $0 * count }
    let rows = places(height, size.height)
    unsafe withPixels { source in
      unsafe result.withMutablePixels { target in
        var next = 0
        for row in rows {
          for offset in offsets {
            for c in 0..<count { unsafe target[next + c] = source[row * rowBytes + offset + c] }
            next += count
          }
        }
      }
    }
    return result
  }

  private func premultiplied() -> Image {
    changingColours { colour, opacity in scaled(colour, by: opacity) }
  }

  private func unpremultiplied() -> Image {
    changingColours { colour, opacity in
      guard opacity != 0 && opacity != 255 else { return colour }
      return UInt8(min(255 * UInt32(colour) / UInt32(opacity), 255))
    }
  }

  private func changingColours(_ body: (_ colour: UInt8, _ opacity: UInt8) -> UInt8) -> Image {
    var result = self
    unsafe result.withMutablePixels { pixels in
      for i in Swift.stride(from: 0, to: pixels.count, by: 4) {
        for c in i..<i + 3 { unsafe pixels[c] = body(pixels[c], pixels[i + 3]) }
      }
    }
    return result
  }
}
