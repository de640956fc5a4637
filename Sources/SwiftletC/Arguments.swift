// SPDX-License-Identifier: Apache-2.0

internal import CSwiftletABI
import SwiftletCore

/// Checks of arguments from C.
enum Arguments {
  /// The text of a C string.
  ///
  /// - Throws: A ``Refusal`` if it is NULL, `badInput` if it is not UTF-8.
  static func text(_ pointer: UnsafePointer<CChar>?, _ name: String) throws -> String {
    guard let text = unsafe pointer else { throw Refusal.usage("\(name) is NULL") }
    guard let string = unsafe String(validatingCString: text) else {
      throw SwiftletError(.badInput, "\(name) is not UTF-8")
    }
    return string
  }

  /// The texts of an array of C strings; none for NULL.
  static func texts(
    _ pointer: UnsafePointer<UnsafePointer<CChar>?>?, _ count: Int, _ name: String
  ) throws -> [String] {
    guard let pointer = unsafe pointer else {
      guard count == 0 else { throw Refusal.usage("\(name) is NULL, but there are \(count)") }
      return []
    }
    let count = try extent(Int64(count), "the number of \(name)")
    return try (0..<count).map { try unsafe text(pointer[$0], "\(name)[\($0)]") }
  }

  /// The destination of a result.
  static func target<T>(
    _ pointer: UnsafeMutablePointer<T>?, _ name: String
  ) throws -> UnsafeMutablePointer<T> {
    guard let target = unsafe pointer else { throw Refusal.usage("\(name) is NULL") }
    return unsafe target
  }

  /// A thread count as ``Threads``; 0 is one per processor.
  static func threads(_ threads: Int32) throws -> Threads {
    guard 0...SWIFTLET_MAX_THREADS ~= threads else {
      throw Refusal.usage("threads is \(threads)", fix: "use 0 to \(SWIFTLET_MAX_THREADS)")
    }
    return threads == 0 ? .available : Threads(count: Int(threads))
  }

  /// An extent, a count or a similar number.
  static func extent(_ value: Int64, _ name: String, in range: ClosedRange<Int64> = 0...limit)
    throws -> Int
  {
    guard range ~= value else {
      throw value < range.lowerBound
        ? Refusal.usage("\(name) is \(value)", fix: "it must be at least \(range.lowerBound)")
        : SwiftletError(
          .unsupported, "\(name) is \(value), more than the limit of \(range.upperBound)")
    }
    return Int(value)
  }

  /// BLAS uses 32-bit sizes.
  static let limit = Int64(Int32.max)

  /// The shape with the given `rank` extents.
  static func shape(_ extents: UnsafePointer<Int64>?, rank: Int) throws -> Shape {
    guard rank <= Shape.rankLimit, rank >= 0 else {
      throw SwiftletError(.badInput, "a rank of \(rank) exceeds the limit of \(Shape.rankLimit)")
    }
    guard let extents = unsafe extents else {
      guard rank == 0 else { throw Refusal.usage("shape is NULL, but rank is \(rank)") }
      return .scalar
    }
    return try unsafe Shape(
      checking: UnsafeBufferPointer(start: extents, count: rank).map { Int($0) })
  }
}

/// A struct that starts with its size, so that later versions can extend it.
enum Options {
  /// The struct; `nil` for NULL.
  ///
  /// - Parameter first: The size of the struct's first version. Fields that a program does not know
  ///   yet are zero, which is the default of each. `nil`: the struct was never extended.
  /// - Throws: A ``Refusal`` for a size that is none of a version of the struct. Only the size is
  ///   read before the check.
  static func read<T>(
    _ pointer: UnsafePointer<T>?, _ name: String, first: Int? = nil
  ) throws -> T? {
    guard let pointer = unsafe pointer else { return nil }
    guard UInt(bitPattern: pointer) % UInt(MemoryLayout<T>.alignment) == 0 else {
      throw Refusal.usage("\(name) is not aligned to \(MemoryLayout<T>.alignment) bytes")
    }
    let size = unsafe UnsafeRawPointer(pointer).load(as: Int.self)
    let known = MemoryLayout<T>.stride
    guard (first ?? known)...known ~= size else {
      throw Refusal.usage("\(name).struct_size is \(size)", fix: "set it to sizeof, \(known)")
    }
    return unsafe withUnsafeTemporaryAllocation(of: T.self, capacity: 1) { whole in
      let bytes = UnsafeMutableRawBufferPointer(whole)
      for index in bytes.indices { unsafe bytes[index] = 0 }
      unsafe bytes.copyMemory(from: UnsafeRawBufferPointer(start: pointer, count: size))
      return unsafe whole[0]
    }
  }
}

extension AnyTensor {
  /// The elements in a caller's memory, in place; `nil` if there are none, or if they must be
  /// copied because they share bytes or are booleans.
  ///
  /// - Throws: A ``Refusal`` if the memory is not aligned.
  static func borrowing(
    _ memory: UnsafeRawBufferPointer, _ dtype: DType, _ shape: Shape
  ) throws -> AnyTensor? {
    guard dtype != .bool, dtype.bitCount >= 8, let start = memory.baseAddress else { return nil }
    guard UInt(bitPattern: start) % UInt(dtype.byteCount) == 0 else {
      throw Refusal.usage("the data is not aligned to \(dtype.byteCount) bytes")
    }
    return unsafe AnyTensor(borrowing: start, dtype, shape)
  }
}
