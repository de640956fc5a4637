// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
import SwiftletFiles

/// Single arrays in NumPy's npy format.
///
/// Arrays of the element types that tensors support, row-major or column-major, in either byte
/// order; written row-major and little-endian. 16-bit floats become fp32. Compact types, which
/// NumPy lacks, are written as int8, uint8 or fp32. Pickled objects
/// are rejected: reading them would execute code.
///
/// - Source: numpy.lib.format, versions 1.0 to 3.0.
public enum NPY {
  static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
  /// NumPy's own limit.
  static let headerLimit = 10_000

  static let codes: [(code: String, dtype: DType)] = [
    ("<f4", .float32), ("<f8", .float64), ("|i1", .int8), ("|u1", .uint8), ("<i2", .int16),
    ("<u2", .uint16), ("<i4", .int32), ("<u4", .uint32), ("<i8", .int64), ("<u8", .uint64),
    ("|b1", .bool),
  ]
  static let halfCode = "<f2"

  // MARK: Reading

  /// - Throws: `io` or `badInput` naming the file, `unsupported` for other element types.
  public static func read(_ path: String) throws -> AnyTensor {
    try locating(path) { try decode(InputFile.read(path)) }
  }

  /// Reads an array from the bytes of a file.
  public static func decode(_ bytes: [UInt8]) throws -> AnyTensor { try decode(bytes[...]) }

  static func decode(_ bytes: ArraySlice<UInt8>) throws -> AnyTensor {
    let layout = try NPYLayout(bytes.prefix(NPYLayout.headCount), of: bytes.count)
    return layout.tensor(bytes.span.extracting(layout.data))
  }

  // MARK: Writing

  /// The bytes of an npy file, version 1.0; with `asHalf`, fp32 elements are rounded to 16-bit
  /// floats.
  ///
  /// - Precondition: The rank is below 1000, so that the header fits.
  public static func encode(_ tensor: AnyTensor, asHalf: Bool = false) -> [UInt8] {
    var tensor = tensor.converted(to: tensor.dtype.computable)
    var code = codes.first { $0.dtype == tensor.dtype }!.code
    if asHalf, case .float32(let wide) = tensor {
      (tensor, code) = (.uint16(wide.map { Float16($0).bitPattern }), halfCode)
    }
    var bytes = head(code, tensor.shape)
    tensor.appendBytes(to: &bytes)
    return bytes
  }

  /// The bytes of an npy file with a vector of texts, of NumPy's type `<U`, which only other
  /// programs read. NumPy ends texts at their last character that is not NUL.
  static func encode(_ texts: [String]) -> [UInt8] {
    let width = max(1, texts.lazy.map(\.unicodeScalars.count).max() ?? 1)
    var bytes = head("<U\(width)", [texts.count])
    bytes.reserveCapacity(bytes.count + 4 * width * texts.count)
    for text in texts {
      let end = bytes.count + 4 * width
      for scalar in text.unicodeScalars {
        for byte in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: scalar.value >> (8 * byte))) }
      }
      bytes += [UInt8](repeating: 0, count: end - bytes.count)
    }
    return bytes
  }

  /// Everything before the elements.
  private static func head(_ code: String, _ shape: Shape) -> [UInt8] {
    let extents = shape.dimensions.map { "\($0)," }.joined(separator: " ")
    var header = "{'descr': '\(code)', 'fortran_order': False, 'shape': (\(extents)), }"
    let unpadded = magic.count + 4 + header.utf8.count + 1
    header += String(repeating: " ", count: unpadded.roundedUp(to: 64) - unpadded) + "\n"
    let length = header.utf8.count
    precondition(length <= headerLimit, "an npy header for \(shape)")
    return magic + [1, 0, UInt8(length & 0xff), UInt8(length >> 8)] + Array(header.utf8)
  }
}
