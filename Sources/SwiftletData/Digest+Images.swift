// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
package import SwiftletFiles

extension Digest {
  /// Of images and labels: the name that a data set was asked for by does not matter. Of pictures
  /// in files, the files count.
  ///
  /// - Throws: `io` if a file cannot be read.
  package static func sha256(_ images: ImageDataset) throws -> String {
    let labels = images.labels.flatMap { label in (0..<8).map { UInt8(label >> ($0 * 8) & 255) } }
    let digest = Digest()
    switch images.pixels {
    case .packed(let pixels):
      // Named: spans of temporaries crash the compiler without optimization (Swift 6.3.1).
      let packed = pixels.contiguous()
      digest.add(packed.span)
    case .files(let files):
      for path in files.paths {
        let bytes = try InputFile.read(path)
        // With its size, so that bytes cannot move from one file to the next unnoticed.
        let size = (0..<8).map { UInt8(bytes.count >> ($0 * 8) & 255) }
        digest.add(size.span)
        digest.add(bytes.span)
      }
    }
    digest.add(labels.span)
    return digest.finish()
  }
}
