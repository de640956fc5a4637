import SwiftletBLAS
public import SwiftletCore
import SwiftletKernels

/// 2-D convolution (cross-correlation): x N×C×H×W, weights O×(C/groups)×kH×kW, bias O
/// → N×O×OH×OW.
///
/// im2col and one matrix product per group. The column matrix covers a tile of the output at a
/// time, so its size does not depend on the batch.
///
/// - Source: ONNX `Conv`; Chellapilla et al. 2006 for im2col.
public struct Conv: FloatOperator {
  public static let opType = "Conv"
  public let gradientReads = GradientReads(inputs: [0, 1])
  private let node: Node
  let groups: Int

  public init(_ node: Node, opset: Int) throws {
    self.node = node
    groups = try node.int("group", default: 1)
    guard 1...1 << 20 ~= groups else {
      throw SwiftletError(.badInput, "Conv has group = \(groups)")
    }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "input")
    guard x.shape.rank <= 2 || x.shape.rank == 4 else {
      throw SwiftletError(
        .unsupported, "Conv over \(x.shape.rank - 2) spatial axes; only 2 are supported")
    }
    let w = try floating(inputs, 1, "weight", rank: 4)
    guard x.shape.rank == 4 else { throw mismatch("input \(x.shape) has no spatial axes") }
    guard w.dtype == x.dtype else { throw mismatch("weights are \(w.dtype), input \(x.dtype)") }
    guard x.shape[1] == w.shape[1] * groups, w.shape[0] % groups == 0 else {
      throw mismatch(
        "input \(x.shape) has \(x.shape[1]) channels, weights \(w.shape) in \(groups) group(s) "
          + "take \(w.shape[1] * groups)")
    }
    if let declared = try node.ints("kernel_shape"), declared != Array(w.shape.dimensions[2...]) {
      throw mismatch("kernel_shape \(declared) contradicts weights \(w.shape)")
    }
    if inputs.count > 2, let bias = inputs[2], bias.shape != [w.shape[0]] {
      throw mismatch("bias \(bias.shape) for \(w.shape[0]) output channels")
    }
    let place = try geometry(x.shape, w.shape).place
    let extents = [x.shape[0], w.shape[0], place.outputHeight, place.outputWidth]
    return [TensorInfo(x.dtype, try Shape(checking: extents))]
  }

  public func macs(inputs: [Shape?], outputs: [Shape]) -> Int {
    guard let weights = inputs[1] else { return 0 }
    return outputs[0].count * weights.count(of: 1..<4)
  }

  private func geometry(
    _ x: Shape, _ w: Shape
  ) throws -> (window: SlidingWindow, place: SlidingWindow.Placement) {
    let window = try SlidingWindow(node, kernel: Array(w.dimensions[2...]))
    return (window, try window.place(height: x[2], width: x[3]))
  }

  /// The convolution of one group.
  private struct Group {
    let im2col: Im2col
    /// Output channels of the group.
    let outputs: Range<Int>
    var depth: Int { im2col.rowCount }
    /// Where the group's weights lie among all.
    var weights: Range<Int> { outputs.lowerBound * depth..<outputs.upperBound * depth }
  }

  private func groupList(_ x: Shape, _ w: Shape) throws -> [Group] {
    let (window, place) = try geometry(x, w)
    let (inputs, outputs) = (x[1] / groups, w[0] / groups)
    return (0..<groups).map {
      Group(
        im2col: Im2col(
          window: window, place: place, imageChannels: x[1],
          channels: $0 * inputs..<($0 + 1) * inputs),
        outputs: $0 * outputs..<($0 + 1) * outputs)
    }
  }

  // MARK: Forward

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func forward<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> [Tensor<T>] {
    let x = inputs[0]!.contiguous()
    let w = inputs[1]!.contiguous()
    let bias = inputs.count > 2 ? inputs[2]?.contiguous() : nil
    let list = try groupList(x.shape, w.shape)
    let place = list[0].im2col.place
    let channels = w.shape[0]
    var y = Tensor<T>(
      uninitialized: [x.shape[0], channels, place.outputHeight, place.outputWidth])
    context.pool.forEachBlock(of: &y) { images, output in
      Self.fill(&output, planes: images.count * channels, area: place.outputArea, with: bias)
      for group in list {
        Self.addProducts(group, x, w, images, channels, to: &output)
      }
    }
    return [y]
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
    let area = im2col.place.outputArea
    let weights = w.span.extracting(group.weights)
    let tiles = im2col.tiles(images)
    var columns = columnBuffer(im2col, tiles, T.self)
    for tile in tiles {
      let width = im2col.columnCount(tile)
      var matrix = columns.mutableSpan
      im2col.gather(x.span, tile, into: &matrix)
      if tile.images.count == 1 {
        // Rows of one image lie where the product can be added to them directly.
        let image = tile.images.lowerBound - images.lowerBound
        let start =
          (image * channels + group.outputs.lowerBound) * area
          + tile.rows.lowerBound * im2col.place.outputWidth
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

  /// Adds a product, whose rows run over several images, to each image's planes.
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

  // MARK: Gradient

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let x = call.inputs[0]!.contiguous()
    let w = call.inputs[1]!.contiguous()
    let dy = outputGradient.contiguous()
    let list = try groupList(x.shape, w.shape)
    var result: [Tensor<T>?] = [nil, nil]
    if call.wanted[0] { result[0] = inputGradient(list, x.shape, w, dy, context) }
    if call.wanted[1] { result[1] = weightGradient(list, x, w.shape, dy, context) }
    if call.wanted.count > 2 {
      let area = dy.shape.count(of: 2..<4)
      result.append(
        call.wanted[2]
          ? sumPerChannel(dy.shape, context.pool) { plane, _ in
            T.sum(dy.span.extracting(plane * area..<(plane + 1) * area))
          } : nil)
    }
    return result
  }

  private func inputGradient<T: LayerElement>(
    _ list: [Group], _ shape: Shape, _ w: Tensor<T>, _ dy: Tensor<T>, _ context: ExecutionContext
  ) -> Tensor<T> {
    var dx = Tensor<T>(uninitialized: shape)
    context.pool.forEachBlock(of: &dx) { images, output in
      output.fill(with: 0)
      for group in list {
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

  private func weightGradient<T: LayerElement>(
    _ list: [Group], _ x: Tensor<T>, _ shape: Shape, _ dy: Tensor<T>, _ context: ExecutionContext
  ) -> Tensor<T> {
    // Each thread sums over its own images; the partial sums are added in a fixed order.
    let shards = context.pool.partition(x.shape[0])
    var partial = Tensor<T>(uninitialized: Shape([shards.count] + shape.dimensions))
    context.pool.forEachBlock(of: &partial, minimumWork: 1) { range, output in
      for shard in range {
        let start = (shard - range.lowerBound) * shape.count
        var sum = output.part(start..<start + shape.count)
        sum.fill(with: 0)
        for group in list { Self.addWeightGradient(group, x, dy, shards[shard], to: &sum) }
      }
    }
    return partial.summedOverLeadingAxis()
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
      let (channels, area) = (dy.shape[1], dy.shape.count(of: 2..<4))
      if tile.images.count == 1 {
        let image = tile.images.lowerBound
        tensor = dy
        leading = area
        range =
          (image * channels + group.outputs.lowerBound) * area
          + tile.rows.lowerBound * dy.shape[3]..<(image * channels + group.outputs.upperBound)
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
