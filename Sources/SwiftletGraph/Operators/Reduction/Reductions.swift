// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels

extension Tensor where Element: LayerElement {
  /// The sum over the leading axis, in index order: shape `d1×…` from `d0×d1×…`.
  func summedOverLeadingAxis() -> Tensor {
    var total = slice(axis: 0, range: 0..<1).reshaped(to: Shape(Array(shape.dimensions[1...])))
    guard shape[0] > 1 else { return total }
    var target = total.mutableSpan
    for row in 1..<shape[0] {
      Element.add(span.extracting(row * target.count..<(row + 1) * target.count), to: &target)
    }
    return total
  }
}

/// Sums `body` over the planes of each channel of images N×C×…, in image order.
func sumPerChannel<T: LayerElement>(
  _ shape: Shape, _ threads: Threads, _ body: @Sendable (_ plane: Int, _ channel: Int) -> T
) -> Tensor<T> {
  let channels = shape[1]
  var sums = Tensor<T>(uninitialized: [channels])
  threads.forEachBlock(of: &sums, minimumWork: 1) { range, output in
    for channel in range {
      var sum: T = 0
      for image in 0..<shape[0] { sum += body(image * channels + channel, channel) }
      output[channel - range.lowerBound] = sum
    }
  }
  return sums
}
