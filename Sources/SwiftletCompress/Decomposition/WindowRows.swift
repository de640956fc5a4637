// SPDX-License-Identifier: Apache-2.0

package import SwiftletCore
package import SwiftletGraph

/// Samples the rows that a layer multiplies with its weights: windows of its input (Conv), or rows
/// of its input (Gemm, MatMul). Takes only a few per sample, because neighbours hardly differ.
package struct WindowRows {
  private let node: Node
  /// Extents of the window; empty for Gemm and MatMul.
  private let kernel: [Int]
  /// Products per output.
  let depth: Int
  /// Maximum number of rows per sample.
  let perSample: Int

  /// Describes the rows of a node.
  ///
  /// - Parameters:
  ///   - node: A Conv, Gemm or MatMul.
  ///   - kernel: Spatial extents of a convolution's weights; empty for Gemm and MatMul.
  ///   - depth: Products per output.
  ///   - perSample: Maximum number of rows per sample.
  package init(_ node: Node, kernel: [Int], depth: Int, perSample: Int = 16) {
    (self.node, self.kernel, self.depth, self.perSample) = (node, kernel, depth, perSample)
  }

  private var isConv: Bool { !kernel.isEmpty }

  /// Rows × depth, from the layer's input.
  ///
  /// - Throws: `badInput` or `unsupported` if the window does not fit the input.
  package func inputs(_ input: Tensor<Float>) throws -> Tensor<Float> {
    isConv ? try windows(input) : lines(input, width: depth)
  }

  /// The layer's responses, rows × outputs, in the order of ``inputs(_:)``.
  package func responses(_ output: Tensor<Float>) -> Tensor<Float> {
    guard isConv else { return lines(output, width: output.shape.dimensions.last!) }
    let (channels, area) = (output.shape[1], output.shape.count(of: 2..<output.shape.rank))
    let positions = positions(of: area, samples: output.shape[0])
    var rows = Tensor<Float>(uninitialized: [positions.count, channels])
    let packed = output.contiguous()
    let source = packed.span
    var target = rows.mutableSpan
    for (row, place) in positions.enumerated() {
      for channel in 0..<channels {
        target[row * channels + channel] =
          source[(place.sample * channels + channel) * area + place.position]
      }
    }
    return rows
  }

  /// Positions spread over the image, shifted from image to image.
  private func positions(of area: Int, samples: Int) -> [(sample: Int, position: Int)] {
    let taken = min(area, perSample)
    return (0..<samples).flatMap { sample in
      (0..<taken).map { (sample, ($0 * area / taken + sample * 7) % area) }
    }
  }

  private func lines(_ values: Tensor<Float>, width: Int) -> Tensor<Float> {
    let count = width > 0 ? values.count / width : 0
    let step = max(1, count / max(1, perSample * values.shape[0]))
    let matrix = values.contiguous().reshaped(to: [count, width])
    guard step > 1 else { return matrix }
    return matrix.strided(axis: 0, start: 0, step: step, count: (count + step - 1) / step)
      .contiguous()
  }

  private func windows(_ input: Tensor<Float>) throws -> Tensor<Float> {
    let place = try SlidingWindow(node, kernel: kernel).place(input.shape)
    let axes = [place.depth, place.height, place.width]
    let outputs = axes.reduce(1) { $0 * $1.output }
    let area = axes.reduce(1) { $0 * $1.input }
    let channels = input.shape[1]
    let packed = input.contiguous()
    let source = packed.span
    let positions = positions(of: outputs, samples: input.shape[0])
    var rows = Tensor<Float>(zeros: [positions.count, depth])
    var target = rows.mutableSpan
    let taps = depth / max(1, channels)
    for (row, sampled) in positions.enumerated() {
      let x = sampled.position % axes[2].output
      let y = sampled.position / axes[2].output % axes[1].output
      let z = sampled.position / axes[2].output / axes[1].output
      var tap = 0
      for kz in 0..<axes[0].kernel {
        let plane = axes[0].pixel(z, kz)
        for ky in 0..<axes[1].kernel {
          let line = axes[1].pixel(y, ky)
          for kx in 0..<axes[2].kernel {
            defer { tap += 1 }
            guard let plane, let line, let column = axes[2].pixel(x, kx) else { continue }
            let offset = (plane * axes[1].input + line) * axes[2].input + column
            for channel in 0..<channels {
              target[row * depth + channel * taps + tap] =
                source[(sampled.sample * channels + channel) * area + offset]
            }
          }
        }
      }
    }
    return rows
  }
}

extension SlidingWindow.Axis {
  /// The input index of a tap for an output position; `nil` if it is outside the image.
  fileprivate func pixel(_ position: Int, _ tap: Int) -> Int? {
    let place = position * stride - before + tap * dilation
    return 0..<input ~= place ? place : nil
  }
}
