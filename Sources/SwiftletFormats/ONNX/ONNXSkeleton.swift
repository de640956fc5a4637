import SwiftletCore
import SwiftletONNXSchema

/// A model's bytes without the elements of its tensors, which stay where they lie in the file: the
/// library that reads the rest would copy them all.
///
/// In place of the elements, tensors have the fields `elements_…`, which say where those are.
struct ONNXSkeleton {
  private(set) var bytes: [UInt8] = []

  /// The messages of ONNX on the way from a model to its tensors.
  private enum Message {
    case model, graph, node, attribute, tensor

    /// The message that a field holds, if tensors are to be found in it.
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

  /// Graphs nest no deeper than this: 64 of them, each an attribute of a node of the one before.
  static let depthLimit = 3 * 64

  /// - Throws: `badInput` if the bytes are no protobuf messages.
  init(_ file: Span<UInt8>) throws {
    var fields = WireFields(0..<file.count)
    try copy(.model, file, &fields, depth: 0)
  }

  private mutating func copy(
    _ message: Message, _ file: Span<UInt8>, _ fields: inout WireFields, depth: Int
  ) throws {
    // A node, its attribute and a tensor there may follow the last graph.
    guard depth < Self.depthLimit + (message == .graph ? 0 : 3) else {
      throw SwiftletError(.badInput, "the model's graphs are nested too deeply")
    }
    if message == .tensor { return try copyTensor(file, &fields) }
    while let field = try fields.next(file) {
      guard field.hasLength, let inner = message.inner(field.number) else {
        append(file, field.whole)
        continue
      }
      // The length of what is inside is known when it is there.
      let start = bytes.count
      var parts = WireFields(field.payload)
      try copy(inner, file, &parts, depth: depth + 1)
      var head: [UInt8] = []
      Self.appendVarint(UInt64(field.number) << 3 | 2, to: &head)
      Self.appendVarint(UInt64(bytes.count - start), to: &head)
      bytes.insert(contentsOf: head, at: start)
    }
  }

  /// The fields of a tensor that hold elements as they lie in memory.
  static let floatData = 4
  static let rawData = 9
  private static let doubleData = 10

  private mutating func copyTensor(_ file: Span<UInt8>, _ fields: inout WireFields) throws {
    var elements: [WireFields.Field] = []
    while let field = try fields.next(file) {
      switch field.number {
      case Self.floatData, Self.rawData, Self.doubleData:
        // Numbers one by one stay in the message, as do fields of a kind that is none of these.
        if field.hasLength { elements.append(field) } else { append(file, field.whole) }
      case 536_870_909...: break
      default: append(file, field.whole)
      }
    }
    guard let data = elements.first(where: { $0.number == Self.rawData }) ?? elements.first else {
      return
    }
    guard elements.count == 1 else {
      throw SwiftletError(.badInput, "a tensor has its elements in \(elements.count) parts")
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

/// The fields of a protobuf message, one after the other, without looking into them.
///
/// - Source: the Protocol Buffers encoding, <https://protobuf.dev/programming-guides/encoding>.
private struct WireFields {
  struct Field {
    let number: Int
    /// Whether the value is a length and so many bytes.
    let hasLength: Bool
    /// Where the field lies in the file, with its tag, and where its value does.
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
