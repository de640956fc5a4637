import SwiftletCore

extension Span where Element: LayerElement {
  /// The sum, in eight interleaved partial sums: the order is fixed, and the loop vectorises.
  func sum() -> Element {
    var lanes = InlineArray<8, Element>(repeating: 0)
    let whole = count / 8 * 8
    var i = 0
    while i < whole {
      let part = extracting(i..<i + 8)
      for lane in 0..<8 { lanes[lane] += part[lane] }
      i += 8
    }
    var total: Element = 0
    for lane in 0..<8 { total += lanes[lane] }
    for i in whole..<count { total += self[i] }
    return total
  }
}

extension Tensor where Element: LayerElement {
  /// The sum over the leading axis, in index order: shape `d1×…` from `d0×d1×…`.
  func summedOverLeadingAxis() -> Tensor {
    var total = slice(axis: 0, range: 0..<1).reshaped(to: Shape(Array(shape.dimensions[1...])))
    guard shape[0] > 1 else { return total }
    var target = total.mutableSpan
    for row in 1..<shape[0] {
      let source = span.extracting(row * target.count..<(row + 1) * target.count)
      for i in source.indices { target[i] += source[i] }
    }
    return total
  }
}
