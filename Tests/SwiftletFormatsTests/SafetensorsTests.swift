// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletFiles
import SwiftletFormats
import Testing
import _SwiftletTestSupport

@Suite struct SafetensorsTests {
  static let tensors: OrderedDictionary<String, AnyTensor> = [
    "weights": AnyTensor(
      Tensor<Float>([2, 3], [1, -2, 0.5, .infinity, 0, -.leastNonzeroMagnitude])),
    "big \"quoted\" \\ \n näme": AnyTensor(Tensor<Double>([], [.pi])),
    "bytes": AnyTensor(Tensor<UInt8>([3], [0, 127, 255])),
    "small": AnyTensor(Tensor<Int8>([1, 2], [-128, 127])),
    "empty": AnyTensor(Tensor<Float>([2, 0, 3], [])),
    "steps": AnyTensor(Tensor<Int64>([2], [.min, .max])),
    "count": AnyTensor(Tensor<Int32>([1], [.min])),
  ]

  /// A file with the given header and so many bytes of data.
  static func file(_ header: String, data: Int = 0) -> [UInt8] {
    let count = header.utf8.count
    return (0..<8).map { UInt8(truncatingIfNeeded: count >> ($0 * 8)) } + Array(header.utf8)
      + [UInt8](repeating: 1, count: data)
  }

  @Test func roundTrip() throws {
    let metadata = ["epoch": "3", "quo\"te": "tab\t, bell\u{7}, 🙂"]
    try withTemporaryFolder { folder in
      let path = "\(folder)/a.safetensors"
      try Safetensors(tensors: Self.tensors, metadata: metadata).write(to: path)
      let read = try Safetensors(reading: path)
      #expect(read.metadata == metadata)
      #expect(Set(read.tensors.keys) == Set(Self.tensors.keys))
      for (name, tensor) in Self.tensors {
        let other = try #require(read.tensors[name])
        #expect(other.dtype == tensor.dtype)
        #expect(other.shape == tensor.shape)
      }
      #expect(
        try read.tensors["weights"]?.require() == Self.tensors["weights"]?.typed(as: Float.self))
      #expect(try read.tensors["steps"]?.require(Int64.self).elements == [.min, .max])
      #expect(try read.tensors["small"]?.require(Int8.self).elements == [-128, 127])
      #expect(try read.tensors["bytes"]?.require(UInt8.self).elements == [0, 127, 255])
      #expect(try read.tensors["count"]?.require(Int32.self).elements == [.min])
      #expect(try read.encoded() == InputFile.read(path))
    }
  }

  @Test func keepsBitsOfNaN() throws {
    let signalling = Float(bitPattern: 0xFFA0_0001)
    let bytes = try Safetensors(tensors: ["x": AnyTensor(Tensor<Float>([1], [signalling]))])
      .encoded()
    let x = try Safetensors(decoding: bytes, file: "f").tensors["x"]?.require(Float.self)
    #expect(x?[0].bitPattern == 0xFFA0_0001)
  }

  @Test func bytesDoNotDependOnOrder() throws {
    let reversed = OrderedDictionary(uniqueKeysWithValues: Self.tensors.elements.reversed())
    #expect(
      try Safetensors(tensors: reversed).encoded() == Safetensors(tensors: Self.tensors).encoded())
  }

  @Test func headerIsPaddedAndDataAligned() throws {
    let bytes = try Safetensors(tensors: [
      "c": AnyTensor(Tensor<UInt8>([1], [9])), "b": AnyTensor(Tensor<Float>([1], [1])),
      "a": AnyTensor(Tensor<UInt8>([1], [8])),
    ]).encoded()
    let header = """
      {"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},\
      "a":{"dtype":"U8","shape":[1],"data_offsets":[4,5]},\
      "c":{"dtype":"U8","shape":[1],"data_offsets":[5,6]}}
      """
    let padded =
      header + String(repeating: " ", count: header.utf8.count.roundedUp(to: 8) - header.utf8.count)
    #expect(bytes == Self.file(padded) + [0, 0, 0x80, 0x3F, 8, 9])
  }

  @Test func writesViewsPacked() throws {
    let matrix = Tensor<Float>([2, 2], [1, 2, 3, 4])
    let bytes = try Safetensors(tensors: ["x": AnyTensor(matrix.transposed())]).encoded()
    let x = try Safetensors(decoding: bytes, file: "f").tensors["x"]?.require(Float.self)
    #expect(x?.elements == [1, 3, 2, 4])
  }

  @Test func emptyFile() throws {
    let bytes = try Safetensors(tensors: [:]).encoded()
    #expect(bytes == Self.file("{}      "))
    #expect(try Safetensors(decoding: bytes, file: "f").tensors.isEmpty)
  }

  @Test func refusesReservedName() {
    expectError(.badInput, "__metadata__") {
      try Safetensors(tensors: ["__metadata__": AnyTensor(Tensor<Float>([1], [1]))]).encoded()
    }
  }

  static let accepted = [
    #" {"#, #"{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#,
    #"{ "x" : { "data_offsets" : [ 0 , 2 ] , "shape" : [ 2 ] , "dtype" : "U8" } }   "#,
    #"{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"#
      + #""more":[1.5e-3,-0,true,false,null,{"a":"b"}]}}"#,
    #"{"\u0078":{"dtype":"U8","shape":[1,2,1],"data_offsets":[0,2]},"__metadata__":{}}"#,
    #"{"y":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"#
      + #""x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#,
    #"{"y":{"dtype":"F64","shape":[0,9],"data_offsets":[2,2]},"#
      + #""x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#,
  ].dropFirst()

  @Test(arguments: accepted)
  func accepts(header: String) throws {
    let file = try Safetensors(decoding: Self.file(header, data: 2), file: "f")
    #expect(try file.tensors["x"]?.require(UInt8.self).elements == [1, 1])
  }

  /// 1, -2, 0.5 and infinity, as `torch.Tensor.half` and `bfloat16` have them.
  static let halves: [(dtype: String, data: [UInt8])] = [
    ("F16", [0x00, 0x3C, 0x00, 0xC0, 0x00, 0x38, 0x00, 0x7C]),
    ("BF16", [0x80, 0x3F, 0x00, 0xC0, 0x00, 0x3F, 0x80, 0x7F]),
  ]

  @Test func halvesBecomeSingles() throws {
    for (dtype, data) in Self.halves {
      let header = #"{"x":{"dtype":"\#(dtype)","shape":[2,2],"data_offsets":[0,8]}}"#
      let x = try Safetensors(decoding: Self.file(header) + data, file: "f").tensors["x"]
      #expect(x == .float32(Tensor([2, 2], [1, -2, 0.5, .infinity])), "\(dtype)")
    }
  }

  @Test func escapesOfJSON() throws {
    let header = #"{"__metadata__":{"a\"\\\/\b\f\n\r\té":"\ud83d\ude42é"}}"#
    let file = try Safetensors(decoding: Self.file(header), file: "f")
    #expect(file.metadata == ["a\"\\/\u{8}\u{C}\n\r\té": "🙂é"])
  }

  struct Lie: Sendable, CustomTestStringConvertible {
    let header: String
    let data: Int
    let fragments: [String]
    var code = SwiftletError.Code.badInput
    var testDescription: String { String(header.prefix(100)) }
  }

  /// One tensor called x, valid unless told otherwise.
  static func x(
    dtype: String = "U8", shape: String = "[4]", offsets: String = "[0,4]", data: Int = 4,
    code: SwiftletError.Code = .badInput, _ fragments: String...
  ) -> Lie {
    Lie(
      header: #"{"x":{"dtype":"\#(dtype)","shape":\#(shape),"data_offsets":\#(offsets)}}"#,
      data: data, fragments: fragments, code: code)
  }

  static func two(_ first: String, _ second: String, data: Int, _ fragments: String...) -> Lie {
    func entry(_ name: String, _ offsets: String) -> String {
      #""\#(name)":{"dtype":"U8","shape":[2],"data_offsets":\#(offsets)}"#
    }
    return Lie(
      header: "{\(entry("a", first)),\(entry("b", second))}", data: data, fragments: fragments)
  }

  static func text(_ header: String, _ fragments: String...) -> Lie {
    Lie(header: header, data: 0, fragments: fragments)
  }

  static let lies: [Lie] = [
    // Shapes and ranges.
    x(shape: "[5]", "tensor 'x'", "4 bytes"),
    x(shape: "[3]", "tensor 'x'"),
    x(dtype: "F32", "tensor 'x'", "shape 4 of F32"),
    x(shape: "[9223372036854775807,3]", "overflowing"),
    x(shape: "[0,9223372036854775807,3]", offsets: "[0,0]", data: 0, "overflowing"),
    x(dtype: "F64", shape: "[4611686018427387904]", "does not match"),
    x(shape: "[9223372036854775808]", "natural number"),
    x(shape: "[-4]", "natural number"),
    x(shape: "[4.0]", "expected ','"),
    x(shape: "[4e0]", "expected ','"),
    x(shape: "[04]", "natural number"),
    x(shape: "4", "expected '['"),
    x(shape: "[4,]", "natural number"),
    x(shape: "[4", "natural number"),
    x(offsets: "[4,0]", "begin and an end"),
    x(offsets: "[0]", "begin and an end"),
    x(offsets: "[0,4,4]", "begin and an end"),
    x(offsets: "[0,18446744073709551616]", "natural number"),
    x(shape: "[9223372036854775807]", offsets: "[0,9223372036854775807]", "file has 4 after"),
    x(offsets: "[1,5]", data: 5, "hole"),
    x(data: 5, "take 4 bytes, but the file has 5"),
    x(data: 3, "take 4 bytes, but the file has 3"),
    x(dtype: "BF16", "shape 4 of BF16 does not match its 4 bytes"),
    x(dtype: "F16", shape: "[1]", "shape 1 of F16"),
    x(dtype: "C64", code: .unsupported, "'C64'", "F32 F64", "F16 BF16"),
    x(dtype: "u8", code: .unsupported, "'u8'"),
    two("[0,2]", "[0,2]", data: 2, "overlap"),
    two("[0,2]", "[1,3]", data: 3, "tensor 'b'", "overlap"),
    two("[0,2]", "[3,5]", data: 5, "tensor 'b'", "hole"),
    Lie(header: "{}", data: 1, fragments: ["take 0 bytes, but the file has 1"]),
    // What an entry has to have.
    text(#"{"x":{"shape":[0],"data_offsets":[0,0]}}"#, "missing"),
    text(#"{"x":{"dtype":"U8","data_offsets":[0,0]}}"#, "missing"),
    text(#"{"x":{"dtype":"U8","shape":[0]}}"#, "missing"),
    text(#"{"x":[]}"#, "expected '{'"),
    text(#"{"x":{"dtype":8,"shape":[0],"data_offsets":[0,0]}}"#, "expected '\"'"),
    text(#"{"__metadata__":{"a":1}}"#, "expected '\"'"),
    text(#"{"__metadata__":"a"}"#, "expected '{'"),
    // Keys that come twice.
    text(#"{"__metadata__":{},"__metadata__":{}}"#, "twice"),
    text(#"{"__metadata__":{"a":"1","\u0061":"2"}}"#, "'a' occurs twice"),
    text(
      #"{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"#
        + #""x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#,
      "'x' occurs twice"),
    text(#"{"x":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#, "twice"),
    text(#"{"x":{"more":{"a":1,"a":1}}}"#, "twice"),
    // Text that is no strict JSON.
    text(" {}", "does not start with '{'"),
    text("[]", "does not start with '{'"),
    text("", "does not start with '{'"),
    text("{", "expected '\"'"),
    text("{}{}", "after the JSON text"),
    text("{}\0", "after the JSON text"),
    text(#"{"a"}"#, "expected ':'"),
    text(#"{"a":"#, "expected '{'"),
    text(#"{'a':{}}"#, "expected '\"'"),
    text(#"{"__metadata__":{"a":"b",}}"#, "expected '\"'"),
    text(#"{"__metadata__":{"a":"b" "c":"d"}}"#, "expected ','"),
    text(#"{"a"#, "not terminated"),
    text(#"{"a\"#, "not terminated"),
    text("{\"a\nb\":{}}", "not terminated"),
    text(#"{"\x":{}}"#, "invalid escape"),
    text(#"{"\u12":{}}"#, "invalid escape"),
    text(#"{"\u12"#, "invalid escape"),
    text(#"{"\ud800":{}}"#, "invalid escape"),
    text(#"{"\ud800\u0061":{}}"#, "invalid escape"),
    text(#"{"\ude42":{}}"#, "invalid escape"),
    text(#"{"x":{"more":nul}}"#, "expected a value"),
    text(#"{"x":{"more":-}}"#, "expected a value"),
    text(#"{"x":{"more":1.}}"#, "expected a value"),
    text(#"{"x":{"more":1e}}"#, "expected a value"),
    text(#"{"x":{"more":01}}"#, "expected ','"),
    text(#"{"x":{"more":NaN}}"#, "expected a value"),
    text(#"{"x":{"more":"# + String(repeating: "[", count: 100_000), "deeper than 64"),
  ]

  @Test(arguments: lies)
  func refuses(lie: Lie) {
    for fragment in ["lies"] + lie.fragments {
      expectError(lie.code, fragment) {
        try Safetensors(decoding: Self.file(lie.header, data: lie.data), file: "lies")
      }
    }
  }

  @Test func refusesBrokenUTF8() {
    var bytes = Self.file(#"{"__metadata__":{"a":"?"}}"#)
    bytes[bytes.lastIndex(of: UInt8(ascii: "?"))!] = 0xC0
    expectError(.badInput, "UTF-8") { try Safetensors(decoding: bytes, file: "f") }
  }

  @Test func nestingUpToTheLimit() throws {
    let deep = String(repeating: "[", count: 62) + String(repeating: "]", count: 62)
    let header = #"{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"more":\#(deep)}}"#
    #expect(try Safetensors(decoding: Self.file(header), file: "f").tensors.count == 1)
    let deeper = header.replacing(deep, with: "[\(deep)]")
    expectError(.badInput, "deeper than 64") {
      try Safetensors(decoding: Self.file(deeper), file: "f")
    }
  }

  @Test func refusesWhatTakesTooMuchMemory() {
    let ones = Array(repeating: "1", count: 65).joined(separator: ",")
    let lists = #"{"x":{"dtype":"U8","shape":[\#(ones)],"data_offsets":[0,1]}}"#
    expectError(.badInput, "more than 64 numbers") {
      try Safetensors(decoding: Self.file(lists, data: 1), file: "f")
    }
    let keys = (0..<1_000_000).map { #""\#($0)":"""# }.joined(separator: ",")
    expectError(.badInput, "more than 1000000 keys") {
      try Safetensors(decoding: Self.file(#"{"__metadata__":{\#(keys)}}"#), file: "f")
    }
  }

  @Test(arguments: [
    (0, "ends early"), (7, "ends early"), (8, "ends early"), (20, "ends early"),
  ])
  func refusesTruncation(length: Int, fragment: String) {
    let bytes = Self.file(#"{"__metadata__":{"a":"b"}}"#)
    expectError(.badInput, fragment) {
      try Safetensors(decoding: Array(bytes[..<length]), file: "f")
    }
  }

  @Test(arguments: [100_000_001, UInt64(Int.max), UInt64.max])
  func refusesLongHeaders(length: UInt64) {
    let bytes = (0..<8).map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) } + Array("{}".utf8)
    expectError(.badInput, "limit of 100000000") { try Safetensors(decoding: bytes, file: "f") }
  }

  /// Whatever one changed byte does, it does not crash.
  @Test func survivesEveryChangedByte() throws {
    let bytes = try Safetensors(tensors: Self.tensors, metadata: ["a": "b"]).encoded()
    for position in bytes.indices {
      for value in [0, 0x22, 0x2C, 0x30, 0x39, 0x5D, 0x7B, 0xFF] as [UInt8] {
        var damaged = bytes
        damaged[position] = value
        do {
          _ = try Safetensors(decoding: damaged, file: "f")
        } catch is SwiftletError {}
      }
    }
  }
}
