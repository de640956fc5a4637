// SPDX-License-Identifier: Apache-2.0

internal import CSwiftletImages

/// For each pixel along one axis of a result, the pixels that it is made of and their weights.
///
/// The window of pixels, and weights rounded to multiples of 2⁻²² whose sum is about 1, are those
/// of Pillow's `Image.resize`.
struct ResamplingWeights {
  /// Binary places of a weight: with 8 of a pixel and 2 for sums beyond 255 they fill 32 bits.
  private static let fractionBits = 22
  /// Binary places of the lower part of a weight.
  private static let lowBits = 14

  /// The first pixel of each window.
  private(set) var starts: [Int32] = []
  /// How many pixels each window has, at most ``stride``.
  private(set) var counts: [Int32] = []
  /// The weights in two parts, ``stride`` for each pixel of the result; those beyond the window are
  /// zero.
  private(set) var high: [Int16]
  private(set) var low: [Int16]
  /// Even.
  let stride: Int

  /// - Parameter antialias: Whether windows grow with the pixels of the result when a picture
  ///   shrinks.
  /// - Precondition: Both lengths are positive.
  /// - Complexity: O(to + from · support), times the cost of a weight.
  init(from length: Int, to target: Int, _ interpolation: Interpolation, antialias: Bool) {
    let scale = Double(length) / Double(target)
    let width = antialias ? max(scale, 1) : 1
    let support = interpolation.support * width
    stride = Int(support.rounded(.up)) * 2 + 2
    high = [Int16](repeating: 0, count: target * stride)
    low = high
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
        let exact = window[i] / sum * Double(1 << Self.fractionBits)
        let weight = Int(exact + (exact < 0 ? -0.5 : 0.5))
        high[place * stride + i] = Int16(weight >> Self.lowBits)
        low[place * stride + i] = Int16(weight & (1 << Self.lowBits - 1))
      }
      starts.append(Int32(start))
      counts.append(Int32(end - start))
    }
  }

  /// The pixels that any window has.
  var range: Range<Int> {
    Int(starts[0])..<Int(starts[starts.count - 1] + counts[counts.count - 1])
  }

  /// Passes the windows to `body` as C takes them; they are valid during the call.
  func withWindows(_ body: (UnsafePointer<swl_windows>) -> Void) {
    unsafe starts.withUnsafeBufferPointer { starts in
      unsafe counts.withUnsafeBufferPointer { counts in
        unsafe high.withUnsafeBufferPointer { high in
          unsafe low.withUnsafeBufferPointer { low in
            var windows = unsafe swl_windows(
              starts: starts.baseAddress, counts: counts.baseAddress, high: high.baseAddress,
              low: low.baseAddress, places: Int32(starts.count), stride: Int32(stride))
            unsafe body(&windows)
          }
        }
      }
    }
  }
}
