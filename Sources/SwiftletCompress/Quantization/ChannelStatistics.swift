// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Means and extremes of each channel of a value, over all samples.
struct ChannelStatistics: Sendable, Codable {
  /// Values seen of each channel.
  private(set) var count = 0
  private(set) var sums: [Double] = []
  private(set) var largest: [Float] = []
  /// Values of each channel that are not finite, and counted in ``count`` alone; `nil`: none.
  private var missing: [Int]?
  /// Whether channels are along the last axis, and not along the second.
  let isLast: Bool

  init(isLast: Bool) { self.isLast = isLast }

  /// Each channel's mean.
  var means: [Double] {
    sums.indices.map { sums[$0] / Double(max(1, count - (missing?[$0] ?? 0))) }
  }

  mutating func add(_ tensor: Tensor<Float>) {
    let shape = tensor.shape
    let axis = isLast ? shape.rank - 1 : 1
    guard shape.rank > axis, shape.count > 0 else { return }
    let channels = shape[axis]
    if sums.isEmpty {
      sums = Array(repeating: 0, count: channels)
      largest = Array(repeating: 0, count: channels)
    }
    guard sums.count == channels else { return }
    let packed = tensor.isFinite ? tensor.contiguous() : withoutOdd(tensor, axis)
    let inner = shape.count(of: axis + 1..<shape.rank)
    for outer in 0..<shape.count / (channels * inner) {
      for channel in 0..<channels {
        let start = (outer * channels + channel) * inner
        let run = packed.span.extracting(start..<start + inner)
        var (sum, top): (Float, Float) = (0, largest[channel])
        for i in run.indices {
          sum += run[i]
          top = max(top, abs(run[i]))
        }
        sums[channel] += Double(sum)
        largest[channel] = top
      }
    }
    count += shape.count / channels
  }

  /// The tensor with 0 for elements that are not finite, which are counted.
  private mutating func withoutOdd(_ tensor: Tensor<Float>, _ axis: Int) -> Tensor<Float> {
    let (channels, inner) = (
      tensor.shape[axis], tensor.shape.count(of: axis + 1..<tensor.shape.rank)
    )
    var missing = missing ?? Array(repeating: 0, count: channels)
    for (position, element) in tensor.elements.enumerated() where !element.isFinite {
      missing[position / inner % channels] += 1
    }
    self.missing = missing
    return tensor.map { $0.isFinite ? $0 : 0 }
  }
}
