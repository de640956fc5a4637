// SPDX-License-Identifier: Apache-2.0

extension ImageDataset {
  /// Where the samples were in the arrays that this data set is a part of; `nil` if they are all
  /// there, in their order, and for other data.
  package var positions: [Int]? {
    switch pixels {
    case .arrays(let arrays): arrays.chosen
    case .stored(let images): images.positions
    case .packed, .files: nil
    }
  }
}
