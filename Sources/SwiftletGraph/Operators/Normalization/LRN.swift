// SPDX-License-Identifier: Apache-2.0

import RealModule
public import SwiftletCore

/// y = x / (bias + alpha / size · Σ x²) ^ beta, where the sum is over `size` neighbouring channels
/// of images N×C×….
///
/// - Source: ONNX `LRN`; Krizhevsky, Sutskever & Hinton 2012.
public struct LRN: FloatOperator {
  public static let opType = "LRN"
  public let gradientReads = GradientReads(inputs: [0])
  private let alpha, beta, bias: Double
  private let size: Int

  public init(_ node: Node, opset: Int) throws {
    alpha = Double(try node.float("alpha", default: 1e-4))
    beta = Double(try node.float("beta", default: 0.75))
    bias = Double(try node.float("bias", default: 1))
    size = try node.int("size", default: 0)
    guard 1...SlidingWindow.limit ~= size else {
      throw SwiftletError(.badInput, "LRN has size = \(size), which must be at least 1")
    }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "input")
    guard x.shape.rank >= 2 else { throw mismatch("input \(x.shape) has no channel axis") }
    return [TensorInfo(x.dtype, x.shape)]
  }

  /// The channels whose squares contribute to a channel.
  private func window(_ channel: Int, of channels: Int) -> Range<Int> {
    max(0, channel - (size - 1) / 2)..<min(channels, channel + size / 2 + 1)
  }

  /// bias + alpha / size · Σ x² for each element.
  private func bases<T: LayerElement>(_ x: Tensor<T>, _ threads: Threads) -> Tensor<T> {
    sumOverChannels(x.map { $0 * $0 }, threads) { window($0, of: x.shape[1]) }
      .map { T(bias) + T(alpha) / T(size) * $0 }
  }

  /// The sum over some channels for each element.
  private func sumOverChannels<T: LayerElement>(
    _ x: Tensor<T>, _ threads: Threads, _ range: @Sendable (_ channel: Int) -> Range<Int>
  ) -> Tensor<T> {
    let (channels, area) = (x.shape[1], x.shape.count(of: 2..<x.shape.rank))
    var sums = Tensor<T>(zeros: [x.shape[0] * channels, area])
    threads.forEachBlock(of: &sums) { planes, output in
      for plane in planes {
        let image = plane / channels * channels
        let start = (plane - planes.lowerBound) * area
        var part = output.part(start..<start + area)
        for channel in range(plane % channels) {
          let source = x.span.extracting((image + channel) * area..<(image + channel + 1) * area)
          for i in part.indices { part[i] += source[i] }
        }
      }
    }
    return sums.reshaped(to: x.shape)
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func forward<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> [Tensor<T>] {
    let x = inputs[0].take()!.contiguous()
    var y = bases(x, context.threads)
    update(&y, with: x, context.threads) { row, x in
      combine(&row, x) { $1 * T.pow($0, T(-beta)) }
    }
    return [y]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let (x, dy) = (call.inputs[0]!.contiguous(), outputGradient.contiguous())
    let bases = bases(x, context.threads)
    // An element affects its own result, and the base of each element whose window contains it.
    var tilts = bases
    update(&tilts, with: x, dy, context.threads) { row, x, dy in
      combine(&row, x) { $1 * T.pow($0, T(-beta - 1)) }
      combine(&row, dy) { $0 * $1 }
    }
    let channels = x.shape[1]
    let spread = sumOverChannels(tilts, context.threads) { channel in
      max(0, channel - size / 2)..<min(channels, channel + (size - 1) / 2 + 1)
    }
    var dx = bases
    update(&dx, with: dy, context.threads) { row, dy in
      combine(&row, dy) { $1 * T.pow($0, T(-beta)) }
    }
    let factor = T(-2 * alpha * beta) / T(size)
    update(&dx, with: x, spread, context.threads) { row, x, spread in
      for i in row.indices { row[i] += factor * x[i] * spread[i] }
    }
    return [dx]
  }
}
