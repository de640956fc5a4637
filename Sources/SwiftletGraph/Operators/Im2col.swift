import SwiftletCore
import SwiftletKernels

/// Lays the windows of images out as columns of a matrix, so that a convolution becomes one matrix
/// product, and adds such a matrix back onto images.
///
/// Rows are (channel, kernel row, kernel column); columns are (image, output row, output column).
struct Im2col: Sendable {
  let window: SlidingWindow
  let place: SlidingWindow.Placement
  /// Channels of a whole image, and the ones that take part (one group).
  let imageChannels: Int
  let channels: Range<Int>

  /// Which output positions one column matrix covers: some rows of one image, or whole images.
  struct Tile: Sendable {
    let images: Range<Int>
    let rows: Range<Int>
  }

  var rowCount: Int { channels.count * window.kernel[0] * window.kernel[1] }

  func columnCount(_ tile: Tile) -> Int {
    tile.images.count * tile.rows.count * place.outputWidth
  }

  /// Cuts images into tiles: one image each, several where they are small, some rows where they
  /// are large. The column matrix stays small whatever the batch and the image size.
  func tiles(_ images: Range<Int>) -> [Tile] {
    let area = max(1, place.outputArea)
    // Fewer columns make the product inefficient, more elements fall out of the cache.
    let (fewestColumns, mostElements) = (256, 1 << 18)
    if area >= fewestColumns {
      let columns = max(fewestColumns, mostElements / max(1, rowCount))
      let rows = max(1, min(place.outputHeight, columns / max(1, place.outputWidth)))
      return images.flatMap { image in
        stride(from: 0, to: place.outputHeight, by: rows).map {
          Tile(images: image..<image + 1, rows: $0..<min($0 + rows, place.outputHeight))
        }
      }
    }
    let perTile = fewestColumns / area
    return stride(from: images.lowerBound, to: images.upperBound, by: perTile).map {
      Tile(images: $0..<min($0 + perTile, images.upperBound), rows: 0..<place.outputHeight)
    }
  }

  /// Fills `columns` (`rowCount` × columnCount) from packed `images` (N×C×H×W).
  func gather<T: LayerElement>(
    _ images: Span<T>, _ tile: Tile, into columns: inout MutableSpan<T>
  ) {
    let movesPlanes = movesWholePlanes(tile)
    var target = 0
    forEachTap(tile) { image, channel, dy, dx, valid in
      let plane = images.extracting(planeRange(image, channel))
      if movesPlanes {
        var out = columns.part(target..<target + place.outputArea)
        target += place.outputArea
        shift(plane, dy - place.padTop, dx - place.padLeft, into: &out)
        return
      }
      for row in tile.rows {
        var out = columns.part(target..<target + place.outputWidth)
        target += place.outputWidth
        let y = row * window.strides[0] - place.padTop + dy
        guard y >= 0, y < place.inputHeight else {
          out.fill(with: 0)
          continue
        }
        let line = plane.extracting(y * place.inputWidth..<(y + 1) * place.inputWidth)
        for i in 0..<valid.lowerBound { out[i] = 0 }
        for i in valid.upperBound..<place.outputWidth { out[i] = 0 }
        guard !valid.isEmpty else { continue }
        let start = valid.lowerBound * window.strides[1] - place.padLeft + dx
        if window.strides[1] == 1 {
          out.copy(line.extracting(start..<start + valid.count), to: valid.lowerBound)
        } else {
          for i in 0..<valid.count {
            out[valid.lowerBound + i] = line[start + i * window.strides[1]]
          }
        }
      }
    }
  }

  /// Whether every tap sees whole planes moved by some rows and columns: stride 1 and an output as
  /// large as the input, the usual padded 3×3 convolution.
  private func movesWholePlanes(_ tile: Tile) -> Bool {
    tile.rows.count == place.outputHeight && window.strides == [1, 1]
      && place.outputHeight == place.inputHeight && place.outputWidth == place.inputWidth
  }

  /// out[y, x] = plane[y + down, x + right], zero outside: one copy, and then the columns that the
  /// copy took from the neighbouring row are cleared.
  private func shift<T: LayerElement>(
    _ plane: Span<T>, _ down: Int, _ right: Int, into out: inout MutableSpan<T>
  ) {
    let offset = down * place.inputWidth + right
    let (first, end) = overlap(offset)
    if first > 0 {
      var before = out.part(0..<first)
      before.fill(with: 0)
    }
    if first < end { out.copy(plane.extracting(first + offset..<end + offset), to: first) }
    if end < plane.count {
      var after = out.part(end..<plane.count)
      after.fill(with: 0)
    }
    clearEdge(&out, right)
  }

  /// plane[y + down, x + right] += values[y, x], the transpose of ``shift(_:_:_:into:)``.
  private func addShifted<T: LayerElement>(
    _ values: inout MutableSpan<T>, _ down: Int, _ right: Int, to plane: inout MutableSpan<T>
  ) {
    clearEdge(&values, right)
    let offset = down * place.inputWidth + right
    let (first, end) = overlap(offset)
    guard first < end else { return }
    var target = plane.part(first + offset..<end + offset)
    T.add(values.span.extracting(first..<end), to: &target)
  }

  /// The positions of a plane that stay inside it when moved by `offset`.
  private func overlap(_ offset: Int) -> (first: Int, end: Int) {
    let first = min(max(0, -offset), place.inputArea)
    return (first, max(first, min(place.inputArea, place.inputArea - offset)))
  }

  /// Sets the columns to zero whose neighbours `right` of them lie outside of the image.
  private func clearEdge<T: LayerElement>(_ values: inout MutableSpan<T>, _ right: Int) {
    let width = place.inputWidth
    for column in right < 0 ? 0..<min(width, -right) : max(0, width - right)..<width {
      var position = column
      for _ in 0..<place.inputHeight {
        values[position] = 0
        position &+= width
      }
    }
  }

  /// Adds `columns` (`rowCount` × columnCount) onto packed `images` (N×C×H×W): the transpose of
  /// ``gather(_:_:into:)``. `firstImage` is the index of the first image in the span. What is in
  /// `columns` afterwards is undefined.
  func scatter<T: LayerElement>(
    _ columns: inout MutableSpan<T>, _ tile: Tile, addingTo images: inout MutableSpan<T>,
    firstImage: Int
  ) {
    let movesPlanes = movesWholePlanes(tile)
    var source = 0
    forEachTap(tile) { image, channel, dy, dx, valid in
      var plane = images.part(planeRange(image - firstImage, channel))
      if movesPlanes {
        var values = columns.part(source..<source + place.outputArea)
        source += place.outputArea
        addShifted(&values, dy - place.padTop, dx - place.padLeft, to: &plane)
        return
      }
      for row in tile.rows {
        let values = columns.span.extracting(source..<source + place.outputWidth)
        source += place.outputWidth
        let y = row * window.strides[0] - place.padTop + dy
        guard y >= 0, y < place.inputHeight, !valid.isEmpty else { continue }
        var line = plane.part(y * place.inputWidth..<(y + 1) * place.inputWidth)
        let start = valid.lowerBound * window.strides[1] - place.padLeft + dx
        let taken = values.extracting(valid)
        if window.strides[1] == 1 {
          var part = line.part(start..<start + valid.count)
          for i in taken.indices { part[i] += taken[i] }
        } else {
          for i in taken.indices { line[start + i * window.strides[1]] += taken[i] }
        }
      }
    }
  }

  private func planeRange(_ image: Int, _ channel: Int) -> Range<Int> {
    let start = (image * imageChannels + channel) * place.inputArea
    return start..<start + place.inputArea
  }

  /// Visits (row of the matrix, image) pairs in storage order of the column matrix.
  @inline(__always)
  private func forEachTap(
    _ tile: Tile, _ body: (_ image: Int, _ channel: Int, _ dy: Int, _ dx: Int, Range<Int>) -> Void
  ) {
    for channel in channels {
      for ky in 0..<window.kernel[0] {
        for kx in 0..<window.kernel[1] {
          let dx = kx * window.dilations[1]
          let valid = SlidingWindow.validOutputs(
            offset: dx, stride: window.strides[1], pad: place.padLeft, input: place.inputWidth,
            output: place.outputWidth)
          for image in tile.images {
            body(image, channel, ky * window.dilations[0], dx, valid)
          }
        }
      }
    }
  }
}
