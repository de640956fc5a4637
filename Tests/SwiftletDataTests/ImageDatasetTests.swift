// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletData
import Testing
import _SwiftletTestSupport

@Suite struct ImageDatasetTests {
  /// Images whose first pixel is their number and whose label is that modulo 3.
  static func numbered(_ count: Int) throws -> ImageDataset {
    try ImageDataset(
      name: "numbers",
      images: Tensor([count, 1, 1, 2], (0..<count).flatMap { [UInt8($0), 255] }),
      labels: (0..<count).map { $0 % 3 }, classCount: 3, classNames: ["a", "b", "c"])
  }

  static func numbers(_ dataset: ImageDataset) -> [Int] {
    (0..<dataset.count).map { Int(dataset.packed![$0, 0, 0, 0]) }
  }

  @Test func checksItsParts() {
    let images = Tensor<UInt8>(zeros: [2, 1, 2, 2])
    func make(
      _ images: Tensor<UInt8>, _ labels: [Int], _ classCount: Int, _ names: [String]? = nil
    ) throws -> ImageDataset {
      try ImageDataset(
        name: "some", images: images, labels: labels, classCount: classCount, classNames: names)
    }
    expectError(.badInput, "2×4", "some") { try make(images.reshaped(to: [2, 4]), [0, 0], 1) }
    expectError(.badInput, "2×1×0×2") { try make(Tensor(zeros: [2, 1, 0, 2]), [0, 0], 1) }
    expectError(.badInput, "2 images and 3 labels") { try make(images, [0, 0, 0], 1) }
    expectError(.badInput, "image 1 has label 2", "0..<2") { try make(images, [1, 2], 2) }
    expectError(.badInput, "image 0 has label -1") { try make(images, [-1, 0], 2) }
    expectError(.badInput, "2 classes and 1 class names") { try make(images, [0, 1], 2, ["a"]) }
  }

  @Test func packsViews() throws {
    let images = Tensor<UInt8>([1, 2, 2, 1], [1, 2, 3, 4]).permuted(to: [0, 2, 1, 3])
    let dataset = try ImageDataset(name: "view", images: images, labels: [0], classCount: 1)
    #expect(dataset.packed!.isContiguous)
    #expect(dataset.packed!.elements == [1, 3, 2, 4])
  }

  @Test func subsetsAndSlices() throws {
    let dataset = try Self.numbered(10)
    let subset = dataset.subset([7, 0, 7])
    #expect(Self.numbers(subset) == [7, 0, 7])
    #expect(subset.labels == [1, 0, 1])
    let slice = dataset.slice(4..<9).slice(1..<3)
    #expect(Self.numbers(slice) == [5, 6])
    #expect(slice.labels == [2, 0])
    #expect(slice.classNames == ["a", "b", "c"])
    #expect(Self.numbers(slice.subset([1])) == [6])
    #expect(dataset.slice(3..<3).count == 0)
    #expect(dataset.subset([]).packed!.shape == [0, 1, 1, 2])
  }

  @Test(arguments: [(10, 0.8, 8), (10, 0.05, 1), (3, 0.5, 2), (2, 0.5, 1), (200, 0.999, 0)])
  func splits(count: Int, fraction: Double, trainingCount: Int) throws {
    let dataset = try Self.numbered(count)
    guard trainingCount > 0 else {
      expectError(.badInput, "0.999", "200") { try dataset.split(fraction, seed: 1) }
      return
    }
    let (training, validation) = try dataset.split(fraction, seed: 1)
    #expect(training.count == trainingCount)
    let all = Self.numbers(training) + Self.numbers(validation)
    #expect(all.sorted() == Array(0..<count))
    for part in [training, validation] {
      #expect(part.labels == Self.numbers(part).map { $0 % 3 })
    }
    let again = try dataset.split(fraction, seed: 1)
    #expect(Self.numbers(again.training) == Self.numbers(training))
    if count == 10 && trainingCount == 8 {
      let other = try dataset.split(fraction, seed: 2)
      #expect(Self.numbers(other.training) != Self.numbers(training))
    }
  }

  @Test(arguments: [0, 1, -0.1, 1.5, .nan, .infinity, -.infinity, 0.01])
  func refusesEmptyParts(fraction: Double) throws {
    let dataset = try Self.numbered(10)
    expectError(.badInput, "numbers") { try dataset.split(fraction, seed: 1) }
  }
}
