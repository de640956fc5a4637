// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFiles
import SwiftletFormats
import Testing
import _SwiftletTestSupport

@Suite struct IDXTests {
  @Test(arguments: [[0], [5], [2, 3], [0, 4], [4, 3, 2], [2, 3, 4, 5], [1, 1, 1, 1]])
  func roundTrip(dimensions: [Int]) throws {
    let shape = Shape(dimensions)
    let tensor = Tensor<UInt8>(shape, randomBytes(shape.count, seed: 1))
    let bytes = try IDX.encode(tensor)
    #expect(bytes == idx(dimensions.map { UInt32($0) }, tensor.elements))
    try withTemporaryFolder { folder in
      try AtomicFile.write(bytes, to: "\(folder)/plain")
      try AtomicFile.write(gzip(bytes), to: "\(folder)/packed.gz")
      #expect(try IDX.read("\(folder)/plain") == tensor)
      #expect(try IDX.read("\(folder)/packed.gz") == tensor)
    }
  }

  @Test func encodesViewsInRowMajorOrder() throws {
    let matrix = Tensor<UInt8>([2, 3], [1, 2, 3, 4, 5, 6])
    #expect(try IDX.encode(matrix.transposed()) == idx([3, 2], [1, 4, 2, 5, 3, 6]))
  }

  @Test func refusesShapesItCannotHold() {
    expectError(.unsupported, "scalar") { try IDX.encode(Tensor<UInt8>(zeros: [])) }
    expectError(.unsupported) { try IDX.encode(Tensor<UInt8>(zeros: [1, 1, 1, 1, 1])) }
    expectError(.unsupported) { try IDX.encode(Tensor<UInt8>(zeros: [0, 1 << 32])) }
  }

  struct Malformed: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let bytes: [UInt8]
    let code: SwiftletError.Code
    let fragment: String

    init(_ name: String, _ bytes: [UInt8], _ code: SwiftletError.Code, _ fragment: String) {
      (testDescription, self.bytes, self.code, self.fragment) = (name, bytes, code, fragment)
    }
  }

  static let malformed = [
    Malformed("empty", [], .badInput, "ends early"),
    Malformed("cut magic", [0, 0, 8], .badInput, "ends early"),
    Malformed("wrong magic", Array("PNG\0____".utf8), .badInput, "not an idx file"),
    Malformed("rank 0", idx([], [1]), .badInput, "rank 0"),
    Malformed("rank 5", idx([1, 1, 1, 1, 1], [1]), .badInput, "rank 5"),
    Malformed("cut extents", [0, 0, 8, 2, 0, 0, 0, 1, 0, 0], .badInput, "byte 8"),
    Malformed("one byte short", idx([2, 3], [1, 2, 3, 4, 5]), .badInput, "needs 18 bytes"),
    Malformed("one byte long", idx([2], [1, 2, 3]), .badInput, "10 bytes"),
    Malformed("2³²−1 four times", idx([.max, .max, .max, .max], []), .badInput, "overflow"),
    Malformed("overflow beside 0", idx([0, .max, .max, .max], []), .badInput, "overflow"),
    Malformed("too large", idx([.max, 3], []), .badInput, "limit"),
    Malformed("large but not there", idx([1 << 31, 2], [1]), .badInput, "2147483648×2"),
    Malformed("float elements", idx([1], [0, 0, 0, 0], dtype: 0x0D), .unsupported, "type 0x0D"),
    Malformed("element type 0x0A", idx([1], [0], dtype: 0x0A), .badInput, "not an idx file"),
  ]

  @Test(arguments: malformed, [false, true])
  func refuses(file: Malformed, compressed: Bool) {
    let bytes = compressed ? gzip(file.bytes) : file.bytes
    expectError(file.code, "some-file", file.fragment) {
      try IDX.decode(bytes, file: "some-file")
    }
  }

  @Test func refusesOtherRanks() {
    expectError(.badInput, "rank 1", "3...4") {
      try IDX.decode(idx([1], [1]), file: "some-file", ranks: 3...4)
    }
  }

  @Test func bombsAreRefusedBeforeTheyExpand() throws {
    let bytes = gzip(idx([1 << 30, 1, 1], []))
    expectError(.badInput, "exceeds the limit") { try IDX.decode(bytes, file: "b") }
    expectError(.badInput, "the file has") { try IDX.decode(idx([1 << 30], []), file: "b") }
  }

  @Test func filesAreWrittenWhole() throws {
    try withTemporaryFolder { folder in
      let tensor = Tensor<UInt8>([2, 2], [1, 2, 3, 4])
      try IDX.write(tensor, to: "\(folder)/t")
      #expect(try IDX.read("\(folder)/t") == tensor)
      #expect(try names(in: folder) == ["t"])
    }
  }
}
