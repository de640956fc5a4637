// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// What an npy file contains, and where: its header, checked against the size of the file.
struct NPYLayout {
  let elements: StoredElements
  let shape: Shape
  /// Whether the first axis varies fastest.
  let isColumnMajor: Bool
  /// Where the elements are.
  let data: Range<Int>

  /// The bytes from the start of a file that are enough to know its layout.
  static let headCount = 12 + NPY.headerLimit

  /// - Parameters:
  ///   - head: The first ``headCount`` bytes of the file, or all if there are fewer.
  ///   - count: The size of the file in bytes.
  /// - Throws: `badInput` if the file is not npy, damaged, or of another size than its header says;
  ///   `unsupported` for other element types.
  init(_ head: ArraySlice<UInt8>, of count: Int) throws {
    let fixed = Array(head.prefix(12))
    guard fixed.count >= 10, fixed.starts(with: NPY.magic), 1...3 ~= fixed[6], fixed[7] == 0 else {
      throw SwiftletError(.badInput, "this is not an npy file")
    }
    let start = fixed[6] == 1 ? 10 : 12
    guard fixed.count >= start else {
      throw SwiftletError(.badInput, "npy: the header is truncated")
    }
    let length = fixed[8..<start].reversed().reduce(0) { $0 << 8 | Int($1) }
    guard length <= NPY.headerLimit, length <= count - start else {
      throw SwiftletError(
        .badInput, "npy: a header of \(length) bytes is too long for a file of \(count)")
    }
    guard
      let text = String(validating: head.dropFirst(start).prefix(length), as: UTF8.self)
    else { throw SwiftletError(.badInput, "npy: the header is not text") }
    let header = try NPYHeader(parsing: text)
    elements = try Self.elements(header.descr)
    shape = try Shape(checking: header.shape)
    isColumnMajor = header.isColumnMajor
    let (size, overflow) = shape.count.multipliedReportingOverflow(by: elements.byteCount)
    data = start + length..<count
    guard !overflow, data.count == size else {
      throw SwiftletError(
        .badInput, "npy: \(data.count) bytes of data do not match \(elements.dtype) \(shape)")
    }
  }

  private static func elements(_ descr: String) throws -> StoredElements {
    let isBigEndian = descr.hasPrefix(">")
    let code = isBigEndian ? "<" + descr.dropFirst() : descr
    if code == NPY.halfCode {
      return StoredElements(dtype: .float32, half: .float16, isBigEndian: isBigEndian)
    }
    guard let dtype = NPY.codes.first(where: { $0.code == code })?.dtype else {
      let isText = descr.contains { "SUO".contains($0) }
      throw SwiftletError(
        .unsupported, "npy: elements of type '\(descr)' are not supported",
        fix: isText
          ? "save numbers, such as numpy.unique(names, return_inverse=True)[1]"
          : "use one of " + NPY.codes.map(\.code).joined(separator: ", "))
    }
    return StoredElements(dtype: dtype, isBigEndian: isBigEndian)
  }

  /// Whether rows along the first axis are stored one after the other.
  var isByRows: Bool {
    !isColumnMajor || shape.dimensions.count { $0 != 1 } <= 1 || shape.count == 0
  }

  /// The whole array.
  ///
  /// - Precondition: There are as many bytes as ``data`` says.
  func tensor(_ bytes: Span<UInt8>) -> AnyTensor {
    let stored = isColumnMajor ? Shape(shape.dimensions.reversed()) : shape
    let array = elements.tensor(stored, bytes)
    return isColumnMajor ? array.transposed() : array
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
