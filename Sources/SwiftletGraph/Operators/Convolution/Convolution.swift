// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore
import SwiftletKernels

/// The three products that make up convolutions and their gradients, between images N×C×…, weights
/// O×(C/groups)×… and results N×O×….
///
/// im2col and one matrix product per group. The column matrix covers one tile of the output at a
/// time, so its size does not depend on the batch.
///
/// - Source: Chellapilla et al. 2006 for im2col.
struct Convolution: Sendable {
  private let place: SlidingWindow.Placement
  /// Channels of images and of results.
  private let inputs, outputs: Int
  private let groups: [Group]

  /// The convolution of one group.
  private struct Group {
    let im2col: Im2col
    /// Output channels of the group.
    let outputs: Range<Int>
    var depth: Int { im2col.rowCount }
    /// The position of the group's weights among all weights.
    var weights: Range<Int> { outputs.lowerBound * depth..<outputs.upperBound * depth }
  }

  init(_ place: SlidingWindow.Placement, inputs: Int, outputs: Int, groups: Int) {
    (self.place, self.inputs, self.outputs) = (place, inputs, outputs)
    let (from, to) = (inputs / groups, outputs / groups)
    self.groups = (0..<groups).map {
      Group(
        im2col: Im2col(
          place: place, imageChannels: inputs, channels: $0 * from..<($0 + 1) * from),
        outputs: $0 * to..<($0 + 1) * to)
    }
  }

  /// The convolution of images, with a bias per output channel.
  func result<T: LayerElement>(
    of x: Tensor<T>, _ w: Tensor<T>, bias: Tensor<T>?, _ threads: Threads
  ) -> Tensor<T> {
    var y = Tensor<T>(uninitialized: Shape([x.shape[0], outputs] + place.output))
    threads.forEachBlock(of: &y) { images, output in
      Self.fill(
        &output, planes: images.count * outputs, area: place.outputCount, with: bias)
      for group in groups {
        Self.addProducts(group, x, w, images, outputs, to: &output)
      }
    }
    return y
  }

  /// The transpose of ``result(of:_:bias:_:)``: the gradient with respect to the images, with a
  /// bias per channel of these.
  func images<T: LayerElement>(
    from dy: Tensor<T>, _ w: Tensor<T>, bias: Tensor<T>? = nil, shape: Shape, _ threads: Threads
  ) -> Tensor<T> {
    var dx = Tensor<T>(uninitialized: shape)
    threads.forEachBlock(of: &dx) { images, output in
      Self.fill(&output, planes: images.count * inputs, area: place.inputCount, with: bias)
      for group in groups {
        let (im2col, depth) = (group.im2col, group.depth)
        let weights = w.span.extracting(group.weights)
        let tiles = im2col.tiles(images)
        var columns = Self.columnBuffer(im2col, tiles, T.self)
        for tile in tiles {
          let width = im2col.columnCount(tile)
          let slope = OutputRows(dy, group, tile)
          var matrix = columns.mutableSpan
          BLAS.gemm(
            m: depth, n: width, k: group.outputs.count, a: weights, lda: depth, transposeA: true,
            b: slope.span, ldb: slope.leading, c: &matrix, ldc: width)
          im2col.scatter(&matrix, tile, addingTo: &output, firstImage: images.lowerBound)
        }
      }
    }
    return dx
  }

  /// The gradient with respect to the weights.
  func weights<T: LayerElement>(
    from x: Tensor<T>, _ dy: Tensor<T>, shape: Shape, _ threads: Threads
  ) -> Tensor<T> {
    // Each thread sums over its own images; the partial sums are added in a fixed order.
    let shards = threads.partition(x.shape[0])
    var partial = Tensor<T>(uninitialized: Shape([shards.count] + shape.dimensions))
    threads.forEachBlock(of: &partial, minimumWork: 1) { range, output in
      for shard in range {
        let start = (shard - range.lowerBound) * shape.count
        var sum = output.part(start..<start + shape.count)
        sum.fill(with: 0)
        for group in groups { Self.addWeightGradient(group, x, dy, shards[shard], to: &sum) }
      }
    }
    return partial.summedOverLeadingAxis()
  }

  /// Sets every plane to its channel's bias, or to zero.
  private static func fill<T: LayerElement>(
    _ output: inout MutableSpan<T>, planes: Int, area: Int, with bias: Tensor<T>?
  ) {
    guard let bias else { return output.fill(with: 0) }
    let values = bias.span
    for plane in 0..<planes {
      var part = output.part(plane * area..<(plane + 1) * area)
      part.fill(with: values[plane % values.count])
    }
  }

  private static func addProducts<T: LayerElement>(
    _ group: Group, _ x: Tensor<T>, _ w: Tensor<T>, _ images: Range<Int>, _ channels: Int,
    to output: inout MutableSpan<T>
  ) {
    let (im2col, depth) = (group.im2col, group.depth)
    // Without channels there is nothing to add.
    guard depth > 0 else { return }
    let area = im2col.place.outputCount
    let weights = w.span.extracting(group.weights)
    let tiles = im2col.tiles(images)
    var columns = columnBuffer(im2col, tiles, T.self)
    for tile in tiles {
      let width = im2col.columnCount(tile)
      var matrix = columns.mutableSpan
      im2col.gather(x.span, tile, into: &matrix)
      if tile.images.count == 1 {
        // For a single image, the product can be added to its rows in place.
        let image = tile.images.lowerBound - images.lowerBound
        let start =
          (image * channels + group.outputs.lowerBound) * area
          + tile.rows.lowerBound * im2col.place.width.output
        let end = (image * channels + group.outputs.upperBound) * area
        var target = output.part(start..<end)
        BLAS.gemm(
          m: group.outputs.count, n: width, k: depth, a: weights, lda: depth, b: columns.span,
          ldb: width, beta: 1, c: &target, ldc: area)
      } else {
        var product = Tensor<T>(uninitialized: [group.outputs.count, width])
        var target = product.mutableSpan
        BLAS.gemm(
          m: group.outputs.count, n: width, k: depth, a: weights, lda: depth, b: columns.span,
          ldb: width, c: &target, ldc: width)
        add(product, group, tile, channels, area, to: &output, firstImage: images.lowerBound)
      }
    }
  }

  /// Adds a product, whose rows span several images, to each image's planes.
  private static func add<T: LayerElement>(
    _ product: Tensor<T>, _ group: Group, _ tile: Im2col.Tile, _ channels: Int, _ area: Int,
    to output: inout MutableSpan<T>, firstImage: Int
  ) {
    var source = 0
    for channel in group.outputs {
      for image in tile.images {
        let start = ((image - firstImage) * channels + channel) * area
        var plane = output.part(start..<start + area)
        T.add(product.span.extracting(source..<source + area), to: &plane)
        source += area
      }
    }
  }

  private static func columnBuffer<T: LayerElement>(
    _ im2col: Im2col, _ tiles: [Im2col.Tile], _: T.Type
  ) -> Tensor<T> {
    Tensor(uninitialized: [im2col.rowCount, tiles.map(im2col.columnCount).max() ?? 0])
  }

  private static func addWeightGradient<T: LayerElement>(
    _ group: Group, _ x: Tensor<T>, _ dy: Tensor<T>, _ images: Range<Int>,
    to sum: inout MutableSpan<T>
  ) {
    let (im2col, depth) = (group.im2col, group.depth)
    let tiles = im2col.tiles(images)
    var columns = columnBuffer(im2col, tiles, T.self)
    var target = sum.part(group.weights)
    for tile in tiles {
      let width = im2col.columnCount(tile)
      var matrix = columns.mutableSpan
      im2col.gather(x.span, tile, into: &matrix)
      let slope = OutputRows(dy, group, tile)
      BLAS.gemm(
        m: group.outputs.count, n: depth, k: width, a: slope.span, lda: slope.leading,
        b: columns.span, ldb: width, transposeB: true, beta: 1, c: &target, ldc: depth)
    }
  }

  /// The part of an output-shaped tensor that belongs to one group and tile, as a matrix of
  /// output channels × columns: in place for one image, gathered for several.
  private struct OutputRows<T: LayerElement> {
    private let tensor: Tensor<T>
    private let range: Range<Int>
    let leading: Int

    init(_ dy: Tensor<T>, _ group: Group, _ tile: Im2col.Tile) {
      let (channels, area) = (dy.shape[1], group.im2col.place.outputCount)
      if tile.images.count == 1 {
        let image = tile.images.lowerBound
        tensor = dy
        leading = area
        range =
          (image * channels + group.outputs.lowerBound) * area
          + tile.rows.lowerBound
          * group.im2col.place.width.output..<(image * channels + group.outputs.upperBound)
          * area
        return
      }
      leading = tile.images.count * area
      var gathered = Tensor<T>(uninitialized: [group.outputs.count, leading])
      var target = gathered.mutableSpan
      var position = 0
      for channel in group.outputs {
        for image in tile.images {
          let start = (image * channels + channel) * area
          target.copy(dy.span.extracting(start..<start + area), to: position)
          position += area
        }
      }
      tensor = gathered
      range = 0..<gathered.count
    }

    var span: Span<T> {
      @_lifetime(borrow self) get { tensor.span.extracting(range) }
    }
  }
}
