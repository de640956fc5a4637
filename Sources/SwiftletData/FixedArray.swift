// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// An array given to one input in every run, independent of the samples.
struct FixedArray {
  private let input: ValueInfo
  private let array: AnyTensor
  /// The sample axis of the input, if it has one.
  private let axis: Int?
  /// Number of samples of the other inputs; `nil` if none has a sample axis.
  private let samples: Int?
  /// Whether there may be one entry for each sample: pictures have no order that it could follow.
  private let hasRows: Bool
  /// The model's fixed batch size; `nil` if the batch is symbolic.
  private let batch: Int?

  /// - Parameters:
  ///   - symbol: The name of the sample axis in the model's shapes.
  ///   - samples: The number of samples of the other inputs, if they have any.
  ///   - hasRows: Whether there may be one entry for each sample.
  ///   - batch: The model's batch size, if it is fixed.
  init(
    _ input: ValueInfo, _ array: AnyTensor, symbol: String?, samples: Int?, hasRows: Bool,
    batch: Int?
  ) {
    (self.input, self.array, self.samples, self.batch) = (input, array, samples, batch)
    self.hasRows = hasRows
    axis = symbol.flatMap { input.dimensions.firstIndex(of: .symbolic($0)) }
  }

  /// The array with its sample axis, and how samples use it. An extent of 1 along the sample axis
  /// applies to all samples; an extent equal to the number of samples has one entry for each; an
  /// array of the model's fixed batch size is passed as it is; an array without the axis applies to
  /// all samples.
  ///
  /// - Throws: `badInput` if the shape does not fit the input.
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
      case samples where hasRows: return (array, .along(axis))
      case batch: return (array, .constant)
      default: throw refusal
      }
    }
  }

  private var refusal: SwiftletError {
    var fix: String?
    if let axis, let samples {
      func shape(_ extent: Int) -> String {
        input.dimensions.enumerated().map { $0 == axis ? "\(extent)" : $1.description }
          .joined(separator: "×")
      }
      fix =
        "give \(shape(1)) for all samples"
        + (samples > 1 && hasRows ? ", or \(shape(samples)) for the \(samples) samples" : "")
    }
    return SwiftletError(
      .badInput,
      "the array for input '\(input.name)' has shape \(array.shape); the model expects "
        + "\(input.shapeDescription)",
      fix: fix)
  }
}

extension AnyTensor {
  /// The array repeated along an axis whose extent is 1.
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
