// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// Labelled images of one size, as their published bytes.
public struct ImageDataset: Sendable {
  /// The source of the images: `fashion-mnist:train[80%]`.
  public let name: String
  /// Pixels 0…255, N×C×H×W, packed.
  public let images: Tensor<UInt8>
  /// The class of each image, in `0..<classCount`.
  public let labels: [Int]
  /// The largest label; -1 without images.
  package let largestLabel: Int
  /// The number of classes; some of them may have no image.
  public let classCount: Int
  /// The names of the classes, if the data set has them.
  public let classNames: [String]?

  /// The number of images.
  public var count: Int { labels.count }

  /// - Throws: `badInput` if the images are not N×C×H×W with at least one pixel each, if the counts
  ///   of images and labels (or classes and names) differ, or if a label is not in
  ///   `0..<classCount`.
  public init(
    name: String, images: Tensor<UInt8>, labels: [Int], classCount: Int,
    classNames: [String]? = nil
  ) throws {
    func invalid(_ what: String) -> SwiftletError { SwiftletError(.badInput, what, at: name) }
    guard images.shape.rank == 4, images.shape.dimensions.dropFirst().allSatisfy({ $0 > 0 }) else {
      throw invalid("images have shape \(images.shape), not N×C×H×W with at least one pixel")
    }
    guard images.shape[0] == labels.count else {
      throw invalid("there are \(images.shape[0]) images and \(labels.count) labels")
    }
    if let index = labels.firstIndex(where: { $0 < 0 || $0 >= classCount }) {
      throw invalid("image \(index) has label \(labels[index]), outside of 0..<\(classCount)")
    }
    if let classNames, classNames.count != classCount {
      throw invalid("there are \(classCount) classes and \(classNames.count) class names")
    }
    self.init(
      checked: name, images: images.contiguous(), labels: labels, classCount: classCount,
      classNames: classNames)
  }

  private init(
    checked name: String, images: Tensor<UInt8>, labels: [Int], classCount: Int,
    classNames: [String]?
  ) {
    self.name = name
    self.images = images
    self.labels = labels
    largestLabel = labels.max() ?? -1
    self.classCount = classCount
    self.classNames = classNames
  }

  private func replacing(
    name: String? = nil, images: Tensor<UInt8>? = nil, labels: [Int]? = nil
  ) -> ImageDataset {
    ImageDataset(
      checked: name ?? self.name, images: images ?? self.images, labels: labels ?? self.labels,
      classCount: classCount, classNames: classNames)
  }

  func renamed(_ name: String) -> ImageDataset { replacing(name: name) }

  /// The images at `indices`, in that order, copied.
  ///
  /// - Precondition: Every index is in `0..<count`.
  public func subset(_ indices: [Int]) -> ImageDataset {
    let pixelCount = images.shape.count(of: 1..<4)
    var chosen = Tensor<UInt8>(
      uninitialized: images.shape.replacing(axis: 0, with: indices.count))
    let source = images.span
    var target = chosen.mutableSpan
    for (position, index) in indices.enumerated() {
      let image = source.extracting(index * pixelCount..<(index + 1) * pixelCount)
      target.copy(image, to: position * pixelCount)
    }
    return replacing(images: chosen, labels: indices.map { labels[$0] })
  }

  /// The images in `range`, sharing memory with this data set.
  ///
  /// - Precondition: `range` lies in `0..<count`.
  public func slice(_ range: Range<Int>) -> ImageDataset {
    replacing(images: images.slice(axis: 0, range: range), labels: Array(labels[range]))
  }

  /// Splits the data set in two after shuffling it.
  ///
  /// - Parameters:
  ///   - fraction: The share of the images for training, 0 to 1.
  ///   - seed: The same seed gives the same split.
  /// - Throws: `badInput` if one part would be empty.
  public func split(
    _ fraction: Double, seed: UInt64
  ) throws -> (training: ImageDataset, validation: ImageDataset) {
    let trainingCount = 0...1 ~= fraction ? Int((fraction * Double(count)).rounded()) : 0
    guard 0 < trainingCount, trainingCount < count else {
      throw SwiftletError(
        .badInput, "a split of \(fraction) leaves a part of \(count) images empty", at: name,
        mend: "use a fraction between 0 and 1, such as 0.8")
    }
    var generator = RandomGenerator(seed: seed)
    let order = generator.permutation(of: count)
    return (subset(Array(order[..<trainingCount])), subset(Array(order[trainingCount...])))
  }
}
