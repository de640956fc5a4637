// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletFormats
import Testing
import _SwiftletTestSupport

struct NPZTests {
  private let arrays: OrderedDictionary<String, AnyTensor> = [
    "a": .float32(Tensor([2, 2], [1, -2, .infinity, 0.5])), "b/ü": .int64(Tensor([], [7])),
    "empty": .uint8(Tensor([0], [])),
  ]

  @Test func arraysSurviveTheRoundTrip() throws {
    let bytes = try NPZ.encode(arrays)
    #expect(try NPZ.decode(bytes) == arrays)
    #expect(try NPZ.encode(arrays) == bytes)
    #expect(try NPZ.decode(NPZ.encode([:])).isEmpty)
  }

  /// What `numpy.savez_compressed(file, x=numpy.arange(4, dtype="i4"))` writes.
  static let compressed: [UInt8] = [
    80, 75, 3, 4, 45, 0, 0, 0, 8, 0, 0, 0, 33, 0, 254, 116, 30, 212,
    255, 255, 255, 255, 255, 255, 255, 255, 5, 0, 20, 0, 120, 46, 110, 112, 121, 1,
    0, 16, 0, 144, 0, 0, 0, 0, 0, 0, 0, 78, 0, 0, 0, 0, 0, 0,
    0, 155, 236, 23, 234, 27, 16, 201, 200, 80, 198, 80, 173, 158, 146, 90, 156, 92,
    164, 110, 165, 160, 110, 147, 105, 162, 174, 163, 160, 158, 150, 95, 84, 82, 148, 152,
    23, 159, 95, 148, 146, 10, 18, 119, 75, 204, 41, 78, 5, 138, 23, 103, 36, 22,
    164, 2, 249, 26, 38, 58, 154, 58, 10, 181, 10, 20, 0, 46, 6, 32, 96, 4,
    98, 38, 32, 102, 6, 98, 0, 80, 75, 1, 2, 45, 3, 45, 0, 0, 0, 8,
    0, 0, 0, 33, 0, 254, 116, 30, 212, 78, 0, 0, 0, 144, 0, 0, 0, 5,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128, 1, 0, 0, 0, 0, 120,
    46, 110, 112, 121, 80, 75, 5, 6, 0, 0, 0, 0, 1, 0, 1, 0, 51, 0,
    0, 0, 133, 0, 0, 0, 0, 0,
  ]

  @Test func deflatedEntriesOfNumPyAreRead() throws {
    #expect(try NPZ.decode(Self.compressed) == ["x": .int32(Tensor([4], [0, 1, 2, 3]))])
  }

  @Test func damagedFilesNeverTrapNorPass() throws {
    for bytes in [try NPZ.encode(arrays), Self.compressed] {
      let whole = try NPZ.decode(bytes)
      for length in 0..<bytes.count {
        #expect(throws: SwiftletError.self) { try NPZ.decode(Array(bytes[..<length])) }
      }
      for position in bytes.indices {
        var damaged = bytes
        damaged[position] ^= 0x55
        // Some bytes mean nothing (times, versions); none changes an array unnoticed.
        guard let read = try? NPZ.decode(damaged) else { continue }
        #expect(Array(read.values) == Array(whole.values), "byte \(position)")
      }
    }
  }

  @Test func entriesMustNotLie() throws {
    let bytes = try NPZ.encode(["x": .uint8(Tensor([1], [9]))])
    let directory = try #require(
      bytes.indices.first { bytes[$0...].starts(with: [0x50, 0x4b, 1, 2]) })
    func changed(_ offset: Int, _ value: [UInt8]) -> [UInt8] {
      var copy = bytes
      copy.replaceSubrange(directory + offset..<directory + offset + value.count, with: value)
      return copy
    }
    expectError(.unsupported, "encrypted") { try NPZ.decode(changed(8, [1])) }
    expectError(.unsupported, "method") { try NPZ.decode(changed(10, [14])) }
    expectError(.badInput) { try NPZ.decode(changed(20, [0xff, 0xff, 0xff, 0x7f])) }
    expectError(.badInput) { try NPZ.decode(changed(42, [1])) }
    // A name that is no npy file: in both places where it stands.
    var other = bytes
    for index in bytes.indices.dropLast(5) where bytes[index...].starts(with: Array("x.npy".utf8)) {
      other[index + 4] = 0x7a
    }
    expectError(.badInput, "not an npy file") { try NPZ.decode(other) }
    // One entry twice, as a zip bomb does: the second names the bytes of the first.
    let entry = bytes[directory..<bytes.count - 22]
    var twice = Array(bytes[..<directory]) + entry + entry
    twice[directory + entry.count + 46] = 0x79
    var end = Array(bytes.suffix(22))
    (end[8], end[10], end[12]) = (2, 2, UInt8(2 * entry.count))
    expectError(.badInput) { try NPZ.decode(twice + end) }
  }

  /// The directory is believed only as far as the file is large: 64 MiB, or 200-fold.
  @Test func bombsAreRefusedBeforeTheyExpand() throws {
    var bytes = Self.compressed
    let directory = try #require(
      bytes.indices.first { bytes[$0...].starts(with: [0x50, 0x4b, 1, 2]) })
    bytes.replaceSubrange(directory + 24..<directory + 28, with: [0, 0, 0, 0x7f])
    expectError(.badInput, "expand to more than") { try NPZ.decode(bytes) }
    // A size that is too large, and one that is too small, for what is there.
    for size in [[0, 0, 1, 0], [1, 0, 0, 0]] as [[UInt8]] {
      bytes.replaceSubrange(directory + 24..<directory + 28, with: size)
      expectError(.badInput, "damaged") { try NPZ.decode(bytes) }
    }
  }
}
