// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
package import SwiftletFiles

extension Digest {
  /// Of images and labels: the name that a data set was asked for by does not matter.
  package static func sha256(_ images: ImageDataset) -> String {
    // Named: spans of temporaries crash the compiler without optimization (Swift 6.3.1).
    let pixels = images.images.contiguous()
    let labels = images.labels.flatMap { label in (0..<8).map { UInt8(label >> ($0 * 8) & 255) } }
    let digest = Digest()
    digest.add(pixels.span)
    digest.add(labels.span)
    return digest.finish()
  }
}
