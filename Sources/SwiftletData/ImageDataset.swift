// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletFormats

/// Samples for a model, with labels or without: images of one size, in memory or in an array of a
/// file; pictures in files, of any size; or arrays that are its inputs.
public struct ImageDataset: Sendable {
  /// Where the pixels are.
  public enum Pixels: Sendable {
    /// In memory: 0…255, N×C×H×W, packed.
    case packed(Tensor<UInt8>)
    /// In an array, read when they are needed.
    case stored(StoredImages)
    /// In files, decoded when they are needed.
    case files(ImageFiles)
    /// What a model takes, without preprocessing.
    case arrays(InputArrays)
  }

  /// The source of the images: `fashion-mnist:train[80%]`.
  public let name: String
  /// The images themselves.
  public let pixels: Pixels
  /// The number of samples.
  public let count: Int
  /// The class of each image, in `0..<classCount`; empty without labels.
  public let labels: [Int]
  /// The largest label; -1 without images.
  package let largestLabel: Int
  /// The number of classes; some of them may have no image. 0 without labels.
  public let classCount: Int
  /// The names of the classes, if the data set has them.
  public let classNames: [String]?
  /// What the model should answer, if that is not a class: a row of numbers for each sample.
  public private(set) var targets: StoredArray?

  /// Whether there are labels.
  public var hasLabels: Bool { !labels.isEmpty }

  /// Images in memory.
  ///
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
    try self.init(
      checking: name, .packed(images.contiguous()), count: images.shape[0], labels, classCount,
      classNames)
  }

  /// Images in files. None is read. `labels` are empty if there are none.
  ///
  /// Files are often listed class by class. They are put in an order in which every part of the
  /// data set, from the first image on, has the classes in the proportion of the whole: slices and
  /// calibration take the first images.
  ///
  /// - Throws: `badInput` if the counts of files and labels (or classes and names) differ, or if a
  ///   label is not in `0..<classCount`.
  public init(
    name: String, files: ImageFiles, labels: [Int], classCount: Int, classNames: [String]? = nil
  ) throws {
    try self.init(
      checking: name, .files(files), count: files.paths.count, labels, classCount, classNames)
    if hasLabels { self = subset(Self.spread(labels)) }
  }

  /// Images in an array, which are read when they are needed. `labels` are empty if there are none.
  ///
  /// - Throws: `badInput` if the numbers of images and labels differ, or if a label is not in
  ///   `0..<classCount`.
  public init(
    name: String, images: StoredImages, labels: [Int] = [], classCount: Int = 0
  ) throws {
    try self.init(checking: name, .stored(images), count: images.count, labels, classCount, nil)
  }

  /// Arrays that are the inputs of a model, with labels.
  ///
  /// - Throws: `badInput` if the numbers of samples and labels differ, or if a label is not in
  ///   `0..<classCount`.
  public init(name: String, arrays: InputArrays, labels: [Int], classCount: Int) throws {
    try self.init(checking: name, .arrays(arrays), count: arrays.count, labels, classCount, nil)
  }

  /// Arrays that are the inputs of a model, without labels.
  public init(name: String = "arrays", arrays: InputArrays) {
    self.init(
      checked: name, pixels: .arrays(arrays), count: arrays.count, labels: [], classCount: 0,
      classNames: nil)
  }

  /// The samples in an order in which every part has the classes in the proportion of the whole, if
  /// they come class by class: less than half as many neighbours differ as would at random.
  func spreadIfSorted() -> ImageDataset {
    guard hasLabels else { return self }
    let shares = Dictionary(grouping: labels) { $0 }.values.map {
      Double($0.count) / Double(max(1, count))
    }
    let different = Double(count) * (1 - shares.reduce(0) { $0 + $1 * $1 })
    let found = zip(labels, labels.dropFirst()).count { $0 != $1 }
    return Double(found) < different / 2 ? subset(Self.spread(labels)) : self
  }

  /// Positions of images in an order that spreads those of each class evenly, in their own order.
  private static func spread(_ labels: [Int]) -> [Int] {
    var totals: [Int: Int] = [:]
    for label in labels { totals[label, default: 0] += 1 }
    var seen: [Int: Int] = [:]
    let places = labels.map { label in
      seen[label, default: 0] += 1
      return (Double(seen[label]!) - 0.5) / Double(totals[label]!)
    }
    return labels.indices.sorted { (places[$0], $0) < (places[$1], $1) }
  }

  private init(
    checking name: String, _ pixels: Pixels, count: Int, _ labels: [Int], _ classCount: Int,
    _ classNames: [String]?
  ) throws {
    func invalid(_ what: String) -> SwiftletError { SwiftletError(.badInput, what, at: name) }
    guard count == labels.count || labels.isEmpty else {
      throw invalid("there are \(count) images and \(labels.count) labels")
    }
    if let index = labels.firstIndex(where: { $0 < 0 || $0 >= classCount }) {
      throw invalid("image \(index) has label \(labels[index]), outside of 0..<\(classCount)")
    }
    if let classNames, classNames.count != classCount {
      throw invalid("there are \(classCount) classes and \(classNames.count) class names")
    }
    self.init(
      checked: name, pixels: pixels, count: count, labels: labels, classCount: classCount,
      classNames: classNames)
  }

  private init(
    checked name: String, pixels: Pixels, count: Int, labels: [Int], classCount: Int,
    classNames: [String]?
  ) {
    self.name = name
    self.pixels = pixels
    self.count = count
    self.labels = labels
    largestLabel = labels.max() ?? -1
    self.classCount = classCount
    self.classNames = classNames
  }

  private func replacing(
    _ pixels: Pixels, _ labels: [Int], _ targets: StoredArray?, count: Int, name: String? = nil
  ) -> ImageDataset {
    var result = ImageDataset(
      checked: name ?? self.name, pixels: pixels, count: count, labels: labels,
      classCount: classCount, classNames: classNames)
    result.targets = targets
    return result
  }

  /// The samples without their labels.
  func withoutLabels() -> ImageDataset {
    ImageDataset(
      checked: name, pixels: pixels, count: count, labels: [], classCount: 0, classNames: nil)
  }

  func renamed(_ name: String) -> ImageDataset {
    replacing(pixels, labels, targets, count: count, name: name)
  }

  /// The same samples with answers that are not classes: a row for each.
  ///
  /// - Throws: `badInput` if the numbers of samples and rows differ.
  public func with(targets: StoredArray) throws -> ImageDataset {
    guard targets.shape.rank > 0, targets.count == count else {
      throw SwiftletError(
        .badInput, "there are \(count) samples, and targets of shape \(targets.shape)", at: name)
    }
    return replacing(pixels, labels, targets, count: count)
  }

  /// The images in memory, N×C×H×W; `nil` for others.
  public var packed: Tensor<UInt8>? {
    if case .packed(let images) = pixels { images } else { nil }
  }

  /// The images at `indices`, in that order, copied if they are in memory.
  ///
  /// - Precondition: Every index is in `0..<count`.
  public func subset(_ indices: [Int]) -> ImageDataset {
    let chosen: Pixels =
      switch pixels {
      case .packed(let images): .packed(images.rows(indices))
      case .stored(let images): .stored(images.subset(indices))
      case .files(let files): .files(ImageFiles(indices.map { files.paths[$0] }))
      case .arrays(let arrays): .arrays(arrays.choosing(indices))
      }
    return replacing(
      chosen, hasLabels ? indices.map { labels[$0] } : [], targets?.subset(indices),
      count: indices.count)
  }

  /// The images in `range`, sharing memory with this data set.
  ///
  /// - Precondition: `range` lies in `0..<count`.
  public func slice(_ range: Range<Int>) -> ImageDataset {
    let part: Pixels =
      switch pixels {
      case .packed(let images): .packed(images.slice(axis: 0, range: range))
      case .stored(let images): .stored(images.slice(range))
      case .files(let files): .files(ImageFiles(Array(files.paths[range])))
      case .arrays(let arrays): .arrays(arrays.choosing(Array(range)))
      }
    return replacing(
      part, hasLabels ? Array(labels[range]) : [], targets?.slice(range), count: range.count)
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
        fix: "use a fraction between 0 and 1, such as 0.8")
    }
    var generator = RandomGenerator(seed: seed)
    let order = generator.permutation(of: count)
    return (subset(Array(order[..<trainingCount])), subset(Array(order[trainingCount...])))
  }

  /// The classes, for display, if they have names: `2 classes in images:pets: cat, dog`.
  public var classRemark: String? {
    guard let classNames else { return nil }
    let shown = classNames.prefix(6).joined(separator: ", ")
    return "\(classCount) class\(classCount == 1 ? "" : "es") in \(name): \(shown)"
      + (classCount > 6 ? ", …" : "")
  }

  /// - Throws: `badInput` for many samples without elements, of which a small file may claim any
  ///   number.
  func requireElements() throws {
    guard count > 1 << 20, case .arrays(let inputs) = pixels else { return }
    guard inputs.samples.contains(where: { $0.array.rowShape.count > 0 }) else {
      throw SwiftletError(
        .badInput, "the \(count) samples have no elements", at: name,
        fix: "give arrays with elements")
    }
  }

  /// - Throws: `badInput` without labels.
  package func requireLabels() throws {
    guard hasLabels else {
      if targets != nil {
        throw SwiftletError(
          .badInput, "the labels are targets, not one class for each sample", at: name,
          fix: "save class numbers as integers, such as labels.astype('int64')")
      }
      throw SwiftletError(
        .badInput, "the data have no labels", at: name,
        fix: "give labelled data: a folder of pictures for each class, or arrays x and y in an npz "
          + "file")
    }
  }
}
