internal import CZlib
import Foundation
import SwiftletCore
import SwiftletFormats
import Testing

/// Expects `body` to throw a ``SwiftletError`` of the given code whose line holds every fragment.
func expectError<R>(
  _ code: SwiftletError.Code, _ fragments: String...,
  sourceLocation: SourceLocation = #_sourceLocation, body: () throws -> R
) {
  let error = #expect(throws: SwiftletError.self, sourceLocation: sourceLocation) {
    _ = try body()
  }
  guard let error else { return }
  #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
  for fragment in fragments {
    #expect(error.description.contains(fragment), "\(error)", sourceLocation: sourceLocation)
  }
}

/// Writes a file without the code under test.
func put(_ bytes: [UInt8], _ folder: String, _ name: String) throws {
  let url = URL(filePath: folder).appending(path: name)
  try FileManager.default.createDirectory(
    at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
  try Data(bytes).write(to: url)
}

/// Makes a symbolic link in a folder.
func link(_ target: String, _ folder: String, _ name: String) throws {
  try FileManager.default.createSymbolicLink(
    atPath: "\(folder)/\(name)", withDestinationPath: target)
}

/// Gives a file a second name.
func hardLink(_ file: String, _ name: String) throws {
  try FileManager.default.linkItem(atPath: file, toPath: name)
}

/// The names in a folder, hidden ones included.
func names(in folder: String) throws -> [String] {
  try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
}

/// `bytes` as one gzip member.
func gzip(_ bytes: [UInt8]) -> [UInt8] {
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
func idx(_ dimensions: [UInt32], _ elements: [UInt8], dtype: UInt8 = 8) -> [UInt8] {
  [0, 0, dtype, UInt8(dimensions.count)]
    + dimensions.flatMap { extent in
      [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: extent >> $0) }
    } + elements
}

/// `count` bytes that follow from the seed.
func randomBytes(_ count: Int, seed: UInt64) -> [UInt8] {
  var generator = RandomGenerator(seed: seed)
  return (0..<count).map { _ in UInt8(generator.below(256)) }
}

/// A protobuf field with a length.
func field(_ number: Int, _ payload: [UInt8]) -> [UInt8] {
  var head: [UInt8] = []
  for value in [number << 3 | 2, payload.count] {
    var rest = value
    while rest > 0x7f {
      head.append(UInt8(rest & 0x7f | 0x80))
      rest >>= 7
    }
    head.append(UInt8(rest))
  }
  return head + payload
}

func field(_ number: Int, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }
