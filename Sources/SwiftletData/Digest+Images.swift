// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
package import SwiftletFiles

extension Digest {
  /// Of samples and labels: the name that a data set was asked for by does not matter. Of pictures
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
      let parts = try Threads.available.map(files.paths.count) { index in
        Array(Digest.sha256(try InputFile.read(files.paths[index])).utf8)
      }
      for part in parts { digest.add(part.span) }
    case .arrays(let inputs):
      for (name, array) in inputs.arrays.sorted(by: { $0.key < $1.key }) {
        var bytes = Array("\(name) \(array.dtype) \(array.shape)".utf8)
        array.contiguous.appendBytes(to: &bytes)
        digest.add(bytes.span)
      }
      let chosen = Array("\(inputs.chosen.map(String.init(describing:)) ?? "all")".utf8)
      digest.add(chosen.span)
    }
    digest.add(labels.span)
    return digest.finish()
  }

  /// Of where pictures in files are, when they were last changed, and their labels: what tells
  /// quickly whether they are the same as before. `nil` for images in memory.
  package static func ofFiles(_ images: ImageDataset) -> String? {
    guard case .files(let files) = images.pixels else { return nil }
    return sha256(
      zip(files.paths, images.labels).map { "\($0) \(InputFile.identity($0)) \($1)" }
        .joined(separator: "\n"))
  }
}
