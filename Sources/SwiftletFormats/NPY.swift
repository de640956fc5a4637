public import SwiftletCore

/// Single arrays in NumPy's npy format.
///
/// Row-major, little-endian arrays of the element types that tensors have. 16-bit floats become fp32.
/// Narrow types, which NumPy does not have, are written as int8, uint8 or fp32. Pickled objects are
/// refused: reading them would run code.
///
/// - Source: numpy.lib.format, versions 1.0 to 3.0.
public enum NPY {
  private static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
  /// As NumPy's own limit.
  static let headerLimit = 10_000

  private static let codes: [(code: String, dtype: DType)] = [
    ("<f4", .float32), ("<f8", .float64), ("|i1", .int8), ("|u1", .uint8), ("<i2", .int16),
    ("<u2", .uint16), ("<i4", .int32), ("<u4", .uint32), ("<i8", .int64), ("<u8", .uint64),
    ("|b1", .bool),
  ]
  private static let halfCode = "<f2"

  // MARK: Reading

  /// - Throws: `io` or `badInput` naming the file, `unsupported` for other element types and
  ///   column-major arrays.
  public static func read(_ path: String) throws -> AnyTensor {
    try locating(path) { try parse(InputFile.read(path)) }
  }

  /// Reads an array from the bytes of a file.
  public static func parse(_ bytes: [UInt8]) throws -> AnyTensor {
    guard bytes.count >= 10, bytes.starts(with: magic), 1...3 ~= bytes[6] else {
      throw SwiftletError(.badInput, "this is no npy file")
    }
    let lengthBytes = bytes[6] == 1 ? 2 : 4
    let start = 8 + lengthBytes
    guard bytes.count >= start else { throw SwiftletError(.badInput, "npy: the header is cut off") }
    let length = bytes[8..<start].reversed().reduce(0) { $0 << 8 | Int($1) }
    guard length <= headerLimit, length <= bytes.count - start else {
      throw SwiftletError(.badInput, "npy: a header of \(length) bytes in \(bytes.count)")
    }
    let header = try NPYHeader(
      parsing: String(decoding: bytes[start..<start + length], as: UTF8.self))
    let isHalf = header.descr == halfCode
    guard let dtype = isHalf ? .uint16 : codes.first(where: { $0.code == header.descr })?.dtype
    else {
      throw SwiftletError(
        .unsupported, "npy: elements of type '\(header.descr)'",
        mend: "use one of " + codes.map(\.code).joined(separator: ", "))
    }
    guard !header.isColumnMajor else {
      throw SwiftletError(
        .unsupported, "npy: a column-major array", mend: "save numpy.ascontiguousarray(array)")
    }
    let shape = try Shape(checking: header.shape)
    let (size, overflow) = shape.count.multipliedReportingOverflow(by: dtype.byteCount)
    let data = bytes.span.extracting((start + length)...)
    guard !overflow, data.count == size else {
      throw SwiftletError(.badInput, "npy: \(data.count) bytes of data for \(dtype) \(shape)")
    }
    guard isHalf else { return AnyTensor(dtype, shape, bytes: data) }
    return .float32(
      Tensor<UInt16>(shape, bytes: data).map { Float(Float16(bitPattern: $0)) })
  }

  // MARK: Writing

  /// The bytes of an npy file, version 1.0.
  ///
  /// - Precondition: The rank is below 1000, so that the header fits.
  public static func serialized(_ tensor: AnyTensor) -> [UInt8] {
    let tensor = tensor.converted(to: tensor.dtype.computable)
    let code = codes.first { $0.dtype == tensor.dtype }!.code
    let extents = tensor.shape.dimensions.map { "\($0)," }.joined(separator: " ")
    var header = "{'descr': '\(code)', 'fortran_order': False, 'shape': (\(extents)), }"
    let unpadded = magic.count + 4 + header.utf8.count + 1
    header += String(repeating: " ", count: unpadded.roundedUp(to: 64) - unpadded) + "\n"
    let length = header.utf8.count
    precondition(length <= headerLimit, "an npy header for \(tensor.shape)")
    var bytes = magic + [1, 0, UInt8(length & 0xff), UInt8(length >> 8)] + Array(header.utf8)
    tensor.appendBytes(to: &bytes)
    return bytes
  }
}

/// The dictionary at the start of an npy file, written as a Python literal.
private struct NPYHeader {
  let descr: String
  let isColumnMajor: Bool
  let shape: [Int]

  init(parsing text: String) throws {
    var rest = text.filter { $0 != " " && $0 != "\n" && $0 != "\t" }[...]
    func malformed() -> SwiftletError { SwiftletError(.badInput, "npy: the header is malformed") }
    func take(_ token: String) throws {
      guard rest.hasPrefix(token) else { throw malformed() }
      rest = rest.dropFirst(token.count)
    }
    func takeThrough(_ end: Character) throws -> Substring {
      guard let index = rest.firstIndex(of: end) else { throw malformed() }
      defer { rest = rest[rest.index(after: index)...] }
      return rest[..<index]
    }
    var descr: String?
    var isColumnMajor: Bool?
    var shape: [Int]?
    try take("{")
    while !rest.hasPrefix("}") {
      try take("'")
      switch try takeThrough("'") {
      case "descr" where descr == nil:
        try take(":'")
        descr = String(try takeThrough("'"))
      case "fortran_order" where isColumnMajor == nil:
        try take(":")
        isColumnMajor = rest.hasPrefix("True")
        try take(isColumnMajor == true ? "True" : "False")
      case "shape" where shape == nil:
        try take(":(")
        shape = try takeThrough(")").split(separator: ",").map {
          guard let extent = Int($0) else { throw malformed() }
          return extent
        }
      default: throw malformed()
      }
      if rest.hasPrefix(",") { try take(",") }
    }
    guard rest == "}", let descr, let isColumnMajor, let shape else { throw malformed() }
    (self.descr, self.isColumnMajor, self.shape) = (descr, isColumnMajor, shape)
  }
}
