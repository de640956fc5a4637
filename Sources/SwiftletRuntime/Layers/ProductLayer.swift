import SwiftletCore
import SwiftletKernels

/// A convolution or fully connected layer: windows of an image times weights, then bias, addend and
/// clamp in fp32, or scale and rounding of exact integer sums.
struct ProductLayer: Layer {
  let label: String
  /// Under which the packed weights are kept.
  let key: String
  let input: Int
  var output: Int
  var addend: Int?
  let window: Window
  /// Output channels, and the groups of channels that do not mix.
  let columns, groups: Int
  let weights: Weights
  /// What is added to each column, and for integers what it is multiplied by.
  var bias: Bias
  var low = -Float.infinity
  var high = Float.infinity
  /// Of the result, if it is to be bytes.
  var zeroPoint: Int32?
  let cache: PackedWeights

  /// Weights O×(C/groups)×kH×kW.
  enum Weights: Sendable {
    case float(Tensor<Float>)
    case integer(Tensor<Int8>)
  }

  enum Bias: Sendable {
    case float([Float])
    case integer([Int32], scale: [Float])
  }

  var reads: [Int] { [input] + (addend.map { [$0] } ?? []) }
  var writes: Int? { output }

  private var kernel: ProductKernel {
    if case .float = weights { .float } else { .integer }
  }

  func step(_ values: [Value], threads: Int) -> Step {
    let (image, result) = (values[input], values[output])
    let (from, to, kernel) = (image.steps, result.steps, kernel)
    let channels = image.channels / groups
    let share = columns / groups
    // Where a row of the window is one run of memory, it is one segment.
    let merges =
      groups == 1 && window.dilationX == 1 && from.pixel == image.channels * image.elementSize
    let inner = merges ? 1 : window.width
    let segment = merges ? window.width * channels : channels
    let words = (segment + kernel.elementsPerWord - 1) / kernel.elementsPerWord
    let geometry = Product.Geometry(
      width: result.width, height: result.height,
      input: ImageSteps(
        pixel: window.strideX * from.pixel, row: window.strideY * from.row, image: from.image),
      output: to, addend: addend.map { values[$0].steps } ?? to, outer: window.height,
      inner: inner, words: words, outerStep: window.dilationY * from.row,
      innerStep: window.dilationX * from.pixel)
    let products = (0..<groups).map { group in
      let ending = ending(group, kernel)
      let packed = cache.packed("\(key) \(group) \(merges) \(kernel.name)") {
        pack(group, kernel, segments: window.height * inner, length: segment, words: words)
      }
      return Product(kernel, geometry, columns: share, weights: packed, ending, threads: threads)
    }
    let corner = window.padTop * from.row + window.padLeft * from.pixel
    let (input, output, addend) = (input, output, addend)
    let inputShare = channels * image.elementSize
    let (outputShare, addendShare) = (share * result.elementSize, share * 4)
    return Step(
      label: label, kernel: kernel.name, reads: reads, writes: output,
      macs: result.pixels * columns * channels * window.height * window.width,
      items: { images in products.reduce(0) { $0 + $1.items(images: images) } }
    ) { memory, images, items in
      var start = 0
      for (group, product) in products.enumerated() {
        let count = product.items(images: images)
        let own = items.clamped(to: start..<start + count)
        if !own.isEmpty {
          unsafe product.run(
            memory.start(input) - corner + group * inputShare,
            addend: addend.map { unsafe UnsafeRawPointer(memory.start($0) + group * addendShare) },
            into: memory.start(output) + group * outputShare, images: images,
            items: own.lowerBound - start..<own.upperBound - start)
        }
        start += count
      }
    }
  }

  /// One group's weights in the order of the kernel's segments.
  private func pack(
    _ group: Int, _ kernel: ProductKernel, segments: Int, length: Int, words: Int
  ) -> AlignedMemory {
    let area = window.height * window.width
    let share = columns / groups
    var offsets = [Int32](repeating: -1, count: segments * words * kernel.elementsPerWord)
    let channels = length * segments / area
    for segment in 0..<segments {
      for element in 0..<length {
        // Elements are in the order row, column, channel; weights in the order channel, row, column.
        let position = segment * length + element
        offsets[segment * words * kernel.elementsPerWord + element] = Int32(
          position % channels * area + position / channels)
      }
    }
    func packed<Element>(_ tensor: Tensor<Element>) -> AlignedMemory {
      let span = tensor.span
      return unsafe span.withUnsafeBytes {
        unsafe kernel.packed(
          $0.baseAddress! + group * share * channels * area * MemoryLayout<Element>.stride,
          columns: share, columnStep: channels * area, offsets: offsets)
      }
    }
    switch weights {
    case .float(let tensor): return packed(tensor)
    case .integer(let tensor): return packed(tensor)
    }
  }

  private func ending(_ group: Int, _ kernel: ProductKernel) -> Product.Ending {
    let share = columns / groups
    let padding = kernel.paddedColumns(share) - share
    let own = group * share..<(group + 1) * share
    switch bias {
    case .float(let values):
      let padded = values[own] + [Float](repeating: 0, count: padding)
      return Product.Ending(bias: AlignedMemory(Array(padded)), low: low, high: high)
    case .integer(let values, let scale):
      let sums = values[own] + [Int32](repeating: 0, count: padding)
      let scales = scale[own] + [Float](repeating: 0, count: padding)
      return Product.Ending(
        bias: AlignedMemory(Array(sums)), scale: AlignedMemory(Array(scales)), low: low,
        high: high, zeroPoint: zeroPoint)
    }
  }
}

/// Kernel size, strides, dilations and padding of a window over two axes.
struct Window: Sendable {
  var height = 1, width = 1
  var strideY = 1, strideX = 1
  var dilationY = 1, dilationX = 1
  var padTop = 0, padLeft = 0

  /// The halo that an image needs for results of the given size.
  func halo(_ image: Value, outputHeight: Int, outputWidth: Int) -> Value.Halo {
    let bottom = (outputHeight - 1) * strideY + (height - 1) * dilationY + 1
    let right = (outputWidth - 1) * strideX + (width - 1) * dilationX + 1
    return Value.Halo(
      top: padTop, left: padLeft, bottom: max(0, bottom - padTop - image.height),
      right: max(0, right - padLeft - image.width))
  }
}
