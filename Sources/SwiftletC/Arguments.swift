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
  /// - Throws: A ``Refusal`` for a size other than that of this version's struct. Only the size is
  ///   read before the check.
  static func read<T>(_ pointer: UnsafePointer<T>?, _ name: String) throws -> T? {
    guard let pointer = unsafe pointer else { return nil }
    guard UInt(bitPattern: pointer) % UInt(MemoryLayout<T>.alignment) == 0 else {
      throw Refusal.usage("\(name) is not aligned to \(MemoryLayout<T>.alignment) bytes")
    }
    let size = unsafe UnsafeRawPointer(pointer).load(as: Int.self)
    guard size == MemoryLayout<T>.stride else {
      throw Refusal.usage(
        "\(name).struct_size is \(size)", fix: "set it to sizeof, \(MemoryLayout<T>.stride)")
    }
    return unsafe pointer.pointee
  }
}
