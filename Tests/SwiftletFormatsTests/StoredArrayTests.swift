// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletFiles
import SwiftletFormats
import Testing
import _SwiftletTestSupport

/// Arrays in files, read by rows, against the same arrays read as a whole.
struct StoredArrayTests {
  private static let arrays: OrderedDictionary<String, AnyTensor> = [
    "f4": .float32(Tensor([7, 2, 3], (0..<42).map { Float($0) / 4 })),
    "f8": .float64(Tensor([7], (0..<7).map { Double($0) - 2.5 })),
    "u1": .uint8(Tensor([7, 5], (0..<35).map { UInt8($0 * 7) })),
    "i8": .int64(Tensor([7, 1], [.min, -1, 0, 1, 2, 3, .max])),
    "b1": .bool(Tensor([7], [true, false, true, true, false, false, true])),
    "wide": .int16(Tensor([7, 0], [])), "none": .float32(Tensor([0, 4], [])),
    "scalar": .int32(Tensor([], [9])),
  ]

  private func rows(_ tensor: AnyTensor, _ indices: [Int]) -> AnyTensor {
    func opened<Element: TensorElement>(_: Element.Type) -> AnyTensor {
      let source: Tensor<Element> = tensor.typed()!
      let size = source.shape.count(of: 1..<source.shape.rank)
      let all = source.elements
      let chosen = indices.flatMap { all[$0 * size..<($0 + 1) * size] }
      return AnyTensor(Tensor(source.shape.replacing(axis: 0, with: indices.count), chosen))
    }
    return opened(tensor.dtype.elementType)
  }

  private func check(
    _ stored: StoredArray, _ tensor: AnyTensor, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    #expect(stored.dtype == tensor.dtype && stored.shape == tensor.shape)
    #expect(try stored.whole() == tensor, sourceLocation: sourceLocation)
    guard tensor.shape.rank > 0 else { return }
    let count = stored.count
    #expect(count == tensor.shape[0])
    for range in [0..<count, 0..<0, count / 3..<count, 0..<count / 2] {
      #expect(try stored.rows(range) == rows(tensor, Array(range)))
    }
    guard count > 0 else { return }
    for indices in [[], [count - 1], [0, 0, count - 1, 0], Array((0..<count).reversed())] {
      #expect(try stored.rows(indices) == rows(tensor, indices), sourceLocation: sourceLocation)
      let part = stored.subset(indices)
      #expect(part.shape == tensor.shape.replacing(axis: 0, with: indices.count))
      #expect(try part.whole() == rows(tensor, indices), sourceLocation: sourceLocation)
    }
    var (parts, places) = ([AnyTensor](), [Range<Int>]())
    try stored.forEachPart(bytes: 40) {
      parts.append($0)
      places.append($1)
    }
    #expect(places.flatMap { Array($0) } == Array(0..<count))
    for (part, place) in zip(parts, places) { #expect(part == rows(tensor, Array(place))) }
    guard count >= 3 else { return }
    let middle = stored.slice(count / 3..<count)
    let own = Array(count / 3..<count)
    #expect(try middle.whole() == rows(tensor, own))
    #expect(try middle.slice(1..<2).whole() == rows(tensor, [own[1]]))
    #expect(try middle.subset([1, 0]).whole() == rows(tensor, [own[1], own[0]]))
    #expect(try stored.subset([2, 1, 0]).slice(1..<3).rows([1]) == rows(tensor, [0]))
  }

  @Test func arraysInMemoryHaveRows() throws {
    for tensor in Self.arrays.values { try check(StoredArray(tensor), tensor) }
  }

  @Test(arguments: ["npz", "safetensors"])
  func filesOfSeveralArraysAreReadByRows(kind: String) throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/a.\(kind)"
      try ArrayFile.write(Self.arrays, to: path)
      let stored = try ArrayFile.open(path)
      #expect(Set(stored.keys) == Set(Self.arrays.keys))
      for (name, array) in stored { try check(array, Self.arrays[name]!) }
    }
  }

  @Test func singleArraysAreReadByRows() throws {
    try withTemporaryFolder { folder in
      for (name, tensor) in Self.arrays {
        let path = "\(folder)/\(name).npy"
        try ArrayFile.write([name: tensor], to: path)
        let stored = try ArrayFile.open(path)
        #expect(Array(stored.keys) == [name])
        try check(stored[name]!, tensor)
      }
    }
  }

  @Test func halvesBecomeSingles() throws {
    try withTemporaryFolder { folder in
      let halves = AnyTensor.float32(Tensor([4, 3], (0..<12).map { Float($0) / 8 - 0.5 }))
      try ArrayFile.write(["x": halves], to: "\(folder)/x.npy", halves: ["x"])
      #expect(try InputFile.read("\(folder)/x.npy").count == 128 + 24)
      try check(ArrayFile.open("\(folder)/x.npy")["x"]!, halves)
    }
  }

  @Test func halvesOfSafetensorsBecomeSingles() throws {
    try withTemporaryFolder { folder in
      for (dtype, data) in SafetensorsTests.halves {
        let header = #"{"x":{"dtype":"\#(dtype)","shape":[4,1],"data_offsets":[0,8]}}"#
        try put(SafetensorsTests.file(header) + data, folder, "x.safetensors")
        let x = try ArrayFile.open("\(folder)/x.safetensors")["x"]!
        try check(x, .float32(Tensor([4, 1], [1, -2, 0.5, .infinity])))
      }
    }
  }

  /// An npy file with this header.
  static func npy(_ descr: String, _ shape: String, fortran: Bool = false, _ data: [UInt8])
    -> [UInt8]
  {
    let header =
      "{'descr': '\(descr)', 'fortran_order': \(fortran ? "True" : "False"), 'shape': \(shape), }\n"
    return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count), 0] + Array(header.utf8)
      + data
  }

  /// `numpy.array([[1, -2], [3, 260]], ">i4").tobytes()` and the like.
  @Test func bigEndianElementsAreSwapped() throws {
    try withTemporaryFolder { folder in
      let files: [(String, [UInt8], AnyTensor)] = [
        (
          ">i4", [0, 0, 0, 1, 255, 255, 255, 254, 0, 0, 0, 3, 0, 0, 1, 4],
          .int32(Tensor([2, 2], [1, -2, 3, 260]))
        ),
        (
          ">f8",
          [
            63, 240, 0, 0, 0, 0, 0, 0, 192, 0, 0, 0, 0, 0, 0, 0, 64, 8, 0, 0, 0, 0, 0, 0, 64, 112,
            64, 0, 0, 0, 0, 0,
          ], .float64(Tensor([2, 2], [1, -2, 3, 260]))
        ),
        (">f2", [60, 0, 192, 0, 66, 0, 92, 16], .float32(Tensor([2, 2], [1, -2, 3, 260]))),
      ]
      for (descr, data, tensor) in files {
        try put(Self.npy(descr, "(2, 2)", data), folder, "x.npy")
        try check(ArrayFile.open("\(folder)/x.npy")["x"]!, tensor)
        #expect(try NPY.read("\(folder)/x.npy") == tensor)
      }
      try put(Self.npy(">u1", "(2,)", [1, 2]), folder, "x.npy")
      expectError(.unsupported, ">u1") { try ArrayFile.open("\(folder)/x.npy") }
    }
  }

  @Test func columnMajorArraysAreReadIfTheyAreSmall() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/x.npy"
      try put(Self.npy("|u1", "(2, 3)", fortran: true, [1, 4, 2, 5, 3, 6]), folder, "x.npy")
      try check(ArrayFile.open(path)["x"]!, .uint8(Tensor([2, 3], [1, 2, 3, 4, 5, 6])))
      try put(Self.npy("|u1", "(3, 1)", fortran: true, [1, 4, 2]), folder, "x.npy")
      try check(ArrayFile.open(path)["x"]!, .uint8(Tensor([3, 1], [1, 4, 2])))
      let header = Self.npy("|u1", "(65536, 1025)", fortran: true, [])
      try put(header, folder, "x.npy")
      try extend("\(folder)/x.npy", to: header.count + 65536 * 1025)
      expectError(.unsupported, "x.npy", "column-major", "ascontiguousarray") {
        try ArrayFile.open(path)
      }
    }
  }

  /// Larger than memory may be: rows are read all the same, and only whole arrays are refused.
  @Test func sizeDoesNotMatter() async {
    await #expect(processExitsWith: .success) {
      MemoryLimit.bytes = 1 << 20
      try withTemporaryFolder { folder in
        let path = "\(folder)/x.npy"
        let header = StoredArrayTests.npy("<f4", "(1000000, 1000)", [])
        try put(header, folder, "x.npy")
        try extend(path, to: header.count + 4_000_000_000)
        let array = try ArrayFile.open(path)["x"]!
        #expect(array.shape == [1_000_000, 1000])
        let ends = try array.rows([0, 999_999])
        #expect(ends == .float32(Tensor(zeros: [2, 1000])))
        expectError(.outOfMemory, "1000000 rows", path) { try array.whole() }
        expectError(.badInput, "limit") { try NPY.read(path) }
      }
    }
  }

  /// Rows without elements take no bytes, so that a small file may claim any number of them.
  @Test func rowsWithoutElementsAreReadAtOnce() throws {
    try withTemporaryFolder { folder in
      try put(Self.npy("<f4", "(1152921504606846976, 0)", []), folder, "x.npy")
      var parts: [Range<Int>] = []
      try ArrayFile.open("\(folder)/x.npy")["x"]!.forEachPart { parts.append($1) }
      #expect(parts == [0..<1 << 60])
    }
  }

  @Test func filesThatChangeAreNoticed() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/x.npy"
      let tensor = AnyTensor.float32(Tensor(zeros: [1000, 100]))
      try NPZ.write(["x": tensor], to: "\(folder)/x.npz")
      try ArrayFile.write(["x": tensor], to: path)
      for file in [path, "\(folder)/x.npz"] {
        let array = try ArrayFile.open(file)["x"]!
        try extend(file, to: 1000)
        expectError(.io, "changed", file) { try array.rows(900..<901) }
      }
    }
  }

  @Test func rowsAreMade() throws {
    let all = AnyTensor.float32(Tensor([7, 2], (0..<14).map(Float.init)))
    let made = try StoredArray(.float32, [7, 2]) { range in self.rows(all, Array(range)) }
    try check(made, all)
    #expect(try made.subset([6, 0, 1]).rows([2, 0]) == rows(all, [1, 6]))
    // Something else than was promised.
    let others: [AnyTensor] = [
      .float32(Tensor([1, 3], [1, 2, 3])), .float64(Tensor([1, 2], [1, 2])),
    ]
    for wrong in others {
      let array = try StoredArray(.float32, [7, 2]) { _ in wrong }
      #expect(throws: SwiftletError.self) { try array.rows(0..<1) }
    }
    #expect(throws: SwiftletError.self) { try StoredArray(.float32, []) { _ in all } }
  }
}

/// Arrays in compressed entries of npz files, and damaged files.
struct CompressedArrayTests {
  /// `numpy.savez_compressed(file, x=numpy.arange(4, dtype="i4"))`
  @Test func entriesOfNumPyAreReadByRows() throws {
    try withTemporaryFolder { folder in
      try put(NPZTests.compressed, folder, "x.npz")
      let x = try ArrayFile.open("\(folder)/x.npz")["x"]!
      #expect(try x.rows([3, 1]) == .int32(Tensor([2], [3, 1])))
      #expect(try x.whole() == .int32(Tensor([4], [0, 1, 2, 3])))
    }
  }

  /// Beyond 32 MiB, they are expanded into a file.
  @Test func largeEntriesAreReadByRows() throws {
    try withTemporaryFolder { folder in
      let count = 5 << 20
      let elements = (0..<count).map { Int64($0 * $0 % 1000) }
      let x = AnyTensor.int64(Tensor([count / 4, 4], elements))
      try put(deflatedNPZ([("x", x), ("n", .int8(Tensor([], [5])))]), folder, "x.npz")
      let arrays = try ArrayFile.open("\(folder)/x.npz")
      #expect(try arrays["n"]?.whole() == .int8(Tensor([], [5])))
      let last = count / 4 - 1
      let rows = try arrays["x"]!.rows([last, 0, 1])
      #expect(rows == .int64(Tensor([3, 4], Array(elements[(count - 4)...] + elements[..<8]))))
      #expect(try arrays["x"]!.whole() == x)
    }
  }

  @Test func checksumsAreVerifiedWhenEntriesAreRead() throws {
    try withTemporaryFolder { folder in
      var bytes = deflatedNPZ([("x", .uint8(Tensor([300], (0..<300).map { UInt8($0 / 2) })))])
      let directory = bytes.indices.last { bytes[$0...].starts(with: [0x50, 0x4b, 1, 2]) }!
      bytes[directory + 16] ^= 1
      try put(bytes, folder, "x.npz")
      let x = try ArrayFile.open("\(folder)/x.npz")["x"]!
      for _ in 0..<2 { expectError(.badInput, "x.npz", "damaged") { try x.rows(0..<1) } }
    }
  }

  @Test func bombsAreRefusedBeforeTheyExpand() throws {
    try withTemporaryFolder { folder in
      let zeros = AnyTensor.uint8(Tensor([65 << 20], repeating: 0))
      try put(deflatedNPZ([("x", zeros)]), folder, "x.npz")
      expectError(.badInput, "x.npz", "array 'x'", "200-fold") {
        try ArrayFile.open("\(folder)/x.npz")
      }
    }
  }

  @Test func damagedFilesNeverTrapNorPass() throws {
    try withTemporaryFolder { folder in
      let arrays: OrderedDictionary<String, AnyTensor> = [
        "a": .float32(Tensor([2, 2], [1, -2, .infinity, 0.5])), "empty": .uint8(Tensor([0], [])),
      ]
      let files = [
        ("npz", try NPZ.encode(arrays)), ("npz", NPZTests.compressed),
        ("npy", NPY.encode(arrays["a"]!)),
        ("safetensors", try Safetensors(tensors: arrays).encoded()),
      ]
      func read(_ bytes: [UInt8], _ kind: String) throws -> [AnyTensor] {
        try putQuickly(bytes, "\(folder)/x.\(kind)")
        return try ArrayFile.open("\(folder)/x.\(kind)").values.map { try $0.whole() }
      }
      for (kind, bytes) in files {
        let whole = try read(bytes, kind)
        for length in 0..<bytes.count {
          #expect(throws: SwiftletError.self) { try read(Array(bytes[..<length]), kind) }
        }
        for position in bytes.indices {
          var damaged = bytes
          damaged[position] ^= 0x55
          guard let read = try? read(damaged, kind), kind == "npz" else { continue }
          #expect(read == whole, "\(kind) byte \(position)")
        }
      }
    }
  }
}
