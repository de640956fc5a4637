// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFiles
import SwiftletFormats

extension ImageDataset {
  /// The number of the other data set's samples that are also here: compared element by element,
  /// pictures in files as the same files, whatever their paths.
  ///
  /// - Throws: The errors of reading arrays, and what `progress` throws.
  /// - Complexity: O(elements).
  func shared(
    with other: ImageDataset, progress: Progress.Handler? = nil
  ) throws -> Int {
    if case .files(let own) = pixels, case .files(let others) = other.pixels {
      let known = Set(own.paths.map(InputFile.identity))
      return others.paths.count { known.contains(InputFile.identity($0)) }
    }
    guard let kind = kindOfSamples, kind == other.kindOfSamples else { return 0 }
    let known = Set(try fingerprints(progress))
    return try other.fingerprints(progress).count { known.contains($0) }
  }

  /// What samples must have in common to be equal; `nil` for pictures in files.
  private var kindOfSamples: [String]? {
    if let extents = imageExtents { return ["\(extents)"] }
    guard case .arrays(let inputs) = pixels else { return nil }
    return inputs.samples.map { "\($0.name) \($0.array.dtype) \($0.array.rowShape)" }
  }

  /// Of each sample, two 64-bit hashes.
  private func fingerprints(_ progress: Progress.Handler?) throws -> [SIMD2<UInt64>] {
    func report(_ samples: Int) throws {
      try progress?(Progress("compare samples", completed: samples, total: count))
    }
    var hashes = [SIMD2<UInt64>](
      repeating: [0xcbf2_9ce4_8422_2325, 0x9e37_79b9_7f4a_7c15], count: count)
    switch pixels {
    case .packed(let images):
      // Named: spans of temporaries crash the compiler without optimization (Swift 6.3.1).
      let packed = images.contiguous()
      Self.add(packed.span, to: &hashes, 0..<count)
    case .stored(let images):
      var first = 0
      try images.forEachPart { part in
        Self.add(part.span, to: &hashes, first..<first + part.shape[0])
        first += part.shape[0]
        try report(first)
      }
    case .arrays(let inputs):
      for (_, array) in inputs.samples {
        try array.forEachPart { part, samples in
          var bytes: [UInt8] = []
          part.appendBytes(to: &bytes)
          Self.add(bytes.span, to: &hashes, samples)
          try report(samples.upperBound)
        }
      }
    case .files: break
    }
    return hashes
  }

  /// Adds as many bytes to the hash of each sample.
  private static func add(
    _ bytes: Span<UInt8>, to hashes: inout [SIMD2<UInt64>], _ samples: Range<Int>
  ) {
    guard !samples.isEmpty else { return }
    let length = bytes.count / samples.count
    for (index, sample) in samples.enumerated() {
      let row = bytes.extracting(index * length..<(index + 1) * length)
      var (a, b) = (hashes[sample].x, hashes[sample].y)
      for position in row.indices {
        let byte = UInt64(row[position])
        a = (a ^ byte) &* 0x0000_0100_0000_01b3
        b = (b &+ byte) &* 0xff51_afd7_ed55_8ccd
        b ^= b >> 29
      }
      hashes[sample] = [a, b]
    }
  }
}
