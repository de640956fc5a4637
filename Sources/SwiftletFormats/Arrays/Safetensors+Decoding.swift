// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletFiles

extension Safetensors {
  /// The header entry of one tensor.
  struct Entry {
    let name: String
    let elements: StoredElements
    let shape: Shape
    /// The range of its elements in the file.
    let range: Range<Int>
  }

  /// Reads the bytes of a file, named `file` in errors.
  ///
  /// - Throws: `badInput` naming the file and the byte or tensor for every possible defect of the
  ///   header; `unsupported` for element types that tensors do not support.
  /// - Complexity: O(file size); memory for the tensors themselves.
  public init(decoding bytes: [UInt8], file: String) throws {
    let (entries, metadata) = try Self.header(of: FileBytes(bytes, name: file))
    tensors = [:]
    tensors.reserveCapacity(entries.count)
    self.metadata = metadata
    for entry in entries {
      tensors[entry.name] = entry.elements.tensor(
        entry.shape, bytes.span.extracting(entry.range))
    }
  }

  /// Reads the header of a file, and nothing else.
  ///
  /// - Returns: The tensors in the order of their data, and the metadata.
  /// - Throws: As ``init(decoding:file:)``; `io` if the file cannot be read.
  static func header(
    of source: FileBytes
  ) throws -> (entries: [Entry], metadata: [String: String]) {
    let file = source.path
    let head = Array(try source.bytes(in: 0..<min(source.count, 8)))
    var reader = ByteReader(head, file: file)
    let length: UInt64 = try reader.littleEndian()
    guard length <= headerLimit else {
      throw SwiftletError(
        .badInput, "a header of \(length) bytes exceeds the limit of \(headerLimit)",
        at: "\(file), byte 0", fix: "check that this is a safetensors file")
    }
    let end = head.count + Int(length)
    guard end <= source.count else {
      throw reader.error(
        "the file ends early: \(length) bytes are needed, \(source.count - head.count) are left")
    }
    // With the length, so that positions are those in the file.
    let bytes = Array(try source.bytes(in: 0..<end))
    let header = head.count..<end
    guard !header.isEmpty, bytes[header.lowerBound] == UInt8(ascii: "{") else {
      throw SwiftletError(
        .badInput, "the header does not start with '{'", at: "\(file), byte 8",
        fix: "check that this is a safetensors file")
    }

    var scanner = JSONScanner(bytes, in: header, file: file)
    var entries: [Entry] = []
    var metadata: [String: String] = [:]
    try scanner.object { scanner, key in
      if key == metadataKey {
        try scanner.object { scanner, key in metadata[key] = try scanner.string() }
      } else {
        entries.append(try entry(named: key, &scanner, file: file))
      }
    }
    try scanner.finish()

    entries.sort {
      ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
    }
    try checkCover(entries, dataCount: source.count - end, file: file)
    let placed = entries.map {
      Entry(
        name: $0.name, elements: $0.elements, shape: $0.shape,
        range: end + $0.range.lowerBound..<end + $0.range.upperBound)
    }
    return (placed, metadata)
  }

  private static func place(_ name: String, _ file: String) -> String {
    "\(file), tensor '\(name.prefix(80))'"
  }

  /// Reads `{"dtype": …, "shape": […], "data_offsets": [begin, end]}`. The range is from the start
  /// of the data.
  private static func entry(
    named name: String, _ scanner: inout JSONScanner, file: String
  ) throws -> Entry {
    func invalid(_ what: String) -> SwiftletError {
      SwiftletError(.badInput, what, at: place(name, file), fix: "get a fresh copy")
    }
    var dtypeName: String?
    var dimensions: [Int]?
    var offsets: [Int]?
    try scanner.object { scanner, key in
      switch key {
      case "dtype": dtypeName = try scanner.string()
      case "shape": dimensions = try naturals(&scanner)
      case "data_offsets": offsets = try naturals(&scanner)
      default: try scanner.skipValue()
      }
    }
    guard let dtypeName, let dimensions, let offsets else {
      throw invalid("one of dtype, shape and data_offsets is missing")
    }
    guard let elements = StoredElements(safetensorsName: dtypeName) else {
      throw SwiftletError(
        .unsupported, "element type '\(dtypeName.prefix(80))' is not supported",
        at: place(name, file),
        fix: "convert it to one of "
          + (DType.allCases.compactMap(\.safetensorsName) + ["F16", "BF16"])
          .joined(separator: " ")
      )
    }
    let shape = try locating(place(name, file)) { try Shape(checking: dimensions) }
    let (byteCount, overflow) = shape.count.multipliedReportingOverflow(by: elements.byteCount)
    guard offsets.count == 2, offsets[0] <= offsets[1] else {
      throw invalid("data_offsets is not a pair of a begin and an end")
    }
    guard !overflow, byteCount == offsets[1] - offsets[0] else {
      throw invalid(
        "shape \(shape) of \(dtypeName) does not match its \(offsets[1] - offsets[0]) bytes")
    }
    return Entry(name: name, elements: elements, shape: shape, range: offsets[0]..<offsets[1])
  }

  private static func naturals(_ scanner: inout JSONScanner) throws -> [Int] {
    var numbers: [Int] = []
    try scanner.array { scanner in
      guard numbers.count < rankLimit else {
        throw scanner.error("there are more than \(rankLimit) numbers")
      }
      numbers.append(try scanner.natural())
    }
    return numbers
  }

  /// Checks that the entries, sorted by their ranges, tile the data.
  private static func checkCover(_ entries: [Entry], dataCount: Int, file: String) throws {
    var end = 0
    for entry in entries {
      guard entry.range.lowerBound == end else {
        let fault = entry.range.lowerBound < end ? "overlap the previous tensor" : "leave a hole"
        throw SwiftletError(
          .badInput, "the bytes from \(entry.range.lowerBound) \(fault), which ends at \(end)",
          at: place(entry.name, file), fix: "get a fresh copy")
      }
      end = entry.range.upperBound
    }
    guard end == dataCount else {
      throw SwiftletError(
        .badInput, "the tensors take \(end) bytes, but the file has \(dataCount) after its header",
        at: file, fix: "get a fresh copy")
    }
  }
}
