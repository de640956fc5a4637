import SwiftletCore

/// Images that a model is trained and calibrated with, and others that it is judged on: what it has seen says
/// nothing of how it does.
///
/// | data                | trained with           | judged on                                     |
/// |---------------------|------------------------|-----------------------------------------------|
/// | no part named       | the training part      | the test part                                 |
/// | `:train`            | those images           | the test part, all of it                      |
/// | `:test`             | 80 % of those images   | the rest                                      |
/// | a fraction is given | so much of the images  | the rest                                      |
/// | `judge` is given    | the images             | those of `judge`, by default of the test part |
///
/// Images are divided after they were shuffled by the seed; of few images one judges at least.
public struct DataParts: Sendable {
  public let training: ImageDataset
  public let validation: ImageDataset
  /// What was divided, and how, for a person; `nil` where the data set's own parts were taken.
  public let remark: String?
  /// Images to judge on that are also among those to train with, pixel by pixel.
  public let shared: Int
  /// The fraction that is trained with, if the images of one part were divided.
  public let split: Double?

  /// Of what is trained with, where one part has to serve for both and nothing is said.
  public static let usualSplit = 0.8
  /// Pictures that happen to be twice in a data set, as a fraction of those to judge on.
  private static let coincidence = 0.01

  /// `judgesWhole`: without a named part, whether the test part counts in full, or is sliced as the training part.
  ///
  /// - Throws: As ``DataSpec/load(defaultPart:dataDirectory:)``; `badInput` if images to judge on are trained with,
  ///   where both were chosen, or a part would be empty.
  public init(
    _ spec: DataSpec, split: Double? = nil, judge: DataSpec? = nil, seed: UInt64,
    dataDirectory: String? = nil, judgesWhole: Bool = false
  ) throws {
    if let judge {
      try self.init(spec, judge, dataDirectory)
      return
    }
    let (images, _) = try spec.loadPlaced(defaultPart: .train, dataDirectory: dataDirectory)
    if let split {
      try self.init(dividing: images, split, seed, reason: nil)
      return
    }
    var reason = "the data name the test part"
    if spec.part != .test {
      do {
        let other = spec.part == nil && !judgesWhole ? spec : spec.whole
        let validation = try other.load(defaultPart: .test, dataDirectory: dataDirectory)
        let isNews = spec.part != nil && !judgesWhole
        self.init(
          images, validation, split: nil,
          remark: isNews ? "judged on \(Self.count(validation))" : nil)
        return
      } catch let error as SwiftletError where error.code == .io && spec.part == .train {
        reason = "there is no test part"
      }
    }
    guard images.count > 1 else {
      throw SwiftletError(
        .badInput, "\(reason): one image cannot be both trained with and judged on",
        at: images.name, mend: "give more images, or others to judge on with --judge")
    }
    // Of few images one judges at least.
    let most = Double(images.count - 1) / Double(images.count)
    try self.init(dividing: images, min(Self.usualSplit, most), seed, reason: reason)
  }

  private init(
    _ training: ImageDataset, _ validation: ImageDataset, split: Double?, remark: String?
  ) {
    (self.training, self.validation, self.split) = (training, validation, split)
    self.remark = remark
    shared = training.shared(with: validation)
  }

  private init(
    dividing images: ImageDataset, _ split: Double, _ seed: UInt64, reason: String?
  ) throws {
    let (training, validation) = try images.split(split, seed: seed)
    let division =
      "\(training.count) of the \(images.count) images of \(images.name) are trained or calibrated "
      + "with, the other \(validation.count) judge"
    self.init(
      training, validation, split: split,
      remark: reason.map { "\($0): \(division) (--split and --judge change that)" } ?? division)
  }

  private init(_ spec: DataSpec, _ judge: DataSpec, _ dataDirectory: String?) throws {
    let (training, place) = try spec.loadPlaced(
      defaultPart: .train, dataDirectory: dataDirectory)
    let (validation, judged) = try judge.loadPlaced(
      defaultPart: .test, dataDirectory: dataDirectory)
    self.init(training, validation, split: nil, remark: "judged on \(Self.count(validation))")
    let isSamePart =
      spec.source == judge.source && (spec.part ?? .train) == (judge.part ?? .test)
    let overlap = isSamePart ? place.clamped(to: judged).count : 0
    guard overlap == 0, !isSharing else {
      throw SwiftletError(
        .badInput,
        "\(max(overlap, shared)) of the \(validation.count) images to judge on are also trained or "
          + "calibrated with", at: validation.name,
        mend: "give --judge others than --data, or --split to divide those of --data")
    }
  }

  /// Whether more of the images to judge on are trained with than by coincidence.
  private var isSharing: Bool { Double(shared) > Self.coincidence * Double(validation.count) }

  /// What is wrong with judging on such images, for a person; `nil` if nothing is.
  public var warning: String? {
    guard isSharing else { return nil }
    return "\(shared) of the \(validation.count) images to judge on are also trained or calibrated "
      + "with: the accuracy says little of others"
  }

  private static func count(_ images: ImageDataset) -> String {
    "\(images.count) image\(images.count == 1 ? "" : "s") of \(images.name)"
  }
}

extension ImageDataset {
  /// How many of the other's images are here too, pixel by pixel.
  ///
  /// - Complexity: O(pixels).
  fileprivate func shared(with other: ImageDataset) -> Int {
    guard images.shape.dimensions[1...] == other.images.shape.dimensions[1...] else { return 0 }
    let known = Set(pictures)
    return other.pictures.count { known.contains($0) }
  }

  /// The pixels of each image, as two hashes of 64 bits.
  private var pictures: [[UInt64]] {
    let packed = images.contiguous()
    let length = images.shape.count(of: 1..<4)
    return (0..<count).map { index in
      let pixels = packed.span.extracting(index * length..<(index + 1) * length)
      var (a, b): (UInt64, UInt64) = (0xcbf2_9ce4_8422_2325, 0x9e37_79b9_7f4a_7c15)
      for position in pixels.indices {
        let pixel = UInt64(pixels[position])
        a = (a ^ pixel) &* 0x0000_0100_0000_01b3
        b = (b &+ pixel) &* 0xff51_afd7_ed55_8ccd
        b ^= b >> 29
      }
      return [a, b]
    }
  }
}
