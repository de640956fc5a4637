// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

extension MovingOperator where Self: FloatOperator {
  /// The gradient of an operator that moves elements of its first input: each position returns its
  /// gradient to its source, which is found by applying the operator to the positions themselves.
  func movedGradient<T: LayerElement>(
    _ call: ForwardCall<T>, _ slope: Tensor<T>
  ) throws -> [Tensor<T>?] {
    let shape = call.inputShapes[0]!
    // Starting at 1: padding is 0.
    let places = Tensor<Int64>(shape, (0..<shape.count).map { Int64($0 + 1) })
    let others = call.others.isEmpty ? call.inputShapes.map { _ in nil } : call.others
    let sources = try move(places, others)[0].contiguous()
    let packed = slope.contiguous()
    var result = Tensor<T>(zeros: shape)
    var values = result.mutableSpan
    for position in sources.span.indices where sources.span[position] > 0 {
      values[Int(sources.span[position]) - 1] += packed.span[position]
    }
    return [result] + [Tensor<T>?](repeating: nil, count: call.inputShapes.count - 1)
  }
}
