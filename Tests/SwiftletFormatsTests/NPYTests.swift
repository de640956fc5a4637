// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFormats
import Testing
import _SwiftletTestSupport

struct NPYTests {
  private static let tensors: [AnyTensor] = [
    .float32(Tensor([2, 3], [1, -2, .infinity, 0, 5, 6])), .float64(Tensor([], [2.5])),
    .int8(Tensor([1], [-128])), .uint8(Tensor([0, 4], [])), .int32(Tensor([2], [1, -1])),
    .int64(Tensor([1, 1, 1], [.max])), .int16(Tensor([1], [-2])), .uint16(Tensor([1], [65535])),
    .uint32(Tensor([1], [.max])), .uint64(Tensor([1], [.max])), .bool(Tensor([2], [true, false])),
  ]

  @Test(arguments: tensors.indices)
  func arraysSurviveTheRoundTrip(index: Int) throws {
    let tensor = Self.tensors[index]
    let bytes = NPY.encode(tensor)
    #expect(try NPY.decode(bytes) == tensor)
    // NumPy aligns the data to 64 bytes.
    #expect((bytes.count - tensor.byteCount) % 64 == 0)
  }

  @Test func truthValuesAreOneOrZero() throws {
    let bytes = file("{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }\n", [0, 1, 200])
    #expect(try NPY.decode(bytes) == .bool(Tensor([3], [false, true, true])))
  }

  private func file(_ header: String, _ data: [UInt8] = [], version: UInt8 = 1) -> [UInt8] {
    let text = Array(header.utf8)
    let length = [UInt8(text.count & 255), UInt8(text.count >> 8)]
    return [0x93] + Array("NUMPY".utf8) + [version, 0] + length
      + (version == 1 ? [] : [0, 0]) + text + data
  }

  @Test(arguments: [UInt8(1), 2, 3])
  func headersMayBeWrittenDifferently(version: UInt8) throws {
    let header = "{'shape':(2,), 'fortran_order':False, 'descr':'|u1'}\n"
    #expect(
      try NPY.decode(file(header, [3, 4], version: version)) == .uint8(Tensor([2], [3, 4])))
  }

  @Test(arguments: [
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 7),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 9),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", 0),
    ("{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775807,), }", 8),
    (
      "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4294967296), }", 8
    ),
    ("{'descr': '<f4', 'fortran_order': False, }", 4),
    ("{'descr': '<f4', 'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", 8),
    ("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,), }", 4),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } extra", 4),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (1,", 4), ("", 0), ("{", 0),
  ])
  func malformedFilesAreRefused(header: String, bytes: Int) {
    expectError(.badInput) { try NPY.decode(file(header, [UInt8](repeating: 0, count: bytes))) }
  }

  @Test func objectsAreNeverRead() {
    expectError(.unsupported, "|O") {
      try NPY.decode(file("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", [0]))
    }
    expectError(.unsupported, "records") {
      try NPY.decode(
        file("{'descr': [('a', '|u1')], 'fortran_order': False, 'shape': (1,), }", [0]))
    }
  }

  @Test func columnMajorArraysAreTransposed() throws {
    let bytes = file(
      "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", [1, 4, 2, 5, 3, 6])
    #expect(try NPY.decode(bytes) == .uint8(Tensor([2, 3], [1, 2, 3, 4, 5, 6])))
  }

  /// What Python or NumPy would not read.
  @Test(arguments: [
    "(2)", "2", "[2]", "(2,,)", "(,)", "(02,)", "(2.0,)", "('2',)", "(2L,)", "(+2,)", "None",
    "(2, )", "( 2 ,)",
  ])
  func shapesAreTuplesOfNumbers(shape: String) throws {
    let bytes = file("{'descr': '|u1', 'fortran_order': False, 'shape': \(shape), }", [7, 8])
    guard shape.contains(" ") else { return expectError(.badInput) { try NPY.decode(bytes) } }
    #expect(try NPY.decode(bytes) == .uint8(Tensor([2], [7, 8])))
  }

  @Test(arguments: [
    "{'descr': '|u1' 'fortran_order': False, 'shape': (2,)}",
    "{'descr': '|u1', 'fortran_order': 0, 'shape': (2,)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), 'extra': 1}",
    "{'descr': '| u1', 'fortran_order': False, 'shape': (2,)} #",
    "{'descr': '\\x7cu1', 'fortran_order': False, 'shape': (2,)}",
    "{descr: '|u1', 'fortran_order': False, 'shape': (2,)}",
  ])
  func headersAreLiterals(header: String) {
    expectError(.badInput) { try NPY.decode(file(header, [7, 8])) }
  }

  @Test func limitsOfTheHeaderAreNumPys() throws {
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }"
    func padded(_ count: Int) -> [UInt8] {
      file(header + String(repeating: " ", count: count - header.count), [7, 8], version: 2)
    }
    #expect(try NPY.decode(padded(10_000)) == .uint8(Tensor([2], [7, 8])))
    expectError(.badInput, "10001") { try NPY.decode(padded(10_001)) }
    var minor = file(header, [7, 8])
    minor[7] = 1
    expectError(.badInput, "not an npy file") { try NPY.decode(minor) }
    let bytes = file(header, [7, 8])
    expectError(.badInput, "not text") {
      try NPY.decode(bytes.map { $0 == UInt8(ascii: "F") ? 0xff : $0 })
    }
  }

  @Test func cutFilesNeverTrap() {
    let bytes = NPY.encode(Self.tensors[0])
    for length in 0..<bytes.count {
      expectError(.badInput) { try NPY.decode(Array(bytes[..<length])) }
    }
  }
}
