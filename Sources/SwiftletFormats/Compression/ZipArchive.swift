// SPDX-License-Identifier: Apache-2.0

internal import CZlib
import SwiftletCore
import SwiftletFiles

/// The entries of a zip file, with the strictness that a file of arrays allows: every byte belongs
/// to at most one entry, and local headers agree with the directory.
///
/// - Source: PKWARE's APPNOTE.TXT 6.3; entries stored or deflated, with zip64 sizes.
struct ZipArchive {
  struct Entry {
    let name: String
    fileprivate let isDeflated: Bool
    fileprivate let checksum: UInt32
    /// The size of the content in bytes.
    let size: Int
    /// The range of the content, and the start of its local header.
    fileprivate let data: Range<Int>
    fileprivate let start: Int
  }

  /// In the order of the directory.
  let entries: [Entry]
  private let bytes: [UInt8]
  private let file: String

  /// More entries are rejected.
  private static let entryLimit = 1 << 16

  /// - Throws: `badInput` naming the file if the directory is inconsistent, `unsupported` for
  ///   encrypted entries, other compression methods and multi-part archives.
  init(_ bytes: [UInt8], file: String) throws {
    (self.bytes, self.file) = (bytes, file)
    var reader = ByteReader(bytes, file: file)
    let directory = try ZipDirectory(&reader)
    guard directory.count <= Self.entryLimit else {
      throw SwiftletError(
        .unsupported, "zip files of \(directory.count) entries are not supported", at: file)
    }
    var entries: [Entry] = []
    var names: Set<String> = []
    try reader.move(to: directory.range.lowerBound)
    for _ in 0..<directory.count {
      let entry = try Self.entry(&reader, directory)
      guard names.insert(entry.name).inserted else {
        throw reader.error("the entry '\(entry.name)' occurs twice")
      }
      entries.append(entry)
    }
    guard reader.offset == directory.range.upperBound else {
      throw reader.error("the directory has extra bytes after its entries")
    }
    let inOrder = entries.sorted { $0.start < $1.start }
    for (entry, next) in zip(inOrder, inOrder.dropFirst())
    where entry.data.upperBound > next.start {
      throw SwiftletError(
        .badInput, "the entries '\(entry.name)' and '\(next.name)' overlap", at: file)
    }
    self.entries = entries
  }

  /// Reads an entry of the directory, and the local header that it points to.
  private static func entry(_ reader: inout ByteReader, _ directory: ZipDirectory) throws -> Entry {
    guard try reader.littleEndian(UInt32.self) == 0x0201_4b50 else {
      throw reader.error("this is not an entry of a zip directory")
    }
    _ = try reader.skip(4)  // versions
    let flags: UInt16 = try reader.littleEndian()
    let method: UInt16 = try reader.littleEndian()
    _ = try reader.skip(4)  // time and date
    let checksum: UInt32 = try reader.littleEndian()
    let sizes = [
      Int(try reader.littleEndian(UInt32.self)), Int(try reader.littleEndian(UInt32.self)),
    ]
    let nameLength = Int(try reader.littleEndian(UInt16.self))
    let extraLength = Int(try reader.littleEndian(UInt16.self))
    let commentLength = Int(try reader.littleEndian(UInt16.self))
    let disk: UInt16 = try reader.littleEndian()
    _ = try reader.skip(6)  // attributes
    let offset = Int(try reader.littleEndian(UInt32.self))
    let nameBytes = reader.bytes[try reader.skip(nameLength)]
    let end = reader.offset + extraLength
    let wide = try Self.zip64(
      &reader, extraLength, [sizes[1], sizes[0], offset].map { $0 == 0xffff_ffff })
    try reader.move(to: end)
    _ = try reader.skip(commentLength)

    guard let name = String(validating: nameBytes, as: UTF8.self) else {
      throw reader.error("the name of an entry is not UTF-8")
    }
    guard flags & 1 == 0, method == 0 || method == 8, disk == 0 else {
      throw SwiftletError(
        .unsupported, "'\(name)' is encrypted or uses unsupported compression method \(method)",
        at: reader.file)
    }
    let size = wide[0] ?? sizes[1]
    let start = wide[2] ?? offset
    let resume = reader.offset
    try reader.move(to: start)
    let data = try Self.data(
      &reader, name: nameBytes, method, size: wide[1] ?? sizes[0], end: directory.range.lowerBound)
    try reader.move(to: resume)
    guard method == 8 || data.count == size else {
      throw reader.error("'\(name)' stores \(data.count) bytes for a size of \(size)")
    }
    return Entry(
      name: name, isDeflated: method == 8, checksum: checksum, size: size, data: data,
      start: start)
  }

  /// The sizes and the offset in an extra field, for entries whose fields overflow.
  private static func zip64(
    _ reader: inout ByteReader, _ length: Int, _ wanted: [Bool]
  ) throws -> [Int?] {
    let end = reader.offset + length
    var result: [Int?] = [nil, nil, nil]
    while end - reader.offset >= 4 {
      let kind: UInt16 = try reader.littleEndian()
      let size = Int(try reader.littleEndian(UInt16.self))
      let next = reader.offset + size
      guard next <= end else { throw reader.error("an extra field is truncated") }
      if kind == 1 {
        for index in 0..<3 where wanted[index] && next - reader.offset >= 8 {
          result[index] = Int(clamping: try reader.littleEndian(UInt64.self))
        }
      }
      try reader.move(to: next)
    }
    return result
  }

  /// The range of an entry's content, from its local header.
  private static func data(
    _ reader: inout ByteReader, name: ArraySlice<UInt8>, _ method: UInt16, size: Int, end: Int
  ) throws -> Range<Int> {
    guard try reader.littleEndian(UInt32.self) == 0x0403_4b50 else {
      throw reader.error("this is not the header of a zip entry")
    }
    _ = try reader.skip(4)  // version and flags
    let localMethod: UInt16 = try reader.littleEndian()
    _ = try reader.skip(16)  // time, checksum and sizes: the directory has them
    let nameLength = Int(try reader.littleEndian(UInt16.self))
    let extraLength = Int(try reader.littleEndian(UInt16.self))
    let localName = reader.bytes[try reader.skip(nameLength)]
    guard localName.elementsEqual(name), localMethod == method else {
      throw reader.error("the header of a zip entry contradicts the directory")
    }
    _ = try reader.skip(extraLength)
    let data = try reader.skip(size)
    guard data.upperBound <= end else { throw reader.error("an entry runs into the directory") }
    return data
  }

  /// The content of an entry, checksum verified.
  ///
  /// Stored content is not copied; for compressed content, memory is allocated for the size in the
  /// directory as far as ``MemoryLimit`` considers it plausible.
  ///
  /// - Throws: `badInput` if the data is damaged or longer than the directory says.
  func content(of entry: Entry) throws -> ArraySlice<UInt8> {
    let content = entry.isDeflated ? try inflated(entry)[...] : bytes[entry.data]
    guard content.count == entry.size, Self.checksum(content) == entry.checksum else {
      throw damaged(entry)
    }
    return content
  }

  /// CRC-32, the checksum of every entry's content.
  static func checksum(_ content: ArraySlice<UInt8>) -> UInt32 {
    unsafe content.withUnsafeBufferPointer {
      UInt32(truncatingIfNeeded: unsafe crc32_z(0, $0.baseAddress, $0.count))
    }
  }

  private func inflated(_ entry: Entry) throws -> [UInt8] {
    var stream = try InflateStream(.none)
    var chunk = [UInt8](repeating: 0, count: min(max(entry.size, 1), 256 << 10))
    let compressed = Array(bytes[entry.data])
    var content: [UInt8] = []
    content.reserveCapacity(min(entry.size, MemoryLimit.expanded(compressed.count)))
    var position = 0
    while true {
      let step = stream.advance(compressed, from: position, into: &chunk, room: chunk.count)
      position += step.consumed
      content.append(contentsOf: chunk[..<step.produced])
      guard content.count <= entry.size else { throw damaged(entry) }
      switch step.status {
      case Z_OK: continue
      case Z_STREAM_END where position == compressed.count: return content
      case Z_MEM_ERROR: throw InflateStream.outOfMemory
      default: throw damaged(entry)
      }
    }
  }

  private func damaged(_ entry: Entry) -> SwiftletError {
    SwiftletError(
      .badInput, "the data of '\(entry.name)' is damaged", at: file, fix: "get a fresh copy")
  }
}

/// The location of the directory at the end of a zip file.
private struct ZipDirectory {
  let count: Int
  let range: Range<Int>

  private static let endLength = 22

  init(_ reader: inout ByteReader) throws {
    let bytes = reader.bytes
    // The last record may be followed by a comment of up to 64 KiB, whose length it contains.
    let last = bytes.count - Self.endLength
    let found = stride(from: last, through: max(0, last - 0xffff), by: -1).first {
      bytes[$0...].starts(with: [0x50, 0x4b, 5, 6])
        && Int(bytes[$0 + 20]) | Int(bytes[$0 + 21]) << 8 == last - $0
    }
    guard let end = found else { throw reader.error("this is not a zip file, or it is truncated") }
    try reader.move(to: end + 4)
    let disks: UInt32 = try reader.littleEndian()
    _ = try reader.skip(2)
    var count = Int(try reader.littleEndian(UInt16.self))
    var size = Int(try reader.littleEndian(UInt32.self))
    var start = Int(try reader.littleEndian(UInt32.self))
    var limit = end
    if count == 0xffff || size == 0xffff_ffff || start == 0xffff_ffff {
      try reader.move(to: end - 20)
      guard try reader.littleEndian(UInt32.self) == 0x0706_4b50 else {
        throw reader.error("the end of a large zip file is damaged")
      }
      _ = try reader.skip(4)
      limit = Int(clamping: try reader.littleEndian(UInt64.self))
      try reader.move(to: limit)
      guard try reader.littleEndian(UInt32.self) == 0x0606_4b50 else {
        throw reader.error("the end of a large zip file is damaged")
      }
      _ = try reader.skip(28)
      count = Int(clamping: try reader.littleEndian(UInt64.self))
      size = Int(clamping: try reader.littleEndian(UInt64.self))
      start = Int(clamping: try reader.littleEndian(UInt64.self))
    }
    guard disks == 0 else {
      throw SwiftletError(.unsupported, "multi-part zip files are not supported", at: reader.file)
    }
    guard start <= limit, size == limit - start else {
      throw reader.error("the directory of the zip file is not at its stated position")
    }
    (self.count, range) = (count, start..<limit)
  }
}
