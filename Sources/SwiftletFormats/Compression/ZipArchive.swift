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
    let isDeflated: Bool
    fileprivate let checksum: UInt32
    /// The size of the content in bytes.
    let size: Int
    /// Where the content is stored in the file, compressed or not.
    let data: Range<Int>
    /// The start of its local header.
    fileprivate let start: Int
  }

  /// In the order of the directory.
  let entries: [Entry]
  private let file: FileBytes

  /// More entries are rejected.
  private static let entryLimit = 1 << 16
  /// Larger directories are rejected: that of as many entries as are allowed is smaller.
  private static let directoryLimit = 64 << 20

  /// Reads the directory and the local headers, and nothing else.
  ///
  /// - Throws: `badInput` naming the file if the directory is inconsistent, `unsupported` for
  ///   encrypted entries, other compression methods and multi-part archives; `io` if the file
  ///   cannot be read.
  init(_ file: FileBytes) throws {
    self.file = file
    let directory = try ZipDirectory(file)
    guard directory.count <= Self.entryLimit, directory.range.count <= Self.directoryLimit else {
      throw SwiftletError(
        .unsupported, "zip files of \(directory.count) entries are not supported", at: file.path)
    }
    let start = directory.range.lowerBound
    var reader = ByteReader(
      Array(try file.bytes(in: directory.range)), file: file.path, from: start)
    var entries: [Entry] = []
    var names: Set<String> = []
    for _ in 0..<directory.count {
      let entry = try Self.entry(&reader, in: file, before: start)
      guard names.insert(entry.name).inserted else {
        throw reader.error("the entry '\(entry.name)' occurs twice")
      }
      entries.append(entry)
    }
    guard reader.remaining == 0 else {
      throw reader.error("the directory has extra bytes after its entries")
    }
    let inOrder = entries.sorted { $0.start < $1.start }
    for (entry, next) in zip(inOrder, inOrder.dropFirst())
    where entry.data.upperBound > next.start {
      throw SwiftletError(
        .badInput, "the entries '\(entry.name)' and '\(next.name)' overlap", at: file.path)
    }
    self.entries = entries
  }

  /// Reads an entry of the directory, and the local header that it points to.
  private static func entry(
    _ reader: inout ByteReader, in file: FileBytes, before end: Int
  ) throws -> Entry {
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
    let extraEnd = reader.offset + extraLength
    let wide = try Self.zip64(
      &reader, extraLength, [sizes[1], sizes[0], offset].map { $0 == 0xffff_ffff })
    try reader.move(to: extraEnd)
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
    let data = try Self.data(
      file, at: start, name: nameBytes, method, size: wide[1] ?? sizes[0], end: end)
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
    _ file: FileBytes, at start: Int, name: ArraySlice<UInt8>, _ method: UInt16, size: Int,
    end: Int
  ) throws -> Range<Int> {
    let headerLength = 30
    guard start <= end - headerLength else {
      throw SwiftletError(
        .badInput, "an entry starts at byte \(start), but the directory at \(end)", at: file.path)
    }
    let header = start..<min(end, start + headerLength + name.count)
    var reader = ByteReader(Array(try file.bytes(in: header)), file: file.path, from: start)
    guard try reader.littleEndian(UInt32.self) == 0x0403_4b50 else {
      throw reader.error("this is not the header of a zip entry")
    }
    _ = try reader.skip(4)  // version and flags
    let localMethod: UInt16 = try reader.littleEndian()
    _ = try reader.skip(16)  // time, checksum and sizes: the directory has them
    let nameLength = Int(try reader.littleEndian(UInt16.self))
    let extraLength = Int(try reader.littleEndian(UInt16.self))
    guard nameLength == name.count, localMethod == method,
      reader.bytes[try reader.skip(nameLength)].elementsEqual(name)
    else { throw reader.error("the header of a zip entry contradicts the directory") }
    let first = start + headerLength + nameLength + extraLength
    guard first <= end, size <= end - first else {
      throw reader.error("an entry runs into the directory")
    }
    return first..<first + size
  }

  // MARK: Content

  /// The content of an entry, checksum verified.
  ///
  /// For compressed content, memory is allocated for the size in the directory as far as
  /// `MemoryLimit` considers it plausible.
  ///
  /// - Throws: `badInput` if the data is damaged or longer than the directory says.
  func content(of entry: Entry) throws -> ArraySlice<UInt8> {
    guard entry.isDeflated else {
      let content = try file.bytes(in: entry.data)
      guard Self.checksum(content) == entry.checksum else { throw damaged(entry) }
      return content
    }
    var content: [UInt8] = []
    content.reserveCapacity(min(entry.size, MemoryLimit.expanded(entry.data.count)))
    try expand(entry) { part in
      unsafe part.withUnsafeBufferPointer { unsafe content.append(contentsOf: $0) }
    }
    return content[...]
  }

  /// The first bytes of an entry's content, without verifying it.
  ///
  /// - Throws: `badInput` if the data is damaged before them.
  func prefix(_ count: Int, of entry: Entry) throws -> ArraySlice<UInt8> {
    guard entry.isDeflated else { return try file.bytes(in: entry.data.prefix(count)) }
    var content: [UInt8] = []
    let wanted = min(count, entry.size)
    var expansion = try Expansion(entry, file, chunk: wanted)
    while content.count < wanted, let part = try expansion.next() { content += part }
    return content.prefix(wanted)
  }

  /// Passes on the content of an entry piece by piece, checksum verified.
  ///
  /// - Throws: As ``content(of:)``, after some of it was passed on, and what `body` throws.
  func expand(_ entry: Entry, _ body: (Span<UInt8>) throws -> Void) throws {
    var count = 0
    var checksum: UInt32 = 0
    var expansion = try Expansion(entry, file, chunk: 256 << 10)
    while let part = try expansion.next() {
      guard part.count <= entry.size - count else { throw damaged(entry) }
      count += part.count
      checksum = Self.checksum(part, after: checksum)
      try body(part.span)
    }
    guard count == entry.size, checksum == entry.checksum else { throw damaged(entry) }
  }

  /// Verifies the checksum of an entry that is not compressed.
  ///
  /// - Throws: `badInput` if the data is damaged.
  func verify(_ entry: Entry) throws {
    var checksum: UInt32 = 0
    for start in stride(from: entry.data.lowerBound, to: entry.data.upperBound, by: 1 << 20) {
      let part = try file.bytes(in: start..<min(start + 1 << 20, entry.data.upperBound))
      checksum = Self.checksum(part, after: checksum)
    }
    guard checksum == entry.checksum else { throw damaged(entry) }
  }

  /// CRC-32, the checksum of every entry's content.
  static func checksum(_ content: ArraySlice<UInt8>, after checksum: UInt32 = 0) -> UInt32 {
    unsafe content.withUnsafeBufferPointer {
      UInt32(truncatingIfNeeded: unsafe crc32_z(UInt(checksum), $0.baseAddress, $0.count))
    }
  }

  private func damaged(_ entry: Entry) -> SwiftletError { Self.damaged(entry, file) }

  private static func damaged(_ entry: Entry, _ file: FileBytes) -> SwiftletError {
    SwiftletError(
      .badInput, "the data of '\(entry.name)' is damaged", at: file.path, fix: "get a fresh copy")
  }

  /// Decompresses an entry chunk by chunk.
  private struct Expansion: ~Copyable {
    private let entry: Entry
    private let file: FileBytes
    private var stream: InflateStream
    private var input: [UInt8] = []
    private var position = 0
    /// Where the input after ``input`` starts in the file.
    private var rest: Int
    private var chunk: [UInt8]
    private var isAtEnd = false

    init(_ entry: Entry, _ file: FileBytes, chunk: Int) throws {
      (self.entry, self.file, rest) = (entry, file, entry.data.lowerBound)
      stream = try InflateStream(.none)
      self.chunk = [UInt8](repeating: 0, count: max(1, min(entry.size, chunk)))
    }

    /// Not empty; `nil` after the last one.
    mutating func next() throws -> ArraySlice<UInt8>? {
      while !isAtEnd {
        if position == input.count, rest < entry.data.upperBound {
          let end = min(rest + 256 << 10, entry.data.upperBound)
          input = Array(try file.bytes(in: rest..<end))
          (position, rest) = (0, end)
        }
        let step = stream.advance(input, from: position, into: &chunk, room: chunk.count)
        position += step.consumed
        switch step.status {
        case Z_OK: break
        case Z_STREAM_END where position == input.count && rest == entry.data.upperBound:
          isAtEnd = true
        case Z_MEM_ERROR: throw InflateStream.outOfMemory
        default: throw ZipArchive.damaged(entry, file)
        }
        if step.produced > 0 { return chunk[..<step.produced] }
      }
      return nil
    }
  }
}

/// The location of the directory at the end of a zip file.
private struct ZipDirectory {
  let count: Int
  let range: Range<Int>

  private static let endLength = 22

  init(_ file: FileBytes) throws {
    // The last record may be followed by a comment of up to 64 KiB, whose length it contains, and
    // follows records of large files.
    let tail = max(0, file.count - Self.endLength - 0xffff - 20)..<file.count
    var reader = ByteReader(
      Array(try file.bytes(in: tail)), file: file.path, from: tail.lowerBound)
    let bytes = reader.bytes
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
    var limit = tail.lowerBound + end
    if count == 0xffff || size == 0xffff_ffff || start == 0xffff_ffff {
      try reader.move(to: end - 20)
      guard try reader.littleEndian(UInt32.self) == 0x0706_4b50 else {
        throw reader.error("the end of a large zip file is damaged")
      }
      _ = try reader.skip(4)
      limit = Int(clamping: try reader.littleEndian(UInt64.self))
      let recordLength = 56
      guard limit <= file.count - recordLength else {
        throw reader.error("the end of a large zip file is damaged")
      }
      let record = limit..<limit + recordLength
      reader = ByteReader(Array(try file.bytes(in: record)), file: file.path, from: limit)
      guard try reader.littleEndian(UInt32.self) == 0x0606_4b50 else {
        throw reader.error("the end of a large zip file is damaged")
      }
      _ = try reader.skip(28)
      count = Int(clamping: try reader.littleEndian(UInt64.self))
      size = Int(clamping: try reader.littleEndian(UInt64.self))
      start = Int(clamping: try reader.littleEndian(UInt64.self))
    }
    guard disks == 0 else {
      throw SwiftletError(.unsupported, "multi-part zip files are not supported", at: file.path)
    }
    guard start <= limit, size == limit - start else {
      throw reader.error("the directory of the zip file is not at its stated position")
    }
    (self.count, range) = (count, start..<limit)
  }
}
