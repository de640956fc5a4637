public import SwiftletCore

/// The idx format of MNIST and its kin: unsigned bytes in up to 4 dimensions.
///
/// Layout: two zero bytes, the type (0x08), the rank, one big-endian 32-bit extent per dimension,
/// the elements. Files may be compressed by gzip.
public enum IDX {
  /// Larger files are refused, as are gzip files that unpack to more.
  static let byteLimit = 2 << 30

  /// - Throws: `badInput` naming the file for a wrong magic number, type or length.
  public static func read(_ path: String) throws -> Tensor<UInt8> {
    try locating(path) {
      let file = try InputFile.read(path, limit: byteLimit)
      return try parse(Gzip.isCompressed(file) ? Gzip.inflate(file, limit: byteLimit) : file)
    }
  }

  static func parse(_ bytes: [UInt8]) throws -> Tensor<UInt8> {
    guard bytes.count >= 4, bytes[0] == 0, bytes[1] == 0 else {
      let magic = bytes.prefix(4).map { String($0, radix: 16) }.joined(separator: " ")
      throw SwiftletError(
        .badInput, "wrong magic number [\(magic)]", mend: "an idx file starts with 00 00 08")
    }
    guard bytes[2] == 8 else {
      throw SwiftletError(
        .unsupported, "idx elements of type 0x\(String(bytes[2], radix: 16))",
        mend: "only unsigned bytes (0x8) are supported")
    }
    let rank = Int(bytes[3])
    guard 1...4 ~= rank, bytes.count >= 4 + 4 * rank else {
      throw SwiftletError(
        .badInput, "an idx header of rank \(rank) does not fit into \(bytes.count) bytes")
    }
    let extents = (0..<rank).map { axis in
      bytes[4 + 4 * axis..<8 + 4 * axis].reduce(0) { $0 << 8 | Int($1) }
    }
    let shape = try Shape(checking: extents)
    let start = 4 + 4 * rank
    guard bytes.count - start == shape.count else {
      throw SwiftletError(
        .badInput,
        "\(bytes.count - start) bytes of elements, but the header says \(shape) = \(shape.count)",
        mend: "the file is cut off or has trailing bytes")
    }
    return Tensor(shape, bytes: bytes.span.extracting(start...))
  }

  /// The bytes of an idx file.
  ///
  /// - Precondition: Rank 1 to 4, extents below 2³².
  public static func serialized(_ tensor: Tensor<UInt8>) -> [UInt8] {
    precondition(1...4 ~= tensor.shape.rank, "an idx file has rank 1 to 4, not \(tensor.shape)")
    var bytes: [UInt8] = [0, 0, 8, UInt8(tensor.shape.rank)]
    for extent in tensor.shape.dimensions {
      let word = UInt32(extent)
      bytes += [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: word >> $0) }
    }
    tensor.appendBytes(to: &bytes)
    return bytes
  }
}
