// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletFormats

/// Images of one size in an array of a file, read when they are needed: memory does not grow with
/// their number.
public struct StoredImages: Sendable {
  /// Where the channels of each image are.
  private enum Layout {
    /// N×H×W: one channel.
    case grey
    /// N×C×H×W.
    case first
    /// N×H×W×C.
    case last
  }

  private let array: StoredArray
  private let layout: Layout

  /// Images in an array: N×H×W, N×C×H×W or N×H×W×C. Of the second and the last axis, the shorter
  /// one has the channels; the second one if they are equally long.
  ///
  /// - Throws: `badInput` if the array is not uint8, of another rank, or without pixels.
  public init(_ array: StoredArray) throws {
    let shape = array.shape
    guard array.dtype == .uint8, 3...4 ~= shape.rank, array.rowShape.count > 0 else {
      throw SwiftletError(
        .badInput, "\(array.dtype) \(shape) are not images",
        fix: "use uint8 numbers of shape N×C×H×W, N×H×W×C or N×H×W")
    }
    self.array = array
    layout = shape.rank == 3 ? .grey : shape[1] <= shape[3] ? .first : .last
  }

  private init(_ array: StoredArray, _ layout: Layout) {
    (self.array, self.layout) = (array, layout)
  }

  /// The number of images.
  public var count: Int { array.count }

  /// Where the images were in the array that these are a part of; `nil` if they are all there.
  var positions: [Int]? { array.positions }

  /// The size of each image.
  var extents: (channels: Int, height: Int, width: Int) {
    let shape = array.shape
    return switch layout {
    case .grey: (1, shape[1], shape[2])
    case .first: (shape[1], shape[2], shape[3])
    case .last: (shape[3], shape[1], shape[2])
    }
  }

  /// Reads images: N×C×H×W.
  ///
  /// - Precondition: Every index is in `0..<count`.
  /// - Throws: As `StoredArray.rows`.
  public func packed(_ indices: [Int]) throws -> Tensor<UInt8> {
    try packed(rows: array.rows(indices))
  }

  private func packed(rows: AnyTensor) throws -> Tensor<UInt8> {
    let images: Tensor<UInt8> = try rows.require()
    switch layout {
    case .grey:
      return images.reshaped(to: [images.shape[0], 1, images.shape[1], images.shape[2]])
    case .first: return images
    case .last: return images.permuted(to: [0, 3, 1, 2]).contiguous()
    }
  }

  /// Reads all images in order, some at a time: N×C×H×W.
  ///
  /// - Throws: As `StoredArray.rows`, and what `body` throws.
  func forEachPart(_ body: (Tensor<UInt8>) throws -> Void) throws {
    try array.forEachPart { rows, _ in try body(packed(rows: rows)) }
  }

  /// The images at `indices`, in that order; nothing is read.
  func subset(_ indices: [Int]) -> StoredImages { StoredImages(array.subset(indices), layout) }

  /// The images of a range; nothing is read.
  func slice(_ range: Range<Int>) -> StoredImages { StoredImages(array.slice(range), layout) }
}
