// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels
import Testing

/// A convolution of images with 3×3 windows, by its definition and by way of coefficients.
private struct WinogradCase: Sendable, CustomTestStringConvertible {
  let m, images, height, width, channels, columns: Int
  let hasAddend: Bool

  var testDescription: String {
    "F(\(m)), \(images)×\(channels)×\(height)×\(width) to \(columns)\(hasAddend ? ", addend" : "")"
  }

  var tilesX: Int { (width + m - 1) / m }
  var tilesY: Int { (height + m - 1) / m }
  /// Rows and columns of a padded image: every tap of every tile.
  var rows: Int { tilesY * m + 2 }
  var line: Int { tilesX * m + 2 }

  static let all: [WinogradCase] = [2, 4].flatMap { m in
    [
      (1, 1, 1, 1, 1), (1, 4, 4, 3, 5), (2, 5, 7, 16, 17), (1, 8, 3, 31, 32), (3, 2, 9, 33, 8),
      (1, 7, 7, 67, 40),
    ].map {
      WinogradCase(
        m: m, images: $0.0, height: $0.1, width: $0.2, channels: $0.3, columns: $0.4,
        hasAddend: $0.3 % 2 == 0)
    }
  }
}

struct WinogradKernelTests {
  @Test(arguments: WinogradKernel.supported.map(\.name), WinogradCase.all)
  fileprivate func equalsConvolution(_ name: String, _ test: WinogradCase) {
    let kernel = WinogradKernel.supported.first { $0.name == name }!
    var generator = RandomGenerator(seed: 7)
    func normal(_ count: Int) -> [Float] {
      Tensor<Float>([count], normalUsing: &generator).elements
    }
    let (c, o) = (test.channels, test.columns)
    let pixels = normal(test.images * test.rows * test.line * c)
    let weights = Tensor([o, c, 3, 3], normal(o * c * 9))
    let (bias, addend) = (normal(o), normal(test.images * test.height * test.width * o))
    let result = run(
      kernel, test, pixels, weights, bias, test.hasAddend ? addend : nil, low: -2, high: 3)
    for image in 0..<test.images {
      for y in 0..<test.height {
        for x in 0..<test.width {
          for n in 0..<o {
            var (sum, size) = (Double(bias[n]), 0.0)
            for ky in 0..<3 {
              for kx in 0..<3 {
                let start = ((image * test.rows + y + ky) * test.line + x + kx) * c
                for channel in 0..<c {
                  let term = Double(pixels[start + channel]) * Double(weights[n, channel, ky, kx])
                  sum += term
                  size += abs(term)
                }
              }
            }
            let place = ((image * test.height + y) * test.width + x) * o + n
            if test.hasAddend { sum += Double(addend[place]) }
            let expected = min(max(sum, -2), 3)
            // Coefficients are sums and differences with factors up to 8.
            #expect(
              abs(Double(result[place]) - expected) <= 1e-5 * max(1, size),
              "image \(image), \(y), \(x), column \(n)")
          }
        }
      }
    }
  }

  /// Pooled results are the largest of 2×2, bit for bit.
  @Test(
    arguments: WinogradKernel.supported.map(\.name),
    WinogradCase.all.filter { !$0.hasAddend && $0.height > 1 })
  fileprivate func pools(_ name: String, _ test: WinogradCase) {
    let kernel = WinogradKernel.supported.first { $0.name == name }!
    var generator = RandomGenerator(seed: 8)
    func normal(_ count: Int) -> [Float] {
      Tensor<Float>([count], normalUsing: &generator).elements
    }
    let (c, o) = (test.channels, test.columns)
    let pixels = normal(test.images * test.rows * test.line * c)
    let (weights, bias) = (Tensor([o, c, 3, 3], normal(o * c * 9)), normal(o))
    let plain = run(kernel, test, pixels, weights, bias, nil, low: -2, high: 3)
    let pooled = run(kernel, test, pixels, weights, bias, nil, isPooled: true, low: -2, high: 3)
    let (height, width) = (test.height / 2, test.width / 2)
    let expected = (0..<test.images * height * width * o).map { index -> Float in
      let (pixel, n) = (index / o, index % o)
      let (line, x) = (pixel / width, pixel % width)
      let (image, y) = (line / height, line % height)
      return [(0, 0), (0, 1), (1, 0), (1, 1)].map { dy, dx in
        plain[((image * test.height + 2 * y + dy) * test.width + 2 * x + dx) * o + n]
      }.max()!
    }
    #expect(pooled == expected)
  }

  /// The result N×H×W×O, or half as high and wide if it is pooled; what is outside of it must stay
  /// as it was.
  private func run(
    _ kernel: WinogradKernel, _ test: WinogradCase, _ pixels: [Float], _ weights: Tensor<Float>,
    _ bias: [Float], _ addend: [Float]?, isPooled: Bool = false, low: Float, high: Float
  ) -> [Float] {
    let span = isPooled ? 2 : 1
    let (height, width) = (test.height / span, test.width / span)
    let (c, o, n) = (test.channels, test.columns, test.m + 2)
    let tiles = test.images * test.tilesX * test.tilesY
    // Rows of coefficients have a gap.
    let (inputPitch, outputPitch) = (4 * c + 12, 4 * o + 4)
    let input = WinogradKernel.Side(
      m: test.m, channels: c, tilesX: test.tilesX, tilesY: test.tilesY,
      steps: ImageSteps(pixel: 4 * c, row: 4 * c * test.line, image: 4 * c * test.line * test.rows),
      pitch: inputPitch, plane: tiles * inputPitch)
    let steps = ImageSteps(
      pixel: 4 * o, row: 4 * o * width, image: 4 * o * width * height)
    let output = WinogradKernel.Side(
      m: test.m, channels: o, tilesX: test.tilesX, tilesY: test.tilesY, steps: steps,
      pitch: outputPitch, plane: tiles * outputPitch)
    let memory = AlignedMemory(pixels)
    let coefficients = AlignedMemory(byteCount: n * n * input.plane)
    let sums = AlignedMemory(byteCount: n * n * output.plane)
    let factors = kernel.coefficients(m: test.m, weights, columns: 0..<o)
    let guardValue: Float = 123
    let count = test.images * height * width * o
    let result = AlignedMemory([Float](repeating: guardValue, count: count + 64))
    let added = addend.map { AlignedMemory($0) }
    // In two pieces, as threads would.
    for part in [0..<tiles / 2, tiles / 2..<tiles] where !part.isEmpty {
      unsafe kernel.analyze(
        input, memory.base, into: coefficients.base + part.lowerBound * inputPitch, tiles: part)
    }
    for place in 0..<n * n {
      for tile in 0..<tiles {
        for column in 0..<o {
          var sum = 0.0
          for channel in 0..<c {
            let x = unsafe (coefficients.base + place * input.plane + tile * inputPitch)
              .load(fromByteOffset: 4 * channel, as: Float.self)
            let w = unsafe factors.base.load(
              fromByteOffset: 4 * ((place * o + column) * c + channel), as: Float.self)
            sum += Double(x) * Double(w)
          }
          unsafe (sums.base + place * output.plane + tile * outputPitch).storeBytes(
            of: Float(sum), toByteOffset: 4 * column, as: Float.self)
        }
      }
    }
    let ending = WinogradKernel.Ending(
      isPooled: isPooled, width: width, height: height, bias: AlignedMemory(bias), addend: steps,
      low: low, high: high)
    unsafe kernel.synthesize(
      output, ending, channelsFrom: 0, sums.base,
      addend: added.map { unsafe UnsafeRawPointer($0.base) },
      into: result.base, tiles: 0..<tiles)
    let floats = (0..<count + 64).map {
      unsafe result.base.load(fromByteOffset: 4 * $0, as: Float.self)
    }
    #expect(floats[count...].allSatisfy { $0 == guardValue })
    return Array(floats[..<count])
  }
}
