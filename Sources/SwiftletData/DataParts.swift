// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The images that a model is trained and calibrated with, and the images that it is evaluated on:
/// its performance on training images says nothing about others.
///
/// | data                | trained with           | evaluated on                                  |
/// |---------------------|------------------------|-----------------------------------------------|
/// | no part named       | the training part      | the test part                                 |
/// | `:train`            | those images           | the test part, all of it                      |
/// | `:test`             | 80 % of those images   | the rest                                      |
/// | a fraction is given | that share of them     | the rest                                      |
/// | `judge` is given    | the images             | those of `judge`, by default of the test part |
///
/// Images are split after shuffling by the seed; at least one is kept for evaluation.
public struct DataParts: Sendable {
  /// Images to train and calibrate with.
  public let training: ImageDataset
  /// Images to judge on.
  public let validation: ImageDataset
  /// How the images were split, for display; `nil` if the data set's own parts were used.
  public let remark: String?
  /// The number of evaluation images that are also used for training: the same
  /// pixels, or the same files.
  public let shared: Int
  /// The fraction used for training, if the images of one part were split.
  public let split: Double?

  /// The default fraction for training, if one part has to serve for both.
  public static let usualSplit = 0.8
  /// The acceptable share of duplicate images between the parts of a data set, relative to the
  /// evaluation images.
  private static let coincidence = 0.01

  /// `judgesWhole`: without a named part, whether the whole test part counts, or the same slice as
  /// of the training part.
  ///
  /// `damaged`: leaves out pictures that cannot be decoded, before images are split.
  /// `progress`: called as samples in arrays are compared; throws to cancel.
  ///
  /// - Throws: As ``DataSpec/load(defaultPart:dataDirectory:leavingOut:)``; `badInput` if
  ///   evaluation images are also used for training and both were chosen explicitly, or if a part
  ///   would be empty.
  public init(
    _ spec: DataSpec, split: Double? = nil, judge: DataSpec? = nil, seed: UInt64,
    dataDirectory: String? = nil, judgesWhole: Bool = false,
    leavingOut damaged: DamagedPictures? = nil, progress: Progress.Handler? = nil
  ) throws {
    if let judge {
      try self.init(spec, judge, dataDirectory, damaged, progress)
      return
    }
    let images = try spec.load(
      defaultPart: .train, dataDirectory: dataDirectory, leavingOut: damaged)
    if let split {
      try self.init(dividing: images, split, seed, reason: nil, progress)
      return
    }
    let hasTestPart = spec.mayHaveTestPart()
    var reason =
      hasTestPart ? "the test part was selected" : "there is no test part"
    if let other = spec.testPart(isWhole: judgesWhole) {
      do {
        let validation = try other.load(
          defaultPart: .test, dataDirectory: dataDirectory, leavingOut: damaged)
        let isNews = spec.part != nil && !judgesWhole
        try self.init(
          images, validation, split: nil,
          remark: isNews ? "evaluated on \(Self.count(validation))" : nil, progress)
        return
      } catch let error as SwiftletError where error.code == .io && spec.part == .train {
        reason = "there is no test part"
      }
    }
    try self.init(dividing: images, seed, reason: reason, progress)
  }

  /// Samples that have no parts of their own, to train and calibrate with and to judge on.
  ///
  /// - Parameters:
  ///   - samples: The samples.
  ///   - judging: Others to judge on; `nil`: some of the samples.
  ///   - split: The fraction to train with, without others to judge on; `nil`: 80 %.
  ///   - seed: The same seed gives the same split.
  ///   - progress: Called as samples are compared; throws to cancel.
  /// - Throws: `badInput` if a part would be empty, or if classes have other names in the two.
  public init(
    _ samples: ImageDataset, judging: ImageDataset? = nil, split: Double? = nil, seed: UInt64,
    progress: Progress.Handler? = nil
  ) throws {
    if let judging {
      try self.init(
        samples, judging, split: nil, remark: "evaluated on \(Self.count(judging))", progress)
    } else if let split {
      try self.init(dividing: samples, split, seed, reason: nil, progress)
    } else {
      try self.init(dividing: samples, seed, reason: "there is no test part", progress)
    }
  }

  /// Divides images of which there is one part only.
  private init(
    dividing images: ImageDataset, _ seed: UInt64, reason: String, _ progress: Progress.Handler?
  ) throws {
    guard images.count > 1 else {
      throw SwiftletError(
        .badInput, "\(reason): one image cannot serve for both training and evaluation",
        at: images.name, fix: "give more images, or evaluation images with --judge")
    }
    // At least one image is kept for evaluation.
    let most = Double(images.count - 1) / Double(images.count)
    try self.init(dividing: images, min(Self.usualSplit, most), seed, reason: reason, progress)
  }

  private init(
    _ training: ImageDataset, _ validation: ImageDataset, split: Double?, remark: String?,
    _ progress: Progress.Handler?
  ) throws {
    if let own = training.classNames, let other = validation.classNames, own != other {
      let odd = Set(own).symmetricDifference(other).min() ?? own[0]
      throw SwiftletError(
        .badInput, "the classes differ from those of \(training.name): '\(odd)' is in one of them",
        at: validation.name, fix: "give both the same classes")
    }
    (self.training, self.validation, self.split) = (training, validation, split)
    self.remark = remark
    shared = try training.shared(with: validation, progress: progress)
  }

  private init(
    dividing images: ImageDataset, _ split: Double, _ seed: UInt64, reason: String?,
    _ progress: Progress.Handler?
  ) throws {
    let (training, validation) = try images.split(split, seed: seed)
    let division =
      "\(training.count) of the \(images.count) images of \(images.name) are used for training or "
      + "calibration, the other \(validation.count) for evaluation"
    try self.init(
      training, validation, split: split,
      remark: reason.map { "\($0): \(division) (--split and --judge change that)" } ?? division,
      progress)
  }

  private init(
    _ spec: DataSpec, _ judge: DataSpec, _ dataDirectory: String?, _ damaged: DamagedPictures?,
    _ progress: Progress.Handler?
  ) throws {
    let (training, place) = try spec.loadPlaced(
      defaultPart: .train, dataDirectory: dataDirectory, leavingOut: damaged)
    let (validation, judged) = try judge.loadPlaced(
      defaultPart: .test, dataDirectory: dataDirectory, leavingOut: damaged)
    try self.init(
      training, validation, split: nil, remark: "evaluated on \(Self.count(validation))",
      progress)
    let isSamePart =
      spec.source == judge.source
      && (!spec.hasParts() || (spec.part ?? .train) == (judge.part ?? .test))
    let overlap = isSamePart ? place.clamped(to: judged).count : 0
    guard overlap == 0, !isSharing else {
      throw SwiftletError(
        .badInput,
        "\(max(overlap, shared)) of the \(validation.count) evaluation images are also used for "
          + "training or calibration", at: validation.name,
        fix: "give other images with --judge, or split those of --data with --split")
    }
  }

  /// Whether more evaluation images are used for training than by coincidence.
  private var isSharing: Bool { Double(shared) > Self.coincidence * Double(validation.count) }

  /// A warning about evaluating on such images, for display; `nil` if there is no reason.
  public var warning: String? {
    guard isSharing else { return nil }
    return "\(shared) of the \(validation.count) evaluation images are also used for training or "
      + "calibration: the accuracy says little about other images"
  }

  private static func count(_ images: ImageDataset) -> String {
    "\(images.count) image\(images.count == 1 ? "" : "s") of \(images.name)"
  }
}

extension DataSpec {
  /// Samples to judge on without labels, apart from those for calibration: `judge`, or the test
  /// part; `nil` if some of the samples for calibration have to be held back for that.
  ///
  /// - Parameters:
  ///   - judge: The data to judge on, if they were chosen.
  ///   - split: The fraction of these data to calibrate with, if it was chosen.
  ///   - dataDirectory: The first folder to look for Fashion-MNIST.
  ///   - damaged: Leaves out pictures that cannot be decoded.
  /// - Throws: As ``load(defaultPart:dataDirectory:leavingOut:)``.
  public func loadJudging(
    _ judge: DataSpec?, split: Double?, dataDirectory: String? = nil,
    leavingOut damaged: DamagedPictures? = nil
  ) throws -> ImageDataset? {
    guard let other = judge ?? (split == nil ? testPart() : nil) else { return nil }
    do {
      return try other.load(
        defaultPart: .test, dataDirectory: dataDirectory, leavingOut: damaged)
    } catch let error as SwiftletError where judge == nil && error.code == .io && part == .train {
      return nil
    }
  }
}
