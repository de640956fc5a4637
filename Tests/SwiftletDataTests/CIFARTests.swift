// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletData
import SwiftletFormats
import Testing
import _SwiftletTestSupport

@Suite struct CIFARTests {
  /// Records with the given label bytes, and their images.
  static func records(_ labels: [[UInt8]], seed: UInt64 = 1) -> (file: [UInt8], pixels: [UInt8]) {
    let pixels = randomBytes(labels.count * 3072, seed: seed)
    let file = labels.indices.flatMap { labels[$0] + pixels[$0 * 3072..<($0 + 1) * 3072] }
    return (file, pixels)
  }

  @Test(arguments: ["", "cifar-100-binary/"])
  func readsCIFAR100(subfolder: String) throws {
    try withTemporaryFolder { folder in
      let train = Self.records([[0, 0], [19, 99], [3, 42]])
      let test = Self.records([[1, 7]], seed: 2)
      let names = (0..<100).map { "class \($0)" }
      try put(train.file, folder, subfolder + "train.bin")
      try put(test.file, folder, subfolder + "test.bin")
      try put(
        Array((names.joined(separator: "\n") + "\n").utf8), folder,
        subfolder + "fine_label_names.txt")

      let images = try CIFAR.cifar100.load(folder, part: .train)
      #expect(images.packed! == Tensor([3, 3, 32, 32], train.pixels))
      #expect(images.labels == [0, 99, 42])
      #expect(images.classCount == 100)
      #expect(images.classNames == names)
      let other = try DataSpec(parsing: "cifar100:\(folder):test").load(defaultPart: .train)
      #expect(other.packed! == Tensor([1, 3, 32, 32], test.pixels))
      #expect(other.labels == [7])
      #expect(other.name == "cifar100:\(folder):test")
    }
  }

  @Test func readsTheFilesOfCIFAR10InOrder() throws {
    try withTemporaryFolder { folder in
      let parts = (1...5).map { Self.records([[UInt8($0)], [9]], seed: UInt64($0)) }
      for (index, part) in parts.enumerated() {
        try put(part.file, folder, "cifar-10-batches-bin/data_batch_\(index + 1).bin")
      }
      let images = try CIFAR.cifar10.load(folder, part: .train)
      #expect(images.labels == [1, 9, 2, 9, 3, 9, 4, 9, 5, 9])
      #expect(images.packed!.elements == parts.flatMap(\.pixels))
      #expect(images.classNames == nil)
      expectError(.io, "test_batch.bin", folder) { try CIFAR.cifar10.load(folder, part: .test) }
    }
  }

  @Test func refusesDamage() throws {
    try withTemporaryFolder { folder in
      let load = { try CIFAR.cifar100.load(folder, part: .train) }
      let good = Self.records([[0, 1], [2, 3]]).file
      expectError(.io, "train.bin is missing", "cifar-100-binary", body: load)
      try put([], folder, "train.bin")
      expectError(.badInput, "train.bin", "0 bytes", body: load)
      try put(good.dropLast(), folder, "train.bin")
      expectError(.badInput, "train.bin", "6147 bytes", "3074", body: load)
      try put(good + [0], folder, "train.bin")
      expectError(.badInput, "train.bin", "6149 bytes", body: load)
      try put(Self.records([[0, 1], [2, 100]]).file, folder, "train.bin")
      expectError(.badInput, "record 1", "label 100", "byte 3075", body: load)
      try put(Self.records([[20, 1]]).file, folder, "train.bin")
      expectError(.badInput, "record 0", "label 20", body: load)
      try put(good, folder, "train.bin")
      try put(Array("apple\nfish\n".utf8), folder, "fine_label_names.txt")
      expectError(.badInput, "2 class names", "fine_label_names.txt", body: load)
    }
  }

  @Test func refusesMissingBatch() throws {
    try withTemporaryFolder { folder in
      for batch in 1...4 {
        try put(Self.records([[0]]).file, folder, "data_batch_\(batch).bin")
      }
      expectError(.io, "data_batch_5.bin") { try CIFAR.cifar10.load(folder, part: .train) }
      try put(Self.records([[10]]).file, folder, "test_batch.bin")
      expectError(.badInput, "record 0", "0..<10") { try CIFAR.cifar10.load(folder, part: .test) }
    }
  }

  @Test func whatIsWrittenIsWhatIsRead() throws {
    let (file, pixels) = Self.records([[3, 42], [19, 99]])
    let images = Tensor<UInt8>([2, 3, 32, 32], pixels)
    #expect(try CIFAR.cifar100.encode(images, labels: [42, 99], coarseLabels: [3, 19]) == file)
    #expect(
      try CIFAR.cifar10.encode(images, labels: [1, 9]) == Self.records([[1], [9]]).file)
    expectError(.badInput, "label 10") { try CIFAR.cifar10.encode(images, labels: [1, 10]) }
    expectError(.badInput, "label -1") { try CIFAR.cifar10.encode(images, labels: [-1, 0]) }
    expectError(.badInput) { try CIFAR.cifar10.encode(images, labels: [1]) }
    expectError(.badInput) { try CIFAR.cifar100.encode(images, labels: [1, 2]) }
  }
}
