// SPDX-License-Identifier: Apache-2.0

/// For each pixel along one axis of a result, the pixels that it is made of and their weights.
///
/// The window of pixels, and weights rounded to multiples of 2⁻²² whose sum is about 1, are those
/// of Pillow's `Image.resize`.
struct ResamplingWeights {
  /// Binary places of a weight: with 8 of a pixel and 2 for sums beyond 255 they fill 32 bits.
  static let fractionBits = 22

  /// The first pixel of each window.
  private(set) var starts: [Int]
  /// How many pixels each window has, at most ``stride``.
  private(set) var counts: [Int]
  /// The weights, ``stride`` for each pixel of the result; those beyond the window are zero.
  private(set) var weights: [Int32]
  let stride: Int

  /// - Parameter antialias: Whether windows grow with the pixels of the result when a picture
  ///   shrinks.
  /// - Precondition: Both lengths are positive.
  /// - Complexity: O(to + from · support), times the cost of a weight.
  init(from length: Int, to target: Int, _ interpolation: Interpolation, antialias: Bool) {
    let scale = Double(length) / Double(target)
    let width = antialias ? max(scale, 1) : 1
    let support = interpolation.support * width
    stride = Int(support.rounded(.up)) * 2 + 1
    starts = []
    counts = []
    weights = [Int32](repeating: 0, count: target * stride)
    var window = [Double](repeating: 0, count: stride)
    for place in 0..<target {
      let center = (Double(place) + 0.5) * scale
      let start = max(Int(center - support + 0.5), 0)
      let end = min(Int(center + support + 0.5), length)
      var sum = 0.0
      for i in 0..<end - start {
        window[i] = interpolation.weight(at: (Double(i + start) - center + 0.5) * (1 / width))
        sum += window[i]
      }
      for i in 0..<end - start {
        let weight = (sum == 0 ? window[i] : window[i] / sum) * Double(1 << Self.fractionBits)
        weights[place * stride + i] = Int32(weight + (weight < 0 ? -0.5 : 0.5))
      }
      starts.append(start)
      counts.append(end - start)
    }
  }

  /// The pixels that any window has.
  var range: Range<Int> { starts[0]..<starts[starts.count - 1] + counts[counts.count - 1] }
}
