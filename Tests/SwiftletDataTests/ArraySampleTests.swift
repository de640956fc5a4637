// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletData
import SwiftletFiles
import SwiftletFormats
import SwiftletGraph
import Testing
import _SwiftletTestSupport

/// `npz:` and `npy:`: samples and labels by the names of their arrays.
struct ArraySampleTests {
  typealias Arrays = OrderedDictionary<String, AnyTensor>

  /// Images whose pixels count on: N×H×W of uint8.
  private func grey(_ count: Int, from first: Int = 0) -> AnyTensor {
    .uint8(Tensor([count, 2, 3], (0..<count * 6).map { UInt8((first * 6 + $0) % 256) }))
  }

  private func labels(_ labels: [Int64]) -> AnyTensor {
    .int64(Tensor([labels.count], labels))
  }

  /// Writes the arrays to `a.npz`, and loads them.
  private func load(
    _ arrays: Arrays, _ suffix: String = "", part: DataSpec.Part = .train,
    then body: (ImageDataset) throws -> Void = { _ in }
  ) throws {
    try withTemporaryFolder { folder in
      try NPZ.write(arrays, to: "\(folder)/a.npz")
      try body(
        DataSpec(parsing: "npz:\(folder)/a.npz\(suffix)").load(defaultPart: part))
    }
  }

  private func pixels(_ data: ImageDataset, _ indices: [Int]) throws -> [UInt8] {
    guard case .stored(let images) = data.pixels else { return [] }
    return try images.packed(indices).elements
  }

  /// They take no bytes, so that a small file may claim any number of them.
  @Test func manySamplesWithoutElementsAreRefused() throws {
    let nothing = AnyTensor.float32(Tensor([1 << 40, 0], []))
    for suffix in ["", "[80%]", ":unlabelled"] {
      expectError(.badInput, "1099511627776 samples have no elements", "a.npz") {
        try load(["x": nothing, "y": nothing], suffix)
      }
    }
    try load(["x": .float32(Tensor([4, 0], [])), "y": labels([0, 1, 0, 1])]) { data in
      #expect(data.count == 4)
    }
  }

  @Test func oneOfManyArraysWithoutElementsIsNoConstant() throws {
    let others: Arrays = ["a": labels([1, 2, 3, 4]), "b": labels([1, 2, 3, 4])]
    let arrays = others.merging(["n": .float32(Tensor([1 << 40, 0], []))]) { $1 }
    let graph = Graph(
      name: "model", nodes: [Node("Identity", name: "i", inputs: ["n"], outputs: ["y"])],
      inputs: [ValueInfo("n", .float32, [.symbolic("N")])],
      outputs: [ValueInfo("y", .float32, [.symbolic("N")])])
    try withTemporaryFolder { folder in
      try NPZ.write(arrays, to: "\(folder)/a.npz")
      let data = try DataSpec(parsing: "inputs:\(folder)/a.npz").load(defaultPart: .train)
      #expect(throws: SwiftletError.self) { try InputFeed(data, for: graph) }
    }
  }

  @Test(arguments: [("x", "y"), ("images", "labels"), ("X", "Y"), ("images", "y")])
  func samplesAndLabelsAreFoundByName(x: String, y: String) throws {
    try load([x: grey(5), y: labels([0, 2, 1, 0, 2])], "[1..<4]") { (data) throws in
      #expect(data.count == 3 && data.classCount == 3)
      #expect(data.labels == [2, 1, 0])
      #expect(data.imageExtents.map { [$0.channels, $0.height, $0.width] } == [1, 2, 3])
      #expect(try pixels(data, [2, 0]) == Array(18..<24) + Array(6..<12))
      #expect(data.name.hasSuffix("a.npz[1..<4]"))
      #expect(data.targets == nil)
      #expect(try pixels(data.subset([1, 1]), [1]) == Array(12..<18))
    }
  }

  @Test(arguments: [
    ([2, 3, 4, 5], [3, 4, 5]), ([2, 5, 4, 3], [3, 5, 4]), ([2, 1, 4, 5], [1, 4, 5]),
    ([2, 4, 4, 4], [4, 4, 4]), ([2, 4, 5, 1], [1, 4, 5]),
  ])
  func channelsAreFirstOrLast(shape: [Int], extents: [Int]) throws {
    let count = shape.reduce(1, *)
    let elements = (0..<count).map { UInt8($0) }
    let isFirst = shape[1] <= shape[3]
    try load(["x": .uint8(Tensor(Shape(shape), elements)), "y": labels([0, 1])]) { (data) throws in
      #expect(data.imageExtents.map { [$0.channels, $0.height, $0.width] } == extents)
      let own = try pixels(data, [1])
      let (channels, area) = (extents[0], extents[1] * extents[2])
      for channel in 0..<channels {
        for pixel in 0..<area {
          let place = isFirst ? channel * area + pixel : pixel * channels + channel
          #expect(own[channel * area + pixel] == elements[count / 2 + place])
        }
      }
    }
  }

  /// Keras' mnist.npz, and the names of MedMNIST.
  @Test(arguments: [
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("train_images", "train_labels", "val_images", "val_labels"),
  ])
  func partsHaveTheirOwnArrays(x: String, y: String, testX: String, testY: String) throws {
    let arrays: Arrays = [
      x: grey(4), y: .uint8(Tensor([4, 1], [0, 1, 2, 1])), testX: grey(2, from: 10),
      testY: .uint8(Tensor([2, 1], [1, 0])),
    ]
    try load(arrays) { (data) throws in
      #expect(data.labels == [0, 1, 2, 1] && data.name.hasSuffix("a.npz:train"))
    }
    for (suffix, part) in [("", DataSpec.Part.test), (":test", .train), (":test[50%]", .train)] {
      try load(arrays, suffix, part: part) { (data) throws in
        #expect(data.labels == (suffix.count > 5 ? [1] : [1, 0]))
        #expect(try pixels(data, [0]) == (60..<66).map { UInt8($0) })
      }
    }
    try withTemporaryFolder { folder in
      try NPZ.write(arrays, to: "\(folder)/a.npz")
      let parts = try DataParts(DataSpec(parsing: "npz:\(folder)/a.npz"), seed: 1)
      #expect(parts.training.count == 4 && parts.validation.count == 2 && parts.shared == 0)
    }
  }

  @Test func validationComesBeforeTheTest() throws {
    let arrays: Arrays = [
      "train_images": grey(1), "train_labels": labels([0]), "val_images": grey(2),
      "val_labels": labels([0, 1]), "test_images": grey(3), "test_labels": labels([0, 1, 2]),
    ]
    try load(arrays, part: .test) { #expect($0.count == 2) }
    try load(arrays, ":test") { #expect($0.count == 3) }
    try load(arrays, ":train") { #expect($0.count == 1) }
  }

  @Test func imagesThatAreInBothPartsAreCounted() throws {
    try withTemporaryFolder { folder in
      try NPZ.write(
        [
          "x_train": grey(6), "y_train": labels([0, 1, 0, 1, 0, 1]), "x_test": grey(3, from: 4),
          "y_test": labels([0, 1, 0]),
        ], to: "\(folder)/a.npz")
      let parts = try DataParts(DataSpec(parsing: "npz:\(folder)/a.npz"), seed: 1)
      #expect(parts.shared == 2 && parts.warning != nil)
    }
  }

  @Test func dataWithoutPartsAreSplit() throws {
    try withTemporaryFolder { folder in
      try NPZ.write(
        ["x": grey(10), "y": labels((0..<10).map { $0 % 3 })], to: "\(folder)/a.npz")
      let spec = try DataSpec(parsing: "npz:\(folder)/a.npz")
      #expect(try spec.hasLabels())
      let parts = try DataParts(spec, seed: 1)
      #expect(parts.training.count == 8 && parts.validation.count == 2)
      #expect(parts.remark?.contains("there is no test part") == true)
      expectError(.io, "part 'test'", "x_test", "there are x, y") {
        try DataSpec(parsing: "npz:\(folder)/a.npz:test").load(defaultPart: .train)
      }
    }
  }

  /// A model with two inputs, the second one of integers.
  private func model() -> Graph {
    var graph = Graph(name: "two")
    let n = Dimension.symbolic("N")
    graph.inputs = [
      ValueInfo("a", .float32, [n, .fixed(2)]), ValueInfo("b", .int64, [n]),
    ]
    graph.outputs = [ValueInfo("c", .float32, [n, .fixed(2)])]
    graph.nodes = [Node("Relu", name: "relu", inputs: ["a"], outputs: ["c"])]
    return graph
  }

  @Test func otherArraysAreFurtherInputs() throws {
    let a = AnyTensor.float32(Tensor([3, 2], [0, 1, 2, 3, 4, 5]))
    let b = AnyTensor.int32(Tensor([3], [7, 8, 9]))
    let arrays: Arrays = ["a": a, "b": b, "labels": labels([1, 0, 1])]
    try load(arrays) { (data) throws in
      #expect(data.labels == [1, 0, 1])
      let inputs = try InputFeed(data, for: model()).inputs([2, 0], threads: .serial)
      #expect(inputs["a"] == .float32(Tensor([2, 2], [4, 5, 0, 1])))
      #expect(inputs["b"] == .int64(Tensor([2], [9, 7])))
    }
  }

  /// Floats are what the model takes: whatever its input is called.
  @Test func numbersOfAnyRankArePrepared() throws {
    var graph = model()
    graph.inputs = [ValueInfo("features", .float32, [.symbolic("N"), .fixed(2)])]
    graph.nodes[0].inputs = ["features"]
    for dtype in [DType.float32, .float64, .int32] {
      let x = AnyTensor.float32(Tensor([3, 2], [0, 1, 2, 3, 4, 5])).converted(to: dtype)
      for name in ["x", "other"] {
        try load([name: x, "y": labels([0, 0, 1])]) { (data) throws in
          let feed = try InputFeed(data.subset([2, 1]), for: graph)
          #expect(
            try feed.inputs([0, 1], threads: .serial)["features"]
              == .float32(Tensor([2, 2], [4, 5, 2, 3])))
        }
      }
    }
  }

  /// Calibration takes the first samples: they must not be of one class.
  @Test func samplesSortedByClassAreSpread() throws {
    let sorted = (0..<30).map { Int64($0 / 10) }
    try load(["x": grey(30), "y": labels(sorted)]) { (data) throws in
      #expect(data.labels.prefix(6) == [0, 1, 2, 0, 1, 2])
      #expect(try pixels(data, [1]) == pixels(data.subset([1]), [0]))
      #expect(try pixels(data, [1]) == (60..<66).map { UInt8($0) })
    }
    let mixed = (0..<30).map { Int64($0 * 7 % 3) }
    try load(["x": grey(30), "y": labels(mixed)]) { (data) throws in
      #expect(data.labels == mixed.map { Int($0) })
    }
  }

  @Test func labelsThatAreNoClassesAreTargets() throws {
    let masks = AnyTensor.uint8(Tensor([3, 2, 2], (0..<12).map { UInt8($0) }))
    let several = AnyTensor.int64(Tensor([3, 2], [0, 1, 1, 0, 1, 1]))
    for y in [masks, several, .float32(Tensor([3], [0.5, 1, 2]))] {
      try load(["x": grey(3), "y": y]) { (data) throws in
        #expect(!data.hasLabels && data.classCount == 0)
        #expect(try data.targets?.whole() == y)
        expectError(.badInput, "targets") { try data.requireLabels() }
      }
    }
    try load(["x": grey(3), "y": masks]) { (data) throws in
      let last = try data.subset([2, 0]).slice(0..<1).targets?.whole()
      #expect(last == .uint8(Tensor([1, 2, 2], [8, 9, 10, 11])))
    }
  }

  @Test func samplesNeedNoLabels() throws {
    try withTemporaryFolder { folder in
      try NPZ.write(["x": grey(3)], to: "\(folder)/a.npz")
      let spec = try DataSpec(parsing: "npz:\(folder)/a.npz")
      #expect(try spec.hasLabels() == false)
      let data = try spec.load(defaultPart: .train)
      #expect(data.count == 3 && !data.hasLabels)
      expectError(.badInput, "no labels") { try data.requireLabels() }
    }
  }

  static let wrong: [(Arrays, String, String)] = {
    let x = AnyTensor.uint8(Tensor(zeros: [3, 2, 3]))
    let flat = AnyTensor.uint8(Tensor(zeros: [3, 0, 3]))
    func y(_ labels: [Int64]) -> AnyTensor { .int64(Tensor([labels.count], labels)) }
    return [
      (["x": x, "y": y([0, 1])], "'y' is 2 for 3 samples", "one label"),
      (["x": x, "y": y([0, -1, 1])], "label 1 of array 'y' is -1", "from 0 on"),
      (["x": x, "y": y([0, 1, 1 << 40])], "label 2 of array 'y' is 1099511627776", "below"),
      (["x": x, "y": .uint64(Tensor([3], [0, .max, 1]))], "is 18446744073709551615", "below"),
      (["x": x, "y": .float32(Tensor([3], [0, .nan, 1]))], "row 1 of array 'y' has nan", "leave"),
      (["x": x, "y": .float32(Tensor([], [0]))], "'y' is scalar for 3", "one label"),
      (["x": .float32(Tensor([], [0])), "y": y([0])], "'x' is a single number", "one row"),
      (["x": flat, "y": y([0, 0, 0])], "uint8 3×0×3 are not images (", "N×C×H×W"),
      (["x": .uint8(Tensor(zeros: [0, 2, 3])), "y": y([])], "there are no images", ""),
      (["y": y([0])], "there are no samples", "there are y"),
      ([:], "there are no samples", "'images' or 'x'"),
      (
        ["x": x, "images": x, "y": y([0, 1, 2])], "'x' and 'images' are both samples", "leave one"
      ),
      (["x": x, "y": y([0, 1, 2]), "labels": y([0, 1, 2])], "are both labels", "leave one"),
      (["x": x, "x_train": x, "y": y([0, 1, 2])], "'x' is of no part, but 'x_train' is", "leave"),
    ]
  }()

  @Test(arguments: wrong.indices)
  func mistakesAreNamed(index: Int) {
    let (arrays, fragment, fix) = Self.wrong[index]
    expectError(.badInput, "a.npz", fragment, fix) { try load(arrays) }
  }

  @Test func missingPartsAreNamed() {
    let arrays: Arrays = ["x_train": grey(2), "y_train": labels([0, 1])]
    expectError(.io, "a.npz", "part 'test'", "x_test", "there are x_train, y_train") {
      try load(arrays, part: .test)
    }
  }

  @Test func arraysMayBeInTwoFiles() throws {
    try withTemporaryFolder { folder in
      let (x, y) = ("\(folder)/x, 1.npy", "\(folder)/y.npy")
      try ArrayFile.write(["x": grey(4)], to: x)
      try ArrayFile.write(["y": labels([3, 0, 1, 2])], to: y)
      let spec = try DataSpec(parsing: "npy:\(x),\(y)[2..<4]")
      #expect(spec.source == .npy(samples: x, labels: y))
      #expect(spec.description == "npy:\(x),\(y)[2..<4]")
      #expect(try spec.hasLabels())
      let data = try spec.load(defaultPart: .train)
      #expect(data.labels == [1, 2])
      #expect(try pixels(data, [1]) == Array(18..<24))
      let alone = try DataSpec(parsing: "npy:\(x)")
      #expect(try alone.hasLabels() == false)
      #expect(try alone.load(defaultPart: .train).count == 4)
      #expect(
        spec.movingFolder { $0.replacing(folder, with: "f") }.description
          == "npy:f/x, 1.npy,f/y.npy[2..<4]")
      expectError(.io, "\(folder)/none.npy", "No such file") {
        try DataSpec(parsing: "npy:\(x),\(folder)/none.npy").load(defaultPart: .train)
      }
      expectError(.badInput, "\(folder)/x.npz", "npz:") {
        try DataSpec(parsing: "npy:\(folder)/x.npz").load(defaultPart: .train)
      }
      expectError(.badInput, "npy: has no parts") { try DataSpec(parsing: "npy:\(x):test") }
    }
  }

  @Test func shardsAndSafetensorsAreReadAlike() throws {
    try withTemporaryFolder { folder in
      let whole: Arrays = ["x": grey(6), "y": labels([0, 1, 2, 0, 1, 2])]
      try ArrayFile.write(whole, to: "\(folder)/a.safetensors")
      try NPZ.write(whole, to: "\(folder)/a.npz")
      for (index, range) in [0..<2, 2..<3, 3..<6].enumerated() {
        try put(
          NPZ.encode([
            "x": grey(range.count, from: range.lowerBound),
            "y": labels(range.map { Int64($0 % 3) }),
          ]), folder, "shards/\(index).npz")
      }
      let names = ["a.safetensors", "a.npz", "shards"]
      let sets = try names.map {
        try DataSpec(parsing: "npz:\(folder)/\($0)").load(defaultPart: .train)
      }
      for data in sets {
        #expect(data.labels == [0, 1, 2, 0, 1, 2])
        #expect(try pixels(data, [3, 1]) == Array(18..<24) + Array(6..<12))
        #expect(try Digest.sha256(data) == Digest.sha256(sets[0]))
        #expect(try Digest.sha256(data.slice(0..<5)) != Digest.sha256(sets[0]))
      }
      // The digest of images does not depend on where they are.
      guard case .uint8(let images) = grey(6) else { return }
      let packed = try ImageDataset(
        name: "packed", images: images.reshaped(to: [6, 1, 2, 3]), labels: sets[0].labels,
        classCount: 3)
      #expect(try Digest.sha256(packed) == Digest.sha256(sets[1]))
      #expect(DataFiles.paths(of: "npz:\(folder)/a.npz[50%]") == ["\(folder)/a.npz"])
      #expect(
        DataFiles.paths(of: "npz:\(folder)/shards") == (0..<3).map { "\(folder)/shards/\($0).npz" })
      #expect(DataFiles.paths(of: "npy:a.npy,b.npy") == ["a.npy", "b.npy"])
    }
  }
}
