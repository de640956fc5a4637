// SPDX-License-Identifier: Apache-2.0

internal import CSwiftletABI
import SwiftletCore
import SwiftletData
import SwiftletFormats

/// Samples in the program's memory, or that its callback writes.
struct Samples {
  /// The samples as a data set.
  let data: ImageDataset
  /// Arrays that are the same for all samples.
  let fixed: [String: FixedInput]

  /// - Parameter name: The argument's name, for errors.
  /// - Returns: `nil` for NULL.
  /// - Throws: A ``Refusal`` for wrong pointers, counts and sizes; `badInput` for negative labels.
  init?(
    _ pointer: UnsafePointer<swiftlet_samples>?, _ name: String, _ callbacks: Callbacks
  ) throws {
    guard let given = try unsafe Options.read(pointer, name) else { return nil }
    let limit = 1...Arguments.limit
    let count = try unsafe Arguments.extent(Int64(given.count), "\(name).count", in: limit)
    let classCount = try unsafe Arguments.extent(Int64(given.class_count), "\(name).class_count")
    guard unsafe given.array_count != 0, let arrays = unsafe given.arrays else {
      throw Refusal.usage("\(name) has no arrays", fix: "give one for each input of the model")
    }
    let arrayCount = try unsafe Arguments.extent(
      Int64(given.array_count), "\(name).array_count", in: limit)
    var sampled: [String: StoredArray] = [:]
    var fixed: [String: FixedInput] = [:]
    for index in 0..<arrayCount {
      let array = unsafe arrays[index]
      let input = try unsafe array.input.map { try unsafe Arguments.text($0, "the input") } ?? ""
      guard sampled[input] == nil, fixed[input] == nil else {
        throw Refusal.usage("input '\(input)' has two arrays", at: name)
      }
      try locating("\(name), array '\(input)'") {
        let shape = try unsafe Arguments.shape(array.shape, rank: array.rank)
        if unsafe array.data == nil, unsafe array.byte_count == 0, shape.count > 0 {
          sampled[input] = try unsafe Self.filled(index, array.dtype, shape, given, callbacks)
          return
        }
        let tensor = try unsafe Self.tensor(array, shape)
        if unsafe array.is_fixed != 0 {
          fixed[input] = .array(tensor)
        } else {
          sampled[input] = StoredArray(tensor)
        }
      }
    }
    self.fixed = fixed
    let text = try unsafe given.name.map { try unsafe Arguments.text($0, "\(name).name") }
    guard let labels = unsafe given.labels else {
      data = ImageDataset(name: text ?? "samples", arrays: InputArrays(sampled))
      try Self.check(data, count, name)
      return
    }
    let classes = unsafe UnsafeBufferPointer(start: labels, count: count).map { Int($0) }
    let largest = classes.max() ?? 0
    guard largest < 1 << 20 else {
      throw Refusal.usage(
        "\(name).labels has a label \(largest)",
        fix: "number classes from 0 on, below \(1 << 20)")
    }
    data = try ImageDataset(
      name: text ?? "samples", arrays: InputArrays(sampled), labels: classes,
      classCount: classCount > 0 ? classCount : max(0, largest) + 1)
    try Self.check(data, count, name)
  }

  private static func check(_ data: ImageDataset, _ count: Int, _ name: String) throws {
    guard data.count == count else {
      throw Refusal.usage(
        "\(name).count is \(count), but the arrays have \(data.count) rows",
        fix: "put samples along the first axis, and set is_fixed for arrays without samples")
    }
  }

  /// An array in memory; copied if its elements share bytes.
  private static func tensor(_ array: swiftlet_array, _ shape: Shape) throws -> AnyTensor {
    let (dtype, size) = try unsafe (DType(array.dtype), array.byte_count)
    // Nothing lies at NULL.
    guard size == dtype.packedByteCount(shape.count), unsafe size == 0 || array.data != nil else {
      throw Refusal.usage("\(size) bytes are given as \(dtype) \(shape)")
    }
    let memory = unsafe UnsafeRawBufferPointer(start: array.data, count: size)
    return try unsafe AnyTensor.borrowing(memory, dtype, shape)
      ?? AnyTensor(dtype, shape, bytes: Span<UInt8>(_unsafeBytes: memory))
  }

  /// An array that a callback fills.
  private static func filled(
    _ index: Int, _ dtype: swiftlet_dtype, _ shape: Shape, _ given: swiftlet_samples,
    _ callbacks: Callbacks
  ) throws -> StoredArray {
    guard let fill = unsafe given.fill else {
      throw Refusal.usage("data and fill are NULL", fix: "give one of them")
    }
    let dtype = try DType(dtype)
    guard dtype.bitCount >= 8 else {
      throw SwiftletError(
        .unsupported, "elements of \(dtype) share bytes", fix: "give them in memory, or as int8")
    }
    guard shape.rank > 0, unsafe shape[0] == given.count else {
      throw Refusal.usage("the shape is \(shape)", fix: "its first extent is the number of samples")
    }
    let writer = unsafe Writer(function: fill, context: given.context, array: index)
    let rowShape = Array(shape.dimensions.dropFirst())
    return try StoredArray(dtype, shape) { rows in
      let shape = Shape([rows.count] + rowShape)
      let result = AnyTensor(uninitialized: dtype == .bool ? .uint8 : dtype, shape)
      try callbacks.run { unsafe writer.write(rows, to: result.unsafeStart) }
      // Any byte but 0 is true.
      guard dtype == .bool, case .uint8(let bytes) = result else { return result }
      return AnyTensor(.bool, shape, bytes: bytes.span)
    }
  }

  /// What writes the samples of one array.
  ///
  /// `@unchecked Sendable`: the caller must guard what `context` points to.
  @safe
  private struct Writer: @unchecked Sendable {
    let function: swiftlet_fill
    let context: UnsafeMutableRawPointer?
    let array: Int

    func write(_ rows: Range<Int>, to target: UnsafeMutableRawPointer) -> Int32 {
      unsafe function(array, rows.lowerBound, rows.count, target, context)
    }
  }
}
