// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// An array that an input is given in every run, whichever the samples are.
struct FixedArray {
  private let input: ValueInfo
  private let array: AnyTensor
  /// The axis of the input that samples are along, if it has one.
  private let axis: Int?
  /// Samples of the other inputs; `nil` if none of them has any.
  private let samples: Int?
  private let batch: Int?

  /// `symbol` stands for samples among the model's extents; `batch` is how many the model takes at
  /// once, if that is one number.
  init(_ input: ValueInfo, _ array: AnyTensor, symbol: String?, samples: Int?, batch: Int?) {
    (self.input, self.array, self.samples, self.batch) = (input, array, samples, batch)
    axis = symbol.flatMap { input.dimensions.firstIndex(of: .symbolic($0)) }
  }

  /// The array, and how the samples get their part of it: one index on their axis serves all, as
  /// many as there are samples are one for each, and an array without that axis is the same for
  /// all.
  ///
  /// - Throws: `badInput` if the array is not what the input takes.
  var placed: (AnyTensor, SampleLayout.Place) {
    get throws {
      guard let axis, let samples else {
        guard input.accepts(array.shape) else { throw refusal }
        return (array, .constant)
      }
      if array.shape.rank == input.dimensions.count - 1 {
        var extents = Array(array.shape.dimensions)
        extents.insert(1, at: axis)
        guard input.accepts(Shape(extents)) else { throw refusal }
        return (array.reshaped(to: Shape(extents)), .repeated(axis))
      }
      guard input.accepts(array.shape) else { throw refusal }
      switch array.shape[axis] {
      case 1: return (array, .repeated(axis))
      case samples: return (array, .along(axis))
      case batch: return (array, .constant)
      default: throw refusal
      }
    }
  }

  private var refusal: SwiftletError {
    var mend: String?
    if let axis, let samples {
      func shape(_ extent: Int) -> String {
        input.dimensions.enumerated().map { $0 == axis ? "\(extent)" : $1.description }
          .joined(separator: "×")
      }
      mend =
        "give \(shape(1)) for all samples alike"
        + (samples > 1 ? ", or \(shape(samples)), as there are \(samples) samples" : "")
    }
    return SwiftletError(
      .badInput,
      "the fixed array '\(input.name)' is \(array.shape); the model takes \(input.shapeDescription)",
      mend: mend)
  }
}

extension AnyTensor {
  /// The array with its one index of an axis so many times.
  func repeated(_ count: Int, along axis: Int) -> AnyTensor {
    func opened<Element: TensorElement>(_: Element.Type) -> AnyTensor {
      let tensor = typed(as: Element.self)!
      return AnyTensor(
        tensor.broadcast(to: tensor.shape.replacing(axis: axis, with: count)).contiguous())
    }
    return count == 1 ? self : opened(dtype.elementType)
  }

  fileprivate func reshaped(to shape: Shape) -> AnyTensor {
    func opened<Element: TensorElement>(_: Element.Type) -> AnyTensor {
      AnyTensor(typed(as: Element.self)!.contiguous().reshaped(to: shape))
    }
    return opened(dtype.elementType)
  }
}
