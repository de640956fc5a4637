// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletONNXSchema

/// A model's bytes without the elements of its tensors, which remain in the file: the protobuf
/// library would copy all of them.
///
/// Instead of elements, tensors have the fields `elements_…` with their locations.
struct ONNXSkeleton {
  private(set) var bytes: [UInt8] = []

  /// The ONNX messages on the path from a model to its tensors.
  private enum Message {
    case model, graph, node, attribute, tensor

    /// The message type of a field, if it can contain tensors.
    func inner(_ field: Int) -> Message? {
      switch (self, field) {
      case (.model, 7): .graph
      case (.graph, 1): .node
      case (.graph, 5): .tensor
      case (.node, 5): .attribute
      case (.attribute, 5): .tensor
      case (.attribute, 6): .graph
      default: nil
      }
    }
  }

  /// The maximum nesting of graphs: 64, each in an attribute of a node of the previous one.
  static let depthLimit = 3 * 64

  /// - Throws: `badInput` if the bytes are not protobuf messages.
  init(_ file: Span<UInt8>) throws {
    var fields = WireFields(0..<file.count)
    try copy(.model, file, &fields, depth: 0)
  }

  private mutating func copy(
    _ message: Message, _ file: Span<UInt8>, _ fields: inout WireFields, depth: Int
  ) throws {
    // A node, its attribute and a tensor in it may follow the innermost graph.
    guard depth < Self.depthLimit + (message == .graph ? 0 : 3) else {
      throw SwiftletError(.badInput, "the model's graphs are nested too deeply")
    }
    if message == .tensor { return try copyTensor(file, &fields) }
    while let field = try fields.next(file) {
      guard field.hasLength, let inner = message.inner(field.number) else {
        append(file, field.whole)
        continue
      }
      // The length is known only after the content is written.
      let start = bytes.count
      var parts = WireFields(field.payload)
      try copy(inner, file, &parts, depth: depth + 1)
      var head: [UInt8] = []
      Self.appendVarint(UInt64(field.number) << 3 | 2, to: &head)
      Self.appendVarint(UInt64(bytes.count - start), to: &head)
      bytes.insert(contentsOf: head, at: start)
    }
  }

  /// The tensor fields that hold elements in their memory layout.
  static let floatData = 4
  static let rawData = 9
  private static let doubleData = 10

  private mutating func copyTensor(_ file: Span<UInt8>, _ fields: inout WireFields) throws {
    var elements: [WireFields.Field] = []
    while let field = try fields.next(file) {
      switch field.number {
      case Self.floatData, Self.rawData, Self.doubleData:
        // Individual numbers stay in the message, as do all other fields.
        if field.hasLength { elements.append(field) } else { append(file, field.whole) }
      case 536_870_909...: break
      default: append(file, field.whole)
      }
    }
    guard let data = elements.first(where: { $0.number == Self.rawData }) ?? elements.first else {
      return
    }
    guard elements.count == 1 else {
      throw SwiftletError(
        .badInput, "a tensor stores its elements in \(elements.count) fields instead of one")
    }
    for (number, value) in [
      (536_870_909, data.number), (536_870_910, data.payload.lowerBound),
      (536_870_911, data.payload.upperBound),
    ] {
      Self.appendVarint(UInt64(number) << 3, to: &bytes)
      Self.appendVarint(UInt64(value), to: &bytes)
    }
  }

  private mutating func append(_ file: Span<UInt8>, _ range: Range<Int>) {
    unsafe file.extracting(range).withUnsafeBufferPointer { unsafe bytes.append(contentsOf: $0) }
  }

  private static func appendVarint(_ value: UInt64, to bytes: inout [UInt8]) {
    var rest = value
    while rest > 0x7f {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }
}

/// The fields of a protobuf message in order, without parsing their contents.
///
/// - Source: the Protocol Buffers encoding, <https://protobuf.dev/programming-guides/encoding>.
private struct WireFields {
  struct Field {
    let number: Int
    /// Whether the value is a length followed by that many bytes.
    let hasLength: Bool
    /// The ranges in the file of the field with its tag, and of its value.
    let whole, payload: Range<Int>
  }

  private var position: Int
  private let end: Int

  init(_ range: Range<Int>) { (position, end) = (range.lowerBound, range.upperBound) }

  mutating func next(_ file: Span<UInt8>) throws -> Field? {
    guard position < end else { return nil }
    let start = position
    let tag = try varint(file)
    let count: Int
    switch tag & 7 {
    case 0:
      _ = try varint(file)
      count = 0
    case 1: count = 8
    case 2: count = Int(clamping: try varint(file))
    case 5: count = 4
    default: throw Self.damaged
    }
    guard 1..<1 << 29 ~= tag >> 3, count <= end - position else { throw Self.damaged }
    let payload = position..<position + count
    position += count
    return Field(
      number: Int(tag >> 3), hasLength: tag & 7 == 2, whole: start..<position, payload: payload)
  }

  private mutating func varint(_ file: Span<UInt8>) throws -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: 0, to: 64, by: 7) {
      guard position < end else { throw Self.damaged }
      let byte = file[position]
      position += 1
      value |= UInt64(byte & 0x7f) << UInt64(shift)
      if byte < 0x80 { return value }
    }
    throw Self.damaged
  }

  private static var damaged: SwiftletError { ONNXFile.damaged }
}
