// SPDX-License-Identifier: Apache-2.0

package import SwiftletCore
package import SwiftletFiles
import SwiftletFormats

extension Digest {
  /// Of samples and labels: the name that a data set was asked for by does not matter. Of pictures
  /// in files, the files count.
  ///
  /// - Parameters:
  ///   - images: The data set.
  ///   - progress: Called now and then while files are read.
  /// - Throws: `io` if a file cannot be read, and what `progress` throws.
  package static func sha256(
    _ images: ImageDataset, progress: Progress.Handler? = nil
  ) throws -> String {
    let labels = images.labels.flatMap { label in (0..<8).map { UInt8(label >> ($0 * 8) & 255) } }
    let digest = Digest()
    switch images.pixels {
    case .packed(let pixels):
      // Named: spans of temporaries crash the compiler without optimization (Swift 6.3.1).
      let packed = pixels.contiguous()
      digest.add(packed.span)
    case .stored(let stored):
      try stored.forEachPart { part in digest.add(part.span) }
    case .files(let files):
      let count = files.paths.count
      for start in stride(from: 0, to: count, by: filesAtOnce) {
        let end = min(start + filesAtOnce, count)
        let parts = try Threads.available.map(end - start) { index in
          Array(Digest.sha256(try files.bytes(at: start + index)).utf8)
        }
        for part in parts { digest.add(part.span) }
        try progress?(Progress("digest", completed: end, total: count))
      }
    case .arrays(let inputs):
      for (name, array) in inputs.arrays.sorted(by: { $0.key < $1.key }) {
        let head = Array("\(name) \(array.dtype) \(array.shape)".utf8)
        digest.add(head.span)
        try digest.add(array)
      }
      let chosen = Array("\(inputs.chosen.map(String.init(describing:)) ?? "all")".utf8)
      digest.add(chosen.span)
    }
    digest.add(labels.span)
    if let targets = images.targets { try digest.add(targets) }
    return digest.finish()
  }

  /// Adds the elements, some rows at a time.
  private func add(_ array: StoredArray) throws {
    try array.forEachPart { part, _ in
      var bytes: [UInt8] = []
      part.appendBytes(to: &bytes)
      add(bytes.span)
    }
  }

  /// Files between two reports of progress.
  private static let filesAtOnce = 256

  /// Of where pictures in files are, when they were last changed, and their labels: what tells
  /// quickly whether they are the same as before. `nil` for images in memory.
  package static func ofFiles(_ images: ImageDataset) -> String? {
    guard case .files(let files) = images.pixels else { return nil }
    return sha256(
      zip(files.paths, images.labels).map { "\($0) \(InputFile.identity($0)) \($1)" }
        .joined(separator: "\n"))
  }
}
