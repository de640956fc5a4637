// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Mean and largest magnitude of each channel of a value, over all samples.
struct ChannelStatistics: Sendable, Codable {
  /// Number of elements seen in each channel.
  private(set) var count = 0
  /// Sum of each channel's finite elements.
  private(set) var sums: [Double] = []
  /// Largest finite magnitude in each channel.
  private(set) var largest: [Float] = []
  /// Number of non-finite elements in each channel, which only ``count`` includes; `nil` if there
  /// are none.
  private var missing: [Int]?
  /// Whether channels are along the last axis instead of axis 1.
  let isLast: Bool

  init(isLast: Bool) { self.isLast = isLast }

  /// Mean of each channel's finite elements.
  var means: [Double] {
    sums.indices.map { sums[$0] / Double(max(1, count - (missing?[$0] ?? 0))) }
  }

  /// Adds the elements of a value. Values with another number of channels are ignored.
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

  /// The tensor with non-finite elements replaced by 0; counts them in `missing`.
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
