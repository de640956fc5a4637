// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletData
import SwiftletFiles
import Testing
import _SwiftletTestSupport

@Suite struct DataSpecParsingTests {
  typealias Bound = DataSpec.Slice.Bound

  static func spec(
    _ source: DataSpec.Source, _ part: DataSpec.Part?, isUnlabelled: Bool = false,
    _ slices: (Bound, Bound)...
  ) -> Expected {
    Expected(
      source: source, part: part, isUnlabelled: isUnlabelled,
      slices: slices.map { DataSpec.Slice(from: $0.0, to: $0.1) })
  }

  struct Expected: Sendable {
    let source: DataSpec.Source
    let part: DataSpec.Part?
    let isUnlabelled: Bool
    let slices: [DataSpec.Slice]
  }

  static let good: [(String, Expected)] = [
    ("fashion-mnist", spec(.fashionMNIST, nil)),
    ("fashion-mnist:test", spec(.fashionMNIST, .test)),
    ("fashion-mnist[0..<1000]", spec(.fashionMNIST, nil, (.index(0), .index(1000)))),
    ("fashion-mnist:train[80%]", spec(.fashionMNIST, .train, (.percent(0), .percent(80)))),
    ("fashion-mnist[20%..<80%]", spec(.fashionMNIST, nil, (.percent(20), .percent(80)))),
    ("idx:a[10%..<500]", spec(.idx(folder: "a"), nil, (.percent(10), .index(500)))),
    (
      "idx:a:test[50%][0..<7]",
      spec(.idx(folder: "a"), .test, (.percent(0), .percent(50)), (.index(0), .index(7)))
    ),
    ("cifar10:/data", spec(.cifar10(folder: "/data"), nil)),
    ("cifar100:/data:train", spec(.cifar100(folder: "/data"), .train)),
    ("idx:C:/a:b", spec(.idx(folder: "C:/a:b"), nil)),
    ("idx:a:test:train", spec(.idx(folder: "a:test"), .train)),
    ("idx:./train", spec(.idx(folder: "./train"), nil)),
    ("idx:/with space/Ünï", spec(.idx(folder: "/with space/Ünï"), nil)),
    ("idx:/a[1]/b", spec(.idx(folder: "/a[1]/b"), nil)),
    ("images:a:unlabelled", spec(.images(folder: "a"), nil, isUnlabelled: true)),
    (
      "images:a:test:unlabelled[50%]",
      spec(.images(folder: "a"), .test, isUnlabelled: true, (.percent(0), .percent(50)))
    ),
    ("images:a:unlabelled:test", spec(.images(folder: "a:unlabelled"), .test)),
    ("list:a.csv:unlabelled", spec(.list(file: "a.csv"), nil, isUnlabelled: true)),
    ("npz:a.npz:test[0..<5]", spec(.npz(path: "a.npz"), .test, (.index(0), .index(5)))),
    ("npz:./shards", spec(.npz(path: "./shards"), nil)),
    ("npy:x.npy", spec(.npy(samples: "x.npy", labels: nil), nil)),
    (
      "npy:a, b/x.npy,C:/y.npy[50%]",
      spec(.npy(samples: "a, b/x.npy", labels: "C:/y.npy"), nil, (.percent(0), .percent(50)))
    ),
    ("inputs:a:b.npz", spec(.inputs(path: "a:b.npz"), nil)),
  ]

  @Test(arguments: good)
  func parses(text: String, expected: Expected) throws {
    let spec = try DataSpec(parsing: text)
    #expect(spec.source == expected.source)
    #expect(spec.part == expected.part)
    #expect(spec.isUnlabelled == expected.isUnlabelled)
    #expect(spec.slices == expected.slices)
    #expect(try DataSpec(parsing: spec.description) == spec)
  }

  @Test(arguments: [
    "", ":", "mnist", "Fashion-MNIST", "fashion-mnist:valid", "fashion-mnist:",
    "fashion-mnist::test",
    "fashion-mnist:test:train", "fashion-mnist[0..<10]:test", "cifar10", "cifar10:",
    "cifar100:train",
    "images:unlabelled", "images::unlabelled", "fashion-mnist[80%]:unlabelled",
    "idx:test", "idx::train", "fashion-mnist[", "fashion-mnist]", "fashion-mnist[]",
    "fashion-mnist[%]", "fashion-mnist[10]", "fashion-mnist[101%]", "fashion-mnist[-1%]",
    "fashion-mnist[+5%]", "fashion-mnist[0..10]", "fashion-mnist[0...10]", "fashion-mnist[..<10]",
    "fashion-mnist[10..<]", "fashion-mnist[0..<10..<20]", "fashion-mnist[a..<b]",
    "fashion-mnist[0..<99999999999999999999]", "fashion-mnist[0x1..<0x9]", "fashion-mnist[ 80%]",
    "npz", "npz:", "npz::test", "npy:", "npy:x.npy,y.npy:test", "inputs:a.npz:train", "inputs:",
    "fashion-mnist[٣%]", "fashion-mnist[80%]x", "[80%]",
  ])
  func refuses(text: String) {
    expectError(.badInput, "data '\(text)'", "use images:DIR, list:FILE.csv, fashion-mnist") {
      try DataSpec(parsing: text)
    }
  }
}

@Suite struct DataSpecLoadingTests {
  /// Ten training images of 2×2 with labels 0…4, in the given spelling of the file names.
  static func putTraining(_ folder: String, packed: Bool = false) throws {
    let images = idx([10, 2, 2], (0..<40).map { UInt8($0) })
    let labels = idx([10], (0..<10).map { UInt8($0 / 2) })
    let ending = packed ? ".gz" : ""
    try put(packed ? gzip(images) : images, folder, "train-images-idx3-ubyte\(ending)")
    try put(packed ? gzip(labels) : labels, folder, "train-labels-idx1-ubyte\(ending)")
  }

  static func load(_ text: String) throws -> ImageDataset {
    try DataSpec(parsing: text).load(defaultPart: .train)
  }

  @Test(arguments: [false, true])
  func loadsIDXFolders(packed: Bool) throws {
    try withTemporaryFolder { folder in
      try Self.putTraining(folder, packed: packed)
      let images = try Self.load("idx:\(folder)")
      #expect(images.packed! == Tensor([10, 1, 2, 2], (0..<40).map { UInt8($0) }))
      #expect(images.labels == (0..<10).map { $0 / 2 })
      #expect(images.classCount == 5)
      #expect(images.name == "idx:\(folder):train")
      expectError(.io, "t10k-images-idx3-ubyte[.gz] or test-", folder) {
        try Self.load("idx:\(folder):test")
      }
    }
  }

  @Test(arguments: ["t10k", "test"])
  func loadsTestPartAlone(prefix: String) throws {
    try withTemporaryFolder { folder in
      try put(idx([1, 3, 1, 1], [1, 2, 3]), folder, "\(prefix)-images-idx3-ubyte")
      expectError(.io, "\(prefix)-labels-idx1-ubyte") { try Self.load("idx:\(folder):test") }
      try put(idx([1], [2]), folder, "\(prefix)-labels-idx1-ubyte")
      #expect(try Self.load("idx:\(folder):test").packed!.shape == [1, 3, 1, 1])
    }
  }

  @Test(arguments: [
    ("[0..<10]", 0..<10), ("[3..<4]", 3..<4), ("[80%]", 0..<8), ("[80%..<100%]", 8..<10),
    ("[15%..<35%]", 1..<3), ("[50%][2..<4]", 2..<4), ("[50%..<10]", 5..<10), ("", 0..<10),
  ])
  func slices(text: String, range: Range<Int>) throws {
    try withTemporaryFolder { folder in
      try Self.putTraining(folder)
      let images = try Self.load("idx:\(folder)\(text)")
      #expect((0..<images.count).map { images.packed![$0, 0, 0, 0] } == range.map { UInt8($0 * 4) })
    }
  }

  @Test(arguments: ["[0..<11]", "[5..<5]", "[6..<5]", "[0%]", "[5%]", "[50%][0..<6]", "[11..<12]"])
  func refusesSlicesOutside(text: String) throws {
    try withTemporaryFolder { folder in
      try Self.putTraining(folder)
      expectError(.badInput, "slice", folder) { try Self.load("idx:\(folder)\(text)") }
    }
  }

  @Test func refusesInconsistentFolders() throws {
    try withTemporaryFolder { folder in
      try Self.putTraining(folder)
      try put(idx([9], [UInt8](repeating: 0, count: 9)), folder, "train-labels-idx1-ubyte")
      expectError(.badInput, "10 images and 9 labels", folder) { try Self.load("idx:\(folder)") }
      try put(idx([10, 4], [UInt8](repeating: 0, count: 40)), folder, "train-images-idx3-ubyte")
      expectError(.badInput, "rank 2", "train-images") { try Self.load("idx:\(folder)") }
      try put(idx([0, 2, 2], []), folder, "train-images-idx3-ubyte")
      try put(idx([0], []), folder, "train-labels-idx1-ubyte")
      expectError(.badInput, "no images", folder) { try Self.load("idx:\(folder)") }
    }
  }

  @Test(arguments: ["", "fashion-mnist/"])
  func looksForFashionMNISTInDataDirectory(subfolder: String) throws {
    try withTemporaryFolder { folder in
      try Self.putTraining("\(folder)/\(subfolder)")
      let images = try DataSpec(parsing: "fashion-mnist:train")
        .load(defaultPart: .test, dataDirectory: folder)
      #expect(images.count == 10)
      #expect(images.classCount == 10)
      #expect(images.classNames?.first == "T-shirt/top")
      try put(
        idx([10], [10] + [UInt8](repeating: 0, count: 9)), folder,
        "\(subfolder)train-labels-idx1-ubyte")
      expectError(.badInput, "label 10", "0..<10", "train-labels") {
        try DataSpec(parsing: "fashion-mnist").load(defaultPart: .train, dataDirectory: folder)
      }
    }
  }

  @Test func fashionMNISTSearchPath() {
    let debian = "/usr/share/datasets/fashion-mnist"
    #expect(FashionMNIST.searchPath(dataDirectory: nil, environment: nil) == [debian])
    #expect(
      FashionMNIST.searchPath(dataDirectory: "/a", environment: "/b/")
        == ["/a", "/a/fashion-mnist", "/b/", "/b/fashion-mnist", debian])
    expectError(.io, "(/none, /nope)", "apt install dataset-fashion-mnist or pass --data-dir") {
      try FashionMNIST.load(.train, from: ["/none", "/nope"])
    }
  }

  @Test(
    .enabled(if: InputFile.exists("/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz")))
  func loadsDebiansFashionMNIST() throws {
    let images = try DataSpec(parsing: "fashion-mnist:test").load(defaultPart: .train)
    #expect(images.packed!.shape == [10_000, 1, 28, 28])
    #expect(Set(images.labels) == Set(0..<10))
    #expect(Array(images.labels.prefix(4)) == [9, 2, 1, 1])
  }
}
