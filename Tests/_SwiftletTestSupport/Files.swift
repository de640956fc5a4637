// SPDX-License-Identifier: Apache-2.0

import CZlib
import Foundation
import SwiftletCore

/// Writes a file without the code under test.
public func put(_ bytes: [UInt8], _ folder: String, _ name: String) throws {
  let url = URL(filePath: folder).appending(path: name)
  try FileManager.default.createDirectory(
    at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
  try Data(bytes).write(to: url)
}

/// The names in a folder, hidden ones included.
public func names(in folder: String) throws -> [String] {
  try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
}

/// `count` bytes that follow from the seed.
public func randomBytes(_ count: Int, seed: UInt64) -> [UInt8] {
  var generator = RandomGenerator(seed: seed)
  return (0..<count).map { _ in UInt8(generator.below(256)) }
}

/// `bytes` as one gzip member.
public func gzip(_ bytes: [UInt8]) -> [UInt8] {
  var stream = unsafe z_stream()
  unsafe deflateInit2_(
    &stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
    Int32(MemoryLayout<z_stream>.size))
  var input = bytes
  var output = [UInt8](repeating: 0, count: Int(unsafe deflateBound(&stream, UInt(bytes.count))))
  let produced = unsafe input.withUnsafeMutableBufferPointer { source in
    unsafe output.withUnsafeMutableBufferPointer { target in
      unsafe stream.next_in = source.baseAddress
      unsafe stream.avail_in = UInt32(source.count)
      unsafe stream.next_out = target.baseAddress
      unsafe stream.avail_out = UInt32(target.count)
      unsafe deflate(&stream, Z_FINISH)
      return Int(unsafe stream.total_out)
    }
  }
  unsafe deflateEnd(&stream)
  return Array(output[..<produced])
}

/// An idx file, valid if the arguments are.
public func idx(_ dimensions: [UInt32], _ elements: [UInt8], dtype: UInt8 = 8) -> [UInt8] {
  [0, 0, dtype, UInt8(dimensions.count)]
    + dimensions.flatMap { extent in
      [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: extent >> $0) }
    } + elements
}
