// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore

extension Tensor where Element: BLASElement {
  /// Checks, before a computation with this m×n matrix starts, that there is memory for its
  /// temporaries: `copies` copies of the matrix and `squares` squares of min(m, n)² elements.
  ///
  /// - Throws: `outOfMemory`; `badInput` if the rank is not 2.
  func requireMemory(_ operation: String, copies: Int, squares: Int = 0) throws {
    try requireMatrix(operation)
    let (m, n) = (Double(shape[0]), Double(shape[1]))
    let (least, longer) = (min(m, n), max(m, n))
    // Reflectors are collected in panels.
    let panels = 4 * min(least, 32) * longer
    try MemoryLimit.require(
      m * n * Double(copies) + least * least * Double(squares) + panels, of: Element.self,
      for: "\(operation) of \(shape)")
  }
}
