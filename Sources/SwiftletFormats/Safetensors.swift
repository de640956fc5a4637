import FoundationEssentials
public import OrderedCollections
public import SwiftletCore

/// Named tensors in the safetensors format: an 8-byte length, a JSON header, the bytes.
///
/// As strict as the format's own reference: no duplicate names, and the tensors must cover the
/// data to the last byte without holes or overlaps.
///
/// - Source: https://github.com/huggingface/safetensors (format description).
public struct Safetensors: Sendable {
  public var tensors: OrderedDictionary<String, AnyTensor>
  public var metadata: [String: String]

  static let headerLimit = 100_000_000
  private static let metadataKey = "__metadata__"

  public init(
    tensors: OrderedDictionary<String, AnyTensor>, metadata: [String: String] = [:]
  ) {
    self.tensors = tensors
    self.metadata = metadata
  }

  // MARK: Reading

  /// - Throws: `badInput` saying what is wrong with the file, `unsupported` for an element type
  ///   that no tensor here has.
  public init(parsing bytes: [UInt8]) throws {
    guard bytes.count >= 8 else { throw Self.damaged("\(bytes.count) bytes hold no header") }
    let length = bytes[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length <= UInt64(Self.headerLimit), Int(length) <= bytes.count - 8 else {
      throw Self.damaged("the header's length is \(length), the file's \(bytes.count)")
    }
    let start = 8 + Int(length)
    guard bytes.count > 8, bytes[8] == UInt8(ascii: "{") else {
      throw Self.damaged("the header does not start with '{'")
    }
    let header = try StrictJSON(parsing: bytes.span.extracting(8..<start))
    guard case .object(let members) = header else { throw Self.damaged("the header is no object") }
    self.init(tensors: [:])
    var entries: [Entry] = []
    for (name, value) in members {
      if name == Self.metadataKey {
        metadata = try Self.metadata(value)
      } else {
        entries.append(try Entry(name, value))
      }
    }
    // In the order of the data every tensor must start where the one before ends.
    entries.sort { ($0.range.lowerBound, $0.range.upperBound, $0.name) < ($1.range.lowerBound, $1.range.upperBound, $1.name) }
    var end = 0
    for entry in entries {
      guard entry.range.lowerBound == end else {
        throw Self.damaged("tensor '\(entry.name)' starts at \(entry.range.lowerBound), not \(end)")
      }
      end = entry.range.upperBound
      guard end <= bytes.count - start else {
        throw Self.damaged("tensor '\(entry.name)' ends at \(end), after the file's end")
      }
      let data = bytes.span.extracting(start + entry.range.lowerBound..<start + end)
      tensors[entry.name] = AnyTensor(entry.dtype, entry.shape, bytes: data)
    }
    guard end == bytes.count - start else {
      throw Self.damaged("\(bytes.count - start - end) bytes after the last tensor")
    }
  }

  private static func damaged(_ what: String) -> SwiftletError {
    SwiftletError(.badInput, "safetensors: \(what)")
  }

  private static func metadata(_ value: StrictJSON) throws -> [String: String] {
    guard case .object(let members) = value else { throw damaged("\(metadataKey) is no object") }
    return try members.mapValues {
      guard case .string(let text) = $0 else { throw damaged("\(metadataKey) holds no text") }
      return text
    }
  }

  /// What the header says about one tensor.
  private struct Entry {
    let name: String
    let dtype: DType
    let shape: Shape
    let range: Range<Int>

    init(_ name: String, _ value: StrictJSON) throws {
      self.name = name
      guard case .object(let members) = value, members.count == 3,
        case .string(let type)? = members["dtype"], case .array(let extents)? = members["shape"],
        case .array(let offsets)? = members["data_offsets"], offsets.count == 2,
        case .integer(let lower) = offsets[0], case .integer(let upper) = offsets[1],
        0 <= lower, lower <= upper
      else { throw damaged("tensor '\(name)' is described wrongly") }
      guard let dtype = Safetensors.typeNames.first(where: { $0.value == type })?.key else {
        throw SwiftletError(.unsupported, "safetensors: elements of type '\(type)'", at: name)
      }
      let dimensions = try extents.map {
        guard case .integer(let extent) = $0 else {
          throw damaged("tensor '\(name)' has an extent that is no number")
        }
        return extent
      }
      self.dtype = dtype
      shape = try locating(name) { try Shape(checking: dimensions) }
      let (bytes, overflow) = shape.count.multipliedReportingOverflow(by: dtype.byteCount)
      guard !overflow, bytes == upper - lower else {
        throw damaged("tensor '\(name)' is \(dtype) \(shape) in \(upper - lower) bytes")
      }
      range = lower..<upper
    }
  }

  private static let typeNames: [DType: String] = [
    .float32: "F32", .float64: "F64", .int8: "I8", .uint8: "U8", .int32: "I32", .int64: "I64",
  ]

  // MARK: Writing

  /// The file's bytes: the same for the same content, whatever the order of insertion.
  public func serialized() throws -> [UInt8] {
    struct Description: Encodable {
      let dtype: String
      let shape: [Int]
      let data_offsets: [Int]
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Wide elements first keeps every tensor aligned, as the reference does.
    let order = tensors.sorted {
      ($1.value.dtype.byteCount, $0.key) < ($0.value.dtype.byteCount, $1.key)
    }
    var descriptions: [String: Description] = [:]
    var offset = 0
    for (name, tensor) in order {
      descriptions[name] = Description(
        dtype: Self.typeNames[tensor.dtype]!, shape: tensor.shape.dimensions,
        data_offsets: [offset, offset + tensor.byteCount])
      offset += tensor.byteCount
    }
    var header = Array(try encoder.encode(descriptions))
    if !metadata.isEmpty {
      let text = Array("{\"\(Self.metadataKey)\":".utf8) + Array(try encoder.encode(metadata))
      header = text + (descriptions.isEmpty ? [] : [UInt8(ascii: ",")]) + header.dropFirst()
    }
    header += [UInt8](repeating: UInt8(ascii: " "), count: header.count.roundedUp(to: 8) - header.count)
    var bytes = littleEndian(of: header.count) + header
    bytes.reserveCapacity(bytes.count + offset)
    for (_, tensor) in order { bytes += tensor.bytes }
    return bytes
  }

  private func littleEndian(of count: Int) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) }
  }
}
