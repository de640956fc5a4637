import SwiftletCore

/// Means and extremes of each channel of a value, over all samples.
struct ChannelStatistics: Sendable, Codable {
  /// Values seen of each channel.
  private(set) var count = 0
  private(set) var sums: [Double] = []
  private(set) var largest: [Float] = []
  /// Whether channels are along the last axis, and not along the second.
  let isLast: Bool

  init(isLast: Bool) { self.isLast = isLast }

  /// Each channel's mean.
  var means: [Double] { sums.map { $0 / Double(max(1, count)) } }

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
    let packed = tensor.contiguous()
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
}
