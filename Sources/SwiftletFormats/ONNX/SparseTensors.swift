// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletONNXSchema

extension ElementSource {
  /// A constant with only some elements listed; the others are zero.
  ///
  /// - Throws: `badInput` if positions and elements do not match each other or the shape, or a
  ///   position occurs twice.
  func tensor(_ proto: ONNX_SparseTensorProto) throws -> AnyTensor {
    try locating("sparse tensor '\(proto.values.name)'") {
      let shape = try Shape(checking: proto.dims.map(Int.init))
      let values = try tensor(proto.values)
      let indices = try tensor(proto.indices).require(Int64.self)
      guard values.shape.rank == 1, shape.rank > 0 else {
        throw SwiftletError(.badInput, "elements of shape \(values.shape) do not match \(shape)")
      }
      // One index into the flattened tensor, or one index per axis.
      guard
        indices.shape == [values.shape[0]] || indices.shape == [values.shape[0], shape.rank]
      else {
        throw SwiftletError(
          .badInput, "indices \(indices.shape) do not match \(values.shape[0]) elements")
      }
      try count(shape, of: values.dtype)
      let places = try Self.places(indices, in: shape)
      func filled<T: TensorElement>(_: T.Type) -> AnyTensor {
        var result = Tensor<T>(shape, repeating: .zero)
        let source = values.typed(as: T.self)!.elements
        var target = result.mutableSpan
        for (place, value) in zip(places, source) { target[place] = value }
        return AnyTensor(result)
      }
      return filled(values.dtype.elementType)
    }
  }

  private static func places(_ indices: Tensor<Int64>, in shape: Shape) throws -> [Int] {
    let isLinear = indices.shape.rank == 1
    let extents = isLinear ? [shape.count] : shape.dimensions
    let numbers = indices.elements
    var places: [Int] = []
    places.reserveCapacity(indices.shape[0])
    for row in 0..<indices.shape[0] {
      var place = 0
      for (axis, extent) in extents.enumerated() {
        let index = numbers[row * extents.count + axis]
        guard index >= 0, index < extent else {
          throw SwiftletError(.badInput, "index \(index) is out of range for extent \(extent)")
        }
        place = place * extent + Int(index)
      }
      places.append(place)
    }
    guard Set(places).count == places.count else {
      throw SwiftletError(.badInput, "a position occurs twice")
    }
    return places
  }
}
