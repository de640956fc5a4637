// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
import SwiftletFiles

/// Single arrays in NumPy's npy format.
///
/// Little-endian arrays, row-major or column-major, of the element types that tensors support.
/// 16-bit floats become fp32. Compact types, which NumPy lacks, are written as int8, uint8 or fp32.
/// Pickled objects are rejected: reading them would execute code.
///
/// - Source: numpy.lib.format, versions 1.0 to 3.0.
public enum NPY {
  private static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
  /// NumPy's own limit.
  static let headerLimit = 10_000

  private static let codes: [(code: String, dtype: DType)] = [
    ("<f4", .float32), ("<f8", .float64), ("|i1", .int8), ("|u1", .uint8), ("<i2", .int16),
    ("<u2", .uint16), ("<i4", .int32), ("<u4", .uint32), ("<i8", .int64), ("<u8", .uint64),
    ("|b1", .bool),
  ]
  private static let halfCode = "<f2"

  // MARK: Reading

  /// - Throws: `io` or `badInput` naming the file, `unsupported` for other element types.
  public static func read(_ path: String) throws -> AnyTensor {
    try locating(path) { try decode(InputFile.read(path)) }
  }

  /// Reads an array from the bytes of a file.
  public static func decode(_ bytes: [UInt8]) throws -> AnyTensor { try decode(bytes[...]) }

  static func decode(_ bytes: ArraySlice<UInt8>) throws -> AnyTensor {
    let head = Array(bytes.prefix(12))
    guard head.count >= 10, head.starts(with: magic), 1...3 ~= head[6], head[7] == 0 else {
      throw SwiftletError(.badInput, "this is not an npy file")
    }
    let start = head[6] == 1 ? 10 : 12
    guard head.count >= start else {
      throw SwiftletError(.badInput, "npy: the header is truncated")
    }
    let length = head[8..<start].reversed().reduce(0) { $0 << 8 | Int($1) }
    guard length <= headerLimit, length <= bytes.count - start else {
      throw SwiftletError(
        .badInput, "npy: a header of \(length) bytes is too long for a file of \(bytes.count)")
    }
    let header = bytes.dropFirst(start).prefix(length)
    guard let text = String(validating: header, as: UTF8.self) else {
      throw SwiftletError(.badInput, "npy: the header is not text")
    }
    let array = try NPYHeader(parsing: text)
    let isHalf = array.descr == halfCode
    guard let dtype = isHalf ? .uint16 : codes.first(where: { $0.code == array.descr })?.dtype
    else {
      throw SwiftletError(
        .unsupported, "npy: elements of type '\(array.descr)' are not supported",
        fix: "use one of " + codes.map(\.code).joined(separator: ", "))
    }
    let shape = try Shape(checking: array.shape)
    let (size, overflow) = shape.count.multipliedReportingOverflow(by: dtype.byteCount)
    let data = bytes.span.extracting((start + length)...)
    guard !overflow, data.count == size else {
      throw SwiftletError(
        .badInput, "npy: \(data.count) bytes of data do not match \(dtype) \(shape)")
    }
    let stored = array.isColumnMajor ? Shape(shape.dimensions.reversed()) : shape
    let elements: AnyTensor =
      isHalf
      ? .float32(Tensor<UInt16>(stored, bytes: data).map { Float(Float16(bitPattern: $0)) })
      : AnyTensor(dtype, stored, bytes: data)
    return array.isColumnMajor ? elements.transposed() : elements
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

extension AnyTensor {
  /// The elements with the axes in reverse order, packed.
  fileprivate func transposed() -> AnyTensor {
    func opened<Element: TensorElement>(_: Element.Type) -> AnyTensor {
      let tensor: Tensor<Element> = typed()!
      return AnyTensor(tensor.permuted(to: tensor.shape.dimensions.indices.reversed()).contiguous())
    }
    return opened(dtype.elementType)
  }
}
