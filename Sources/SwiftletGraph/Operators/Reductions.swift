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
