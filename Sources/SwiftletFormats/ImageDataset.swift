public import SwiftletCore

/// Labelled images of one size.
public struct ImageDataset: Sendable {
  public let name: String
  /// N×channels×height×width, one byte per value.
  public let images: Tensor<UInt8>
  /// The class of each image, in 0 ..< classCount.
  public let labels: [Int]
  public let classCount: Int
  public let classNames: [String]?

  public var count: Int { labels.count }

  /// - Throws: `badInput` if there are no images, not one label per image, or labels out of range.
  public init(
    name: String, images: Tensor<UInt8>, labels: [Int], classCount: Int, classNames: [String]? = nil
  ) throws {
    guard images.shape.rank == 4, images.shape.count > 0 else {
      throw SwiftletError(.badInput, "images of shape \(images.shape)", at: name)
    }
    guard labels.count == images.shape[0] else {
      throw SwiftletError(
        .badInput, "\(images.shape[0]) images but \(labels.count) labels", at: name)
    }
    if let index = labels.firstIndex(where: { !(0..<classCount ~= $0) }) {
      throw SwiftletError(
        .badInput, "label \(labels[index]) of image \(index) is not below \(classCount)", at: name)
    }
    self.name = name
    self.images = images
    self.labels = labels
    self.classCount = classCount
    self.classNames = classNames
  }

  private init(_ whole: ImageDataset, images: Tensor<UInt8>, labels: [Int]) {
    name = whole.name
    self.images = images
    self.labels = labels
    classCount = whole.classCount
    classNames = whole.classNames
  }

  /// The images at the given positions, copied.
  ///
  /// - Precondition: Every index is below ``count``.
  public func subset(_ indices: [Int]) -> ImageDataset {
    let source = images.contiguous()
    let length = images.count / count
    var chosen = Tensor<UInt8>(uninitialized: images.shape.replacing(axis: 0, with: indices.count))
    var target = chosen.mutableSpan
    for (row, index) in indices.enumerated() {
      target.copy(source.span.extracting(index * length..<(index + 1) * length), to: row * length)
    }
    return ImageDataset(self, images: chosen, labels: indices.map { labels[$0] })
  }

  /// The images in a range of positions, without a copy.
  ///
  /// - Precondition: The range lies within 0 ..< count.
  public func slice(_ range: Range<Int>) -> ImageDataset {
    ImageDataset(self, images: images.slice(axis: 0, range: range), labels: Array(labels[range]))
  }

  /// Shuffles the images and cuts them in two: the first `fraction` to train on, the others to
  /// validate with.
  ///
  /// - Throws: `badInput` if a part would be empty.
  public func split(
    _ fraction: Double, seed: UInt64
  ) throws -> (training: ImageDataset, validation: ImageDataset) {
    let cut = fraction.isFinite ? Int((Double(count) * fraction).rounded()) : 0
    guard fraction > 0, fraction < 1, 1..<count ~= cut else {
      throw SwiftletError(
        .badInput, "a split of \(fraction) leaves a part of \(count) images empty", at: name,
        mend: "give a fraction between 0 and 1, such as 0.8")
    }
    var generator = RandomGenerator(seed: seed)
    let order = generator.permutation(of: count)
    return (subset(Array(order[..<cut])), subset(Array(order[cut...])))
  }
}
