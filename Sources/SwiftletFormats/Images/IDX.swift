// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
import SwiftletFiles

/// The idx format of MNIST and similar data sets: a magic number, the extents as big-endian 32-bit
/// integers, then the elements. Element type `u8`, ranks 1 to 4.
///
/// Source: the format's description at http://yann.lecun.com/exdb/mnist/.
public enum IDX {
  /// The tensor in an idx file, plain or gzip-compressed, of one of the given ranks.
  ///
  /// - Throws: `io` if the file cannot be read; `badInput` naming file and byte if it is not idx,
  ///   does not have the length of its extents, has another rank, or exceeds `MemoryLimit`;
  ///   `unsupported` for element types other than `u8`.
  /// - Complexity: O(file size); a compressed file is expanded no further than its extents require.
  public static func read(_ path: String, ranks: ClosedRange<Int> = 1...4) throws -> Tensor<UInt8> {
    try decode(try InputFile.read(path), file: path, ranks: ranks)
  }

  /// As ``read(_:ranks:)``, from the bytes of a file.
  public static func decode(
    _ bytes: [UInt8], file: String, ranks: ClosedRange<Int> = 1...4
  ) throws -> Tensor<UInt8> {
    let isCompressed = Gzip.isCompressed(bytes)
    let longestHeader = 4 + 4 * 4
    let head =
      isCompressed
      ? try Gzip.prefix(bytes, file: file, count: longestHeader)
      : Array(bytes.prefix(longestHeader))

    var reader = ByteReader(head, file: file)
    let shape = try readHeader(&reader, ranks: ranks)
    let expected = reader.offset + shape.count
    let limit =
      isCompressed ? MemoryLimit.expanded(bytes.count) : InputFile.defaultLimit
    guard shape.count <= limit else {
      throw SwiftletError(
        .badInput, "shape \(shape) exceeds the limit of \(limit) bytes", at: "\(file), byte 4",
        fix: isCompressed ? "expand the file first" : nil)
    }
    let content =
      isCompressed ? try Gzip.inflate(bytes, file: file, limit: expected) : bytes
    guard content.count == expected else {
      throw SwiftletError(
        .badInput, "shape \(shape) needs \(expected) bytes, but the file has \(content.count)",
        at: file, fix: "get a fresh copy")
    }
    return Tensor(shape, bytes: content.span.extracting(reader.offset..<expected))
  }

  private static func readHeader(
    _ reader: inout ByteReader, ranks: ClosedRange<Int>
  ) throws -> Shape {
    let start = reader
    let magic: UInt32 = try reader.bigEndian()
    let (dtype, rank) = (magic >> 8, Int(magic & 0xFF))
    switch dtype {
    case 0x08: break
    case 0x09, 0x0B, 0x0C, 0x0D, 0x0E:
      throw SwiftletError(
        .unsupported,
        "idx element type 0x0\(String(dtype, radix: 16, uppercase: true)) is not supported",
        at: "\(reader.file), byte 2", fix: "convert the file to unsigned bytes, type 0x08")
    default:
      throw start.error("this is not an idx file: it starts with 0x\(String(magic, radix: 16))")
    }
    guard ranks.contains(rank) else {
      throw start.error("the idx tensor has rank \(rank), but rank \(ranks) is expected")
    }
    let dimensions = try (0..<rank).map { _ in Int(try reader.bigEndian(UInt32.self)) }
    return try locating("\(reader.file), byte 4") { try Shape(checking: dimensions) }
  }

  /// Writes a tensor uncompressed, completely or not at all.
  ///
  /// - Throws: `io` naming the path; `unsupported` as ``encode(_:)``.
  public static func write(_ tensor: Tensor<UInt8>, to path: String) throws {
    try AtomicFile.write(try encode(tensor), to: path)
  }

  /// The bytes of an idx file with `tensor`.
  ///
  /// - Throws: `unsupported` if the rank is not 1 to 4 or an extent exceeds 32 bits.
  public static func encode(_ tensor: Tensor<UInt8>) throws -> [UInt8] {
    guard 1...4 ~= tensor.shape.rank, tensor.shape.dimensions.allSatisfy({ $0 <= UInt32.max })
    else { throw SwiftletError(.unsupported, "idx cannot hold shape \(tensor.shape)") }
    var bytes: [UInt8] = [0, 0, 0x08, UInt8(tensor.shape.rank)]
    for extent in tensor.shape.dimensions {
      for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: extent >> shift)) }
    }
    tensor.appendBytes(to: &bytes)
    return bytes
  }
}
