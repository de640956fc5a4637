// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels

/// Unfolds the windows of images into columns of a matrix, so that a convolution becomes one matrix
/// product, and adds such a matrix back onto images.
///
/// Rows are (channel, kernel position); columns are (image, output position).
struct Im2col: Sendable {
  let place: SlidingWindow.Placement
  /// Channels of a whole image, and the channels of one group.
  let imageChannels: Int
  let channels: Range<Int>

  /// The output positions covered by one column matrix: some rows of one image, or whole images.
  /// Rows of a volume are numbered through all its planes.
  struct Tile: Sendable {
    let images: Range<Int>
    let rows: Range<Int>
  }

  var rowCount: Int {
    channels.count * place.depth.kernel * place.height.kernel * place.width.kernel
  }

  func columnCount(_ tile: Tile) -> Int {
    tile.images.count * tile.rows.count * place.width.output
  }

  /// Rows of one image's output.
  private var outputRows: Int { place.depth.output * place.height.output }

  /// Divides images into tiles: one image each, several small ones, or some rows of large ones. The
  /// column matrix stays small for every batch and image size.
  func tiles(_ images: Range<Int>) -> [Tile] {
    let area = max(1, place.outputCount)
    // With fewer columns the product is inefficient; more elements do not fit the cache.
    let (fewestColumns, mostElements) = (256, 1 << 18)
    if area >= fewestColumns {
      let columns = max(fewestColumns, mostElements / max(1, rowCount))
      let rows = max(1, min(outputRows, columns / max(1, place.width.output)))
      return images.flatMap { image in
        stride(from: 0, to: outputRows, by: rows).map {
          Tile(images: image..<image + 1, rows: $0..<min($0 + rows, outputRows))
        }
      }
    }
    let perTile = fewestColumns / area
    return stride(from: images.lowerBound, to: images.upperBound, by: perTile).map {
      Tile(images: $0..<min($0 + perTile, images.upperBound), rows: 0..<outputRows)
    }
  }

  /// Fills `columns` (`rowCount` × columnCount) from packed `images` (N×C×…).
  func gather<T: LayerElement>(
    _ images: Span<T>, _ tile: Tile, into columns: inout MutableSpan<T>
  ) {
    let movesPlanes = movesWholePlanes(tile)
    var target = 0
    forEachTap(tile) { image, channel, tap, valid in
      let volume = images.extracting(volumeRange(image, channel))
      if movesPlanes {
        for z in 0..<place.depth.output {
          var out = columns.part(target..<target + planeCount)
          target += planeCount
          if let plane = plane(under: z, tap) {
            shift(volume.extracting(plane), tap, into: &out)
          } else {
            out.fill(with: 0)
          }
        }
        return
      }
      forEachRow(tile) { z, y in
        var out = columns.part(target..<target + place.width.output)
        target += place.width.output
        guard let line = line(under: z, y, tap) else { return out.fill(with: 0) }
        for i in 0..<valid.lowerBound { out[i] = 0 }
        for i in valid.upperBound..<place.width.output { out[i] = 0 }
        guard !valid.isEmpty else { return }
        let step = place.width.stride
        let start = line.lowerBound + valid.lowerBound * step - place.width.before + tap.x
        if step == 1 {
          out.copy(volume.extracting(start..<start + valid.count), to: valid.lowerBound)
        } else {
          for i in 0..<valid.count { out[valid.lowerBound + i] = volume[start + i * step] }
        }
      }
    }
  }

  /// Elements of one plane of the image.
  private var planeCount: Int { place.height.input * place.width.input }

  /// The plane of the image that a tap reads for plane `z` of the output.
  private func plane(under z: Int, _ tap: Tap) -> Range<Int>? {
    let plane = z * place.depth.stride - place.depth.before + tap.z
    guard 0..<place.depth.input ~= plane else { return nil }
    return plane * planeCount..<(plane + 1) * planeCount
  }

  /// The line of the image that a tap reads for line `y` of plane `z` of the output.
  @inline(__always)
  private func line(under z: Int, _ y: Int, _ tap: Tap) -> Range<Int>? {
    let plane = z * place.depth.stride - place.depth.before + tap.z
    let row = y * place.height.stride - place.height.before + tap.y
    guard 0..<place.depth.input ~= plane, 0..<place.height.input ~= row else { return nil }
    let start = (plane * place.height.input + row) * place.width.input
    return start..<start + place.width.input
  }

  /// Whether every tap reads whole planes shifted by some rows and columns: stride 1 and an output
  /// as large as the input, the usual padded 3×3 convolution.
  private func movesWholePlanes(_ tile: Tile) -> Bool {
    tile.rows.count == outputRows
      && [place.height, place.width].allSatisfy { $0.stride == 1 && $0.output == $0.input }
  }

  /// out[y, x] = the element of `plane` that the tap reads for it, zero outside: one copy, after
  /// which the columns copied from the neighbouring row are cleared.
  private func shift<T: LayerElement>(
    _ plane: Span<T>, _ tap: Tap, into out: inout MutableSpan<T>
  ) {
    let (down, right) = (tap.y - place.height.before, tap.x - place.width.before)
    let offset = down * place.width.input + right
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

  /// Adds `values` to the elements of `plane` that the tap reads, the transpose of
  /// ``shift(_:_:into:)``.
  private func addShifted<T: LayerElement>(
    _ values: inout MutableSpan<T>, _ tap: Tap, to plane: inout MutableSpan<T>
  ) {
    let (down, right) = (tap.y - place.height.before, tap.x - place.width.before)
    clearEdge(&values, right)
    let offset = down * place.width.input + right
    let (first, end) = overlap(offset)
    guard first < end else { return }
    var target = plane.part(first + offset..<end + offset)
    T.add(values.span.extracting(first..<end), to: &target)
  }

  /// The positions of a plane that stay inside it when shifted by `offset`.
  private func overlap(_ offset: Int) -> (first: Int, end: Int) {
    let first = min(max(0, -offset), planeCount)
    return (first, max(first, min(planeCount, planeCount - offset)))
  }

  /// Zeros the columns whose neighbours `right` positions away lie outside the image.
  private func clearEdge<T: LayerElement>(_ values: inout MutableSpan<T>, _ right: Int) {
    let width = place.width.input
    for column in right < 0 ? 0..<min(width, -right) : max(0, width - right)..<width {
      var position = column
      for _ in 0..<place.height.input {
        values[position] = 0
        position &+= width
      }
    }
  }

  /// Adds `columns` (`rowCount` × columnCount) onto packed `images` (N×C×…): the transpose of
  /// ``gather(_:_:into:)``. `firstImage` is the index of the first image in the span. The contents
  /// of `columns` are undefined afterwards.
  func scatter<T: LayerElement>(
    _ columns: inout MutableSpan<T>, _ tile: Tile, addingTo images: inout MutableSpan<T>,
    firstImage: Int
  ) {
    let movesPlanes = movesWholePlanes(tile)
    var source = 0
    forEachTap(tile) { image, channel, tap, valid in
      var volume = images.part(volumeRange(image - firstImage, channel))
      if movesPlanes {
        for z in 0..<place.depth.output {
          var values = columns.part(source..<source + planeCount)
          source += planeCount
          guard let range = plane(under: z, tap) else { continue }
          var plane = volume.part(range)
          addShifted(&values, tap, to: &plane)
        }
        return
      }
      forEachRow(tile) { z, y in
        let values = columns.span.extracting(source..<source + place.width.output)
        source += place.width.output
        guard let line = line(under: z, y, tap), !valid.isEmpty else { return }
        let step = place.width.stride
        let start = line.lowerBound + valid.lowerBound * step - place.width.before + tap.x
        let taken = values.extracting(valid)
        if step == 1 {
          var part = volume.part(start..<start + valid.count)
          for i in taken.indices { part[i] += taken[i] }
        } else {
          for i in taken.indices { volume[start + i * step] += taken[i] }
        }
      }
    }
  }

  private func volumeRange(_ image: Int, _ channel: Int) -> Range<Int> {
    let start = (image * imageChannels + channel) * place.inputCount
    return start..<start + place.inputCount
  }

  /// Offsets of a kernel position from the window's start.
  private struct Tap {
    let z, y, x: Int
  }

  /// Visits (row of the matrix, image) pairs in storage order of the column matrix.
  @inline(__always)
  private func forEachTap(
    _ tile: Tile, _ body: (_ image: Int, _ channel: Int, Tap, _ valid: Range<Int>) -> Void
  ) {
    for channel in channels {
      for kz in 0..<place.depth.kernel {
        for ky in 0..<place.height.kernel {
          for kx in 0..<place.width.kernel {
            let tap = Tap(
              z: kz * place.depth.dilation, y: ky * place.height.dilation,
              x: kx * place.width.dilation)
            let valid = place.width.validOutputs(offset: tap.x)
            for image in tile.images { body(image, channel, tap, valid) }
          }
        }
      }
    }
  }

  /// Visits the rows of a tile as planes and lines.
  @inline(__always)
  private func forEachRow(_ tile: Tile, _ body: (_ z: Int, _ y: Int) -> Void) {
    guard !tile.rows.isEmpty else { return }
    var (z, y) = tile.rows.lowerBound.quotientAndRemainder(dividingBy: place.height.output)
    for _ in tile.rows {
      body(z, y)
      y += 1
      if y == place.height.output { (z, y) = (z + 1, 0) }
    }
  }
}
