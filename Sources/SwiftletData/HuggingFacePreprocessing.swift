// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletImages

/// Hugging Face's `preprocessor_config.json`: the keys of the image processors of transformers,
/// and what each of them takes for keys that a file leaves out (version 5.24).
struct HuggingFaceProcessor {
  /// How the processor uses `size.shortest_edge` beyond resizing the shorter side to it.
  enum Habit {
    case none
    /// Below 384 pixels the shorter side becomes `shortest_edge / crop_pct` and the center is
    /// cropped; else the picture is stretched to a square.
    case convNext
    /// The shorter side becomes `shortest_edge / crop_pct`.
    case poolFormer
    /// The shorter side becomes 256/224 of it.
    case levit
  }

  var resample: Int?
  /// Whether one number as `size` means a square; else the shorter side.
  var isSquare: Bool?
  var size: Int?
  var cropSize: Int?
  var crops = false
  var normalizes = true
  var mean: [Float]?
  var deviation: [Float]?
  var reversesColours = false
  var dividesAgain = false
  var cropPercentage: Double?
  var habit = Habit.none

  private static let half: [Float] = [0.5]
  private static let clip: (mean: [Float], deviation: [Float]) = (
    [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
  )

  private init(
    _ resample: Int?, square size: Int? = nil, shortest: Int? = nil, crop: Int? = nil,
    crops: Bool = true, _ numbers: (mean: [Float], deviation: [Float])? = (half, half)
  ) {
    self.resample = resample
    isSquare = size != nil ? true : shortest != nil ? false : nil
    self.size = size ?? shortest
    cropSize = crop
    self.crops = crops && crop != nil
    (mean, deviation) = (numbers?.mean, numbers?.deviation)
  }

  private func with(_ change: (inout HuggingFaceProcessor) -> Void) -> HuggingFaceProcessor {
    var copy = self
    change(&copy)
    return copy
  }

  /// By the name of the class, without what it ends in.
  private static let known: [String: HuggingFaceProcessor] = [
    "ViT": .init(2, square: 224),
    "DeiT": .init(3, square: 256, crop: 224),
    "Beit": .init(3, square: 224, crop: 224, crops: false),
    "CLIP": .init(3, shortest: 224, crop: 224, clip),
    "ChineseCLIP": .init(3, shortest: 224, crop: 224, clip),
    "Bit": .init(3, shortest: 224, crop: 224, clip),
    "Blip": .init(3, square: 384, clip),
    "Siglip": .init(3, square: 224),
    "OwlViT": .init(3, square: 768, crop: 768, crops: false, clip),
    "DINOv3ViT": .init(2, square: 224, Preprocessing.imageNet),
    "MobileNetV1": .init(2, shortest: 256, crop: 224),
    "MobileNetV2": .init(2, shortest: 256, crop: 224),
    "MobileViT": .init(3, shortest: 224, crop: 256).with {
      ($0.normalizes, $0.reversesColours) = (false, true)
    },
    "Segformer": .init(2, square: 512, Preprocessing.imageNet),
    "DPT": .init(3, square: 384),
    "EfficientNet": .init(3, square: 346, crop: 289, crops: false).with { $0.dividesAgain = true },
    "RTDetr": .init(2, square: 640, Preprocessing.imageNet).with { $0.normalizes = false },
    "ConvNext": .init(3, shortest: 384).with {
      ($0.cropPercentage, $0.habit) = (224.0 / 256, .convNext)
    },
    "PoolFormer": .init(3, shortest: 224, crop: 224, Preprocessing.imageNet).with {
      ($0.cropPercentage, $0.habit) = (0.9, .poolFormer)
    },
    "Levit": .init(3, shortest: 224, crop: 224, Preprocessing.imageNet).with { $0.habit = .levit },
  ]

  /// Classes whose pictures do not all get one size, or get it in another order of steps.
  private static let refused = ["Perceiver", "GLPN", "Donut", "Nougat"]

  /// The processor of a file; without a name, one without defaults.
  ///
  /// - Throws: `unsupported` for processors of sound, and for those that cannot be described.
  init(_ keys: PreprocessingKeys) throws {
    let key = keys.has("image_processor_type") ? "image_processor_type" : "feature_extractor_type"
    var name = try keys.text(key) ?? ""
    guard !keys.has("sampling_rate") else {
      throw SwiftletError(
        .unsupported, "this describes sound, not images", at: "key 'sampling_rate'",
        fix: "give the file of a model that takes images")
    }
    for ending in ["Fast", "Pil", "ImageProcessor", "FeatureExtractor"]
    where name.hasSuffix(ending) {
      name.removeLast(ending.count)
    }
    guard !Self.refused.contains(name) else {
      throw SwiftletError(
        .unsupported, "what \(name) does to pictures is not supported", at: "key '\(key)'",
        fix: "describe it in a YAML file, as in 'swiftlet help data', or give arrays")
    }
    self = Self.known[name] ?? .init(nil, nil)
  }
}

extension PreprocessingPlan {
  /// - Throws: `badInput` or `unsupported` naming the key.
  init(huggingFace keys: PreprocessingKeys) throws {
    let usual = try HuggingFaceProcessor(keys)
    try Self.refuseVaryingSizes(keys)
    antialias = true
    cropRounding = .down
    yieldsToIntegers = true
    let crops = try keys.truth("do_center_crop") ?? usual.crops
    var own: (extent: Image.Size, key: String)?
    if try keys.truth("do_resize") ?? true {
      interpolation = try Self.resampling(keys, usual)
      own = try resize(keys, usual, crops: crops)
    } else {
      resizing = Resizing.none
    }
    if crops, usual.habit != .convNext {
      guard let crop = try Self.box(keys, "crop_size", usual: usual.cropSize) else {
        throw Self.missing(keys, "crop_size")
      }
      let outer = try smallest(keys, own?.extent)
      guard outer.map({ crop.width <= $0.width && crop.height <= $0.height }) ?? true else {
        throw keys.wrong(
          "crop_size", "the crop of \(crop.height)×\(crop.width) is larger than the picture",
          fix: "check 'size' and 'crop_size'")
      }
      own = (crop, "key 'crop_size'")
    }
    size = own
    try normalize(keys, usual)
  }

  /// What pictures at least have before they are cropped.
  private func smallest(_ keys: PreprocessingKeys, _ own: Image.Size?) throws -> Image.Size? {
    if case .shorter(.side(let side)) = resizing { return Image.Size(width: side, height: side) }
    return own
  }

  /// Reads `size`.
  ///
  /// - Returns: The model's size, if pictures that are not cropped have one.
  private mutating func resize(
    _ keys: PreprocessingKeys, _ usual: HuggingFaceProcessor, crops: Bool
  ) throws -> (extent: Image.Size, key: String)? {
    let inner = keys.values["size"] is [String: Any] ? try keys.keys("size") : nil
    let isShortest =
      inner.map { $0.has("shortest_edge") }
      ?? !(usual.isSquare ?? true || (keys.values["size"] as? [Any])?.count == 2)
    guard isShortest else {
      guard let box = try Self.box(keys, "size", usual: usual.size) else {
        throw Self.missing(keys, "size")
      }
      // Of one number, it is unclear what a class that is not known makes.
      guard usual.isSquare != nil || !(keys.values["size"] is Int) else {
        throw keys.wrong(
          "size", "the class of the processor is unknown, and one number has no certain meaning",
          fix: #"write {"height": …, "width": …} or {"shortest_edge": …}"#)
      }
      guard usual.habit != .convNext else {
        throw keys.wrong(
          "size", "ConvNext takes the shorter side", fix: #"write {"shortest_edge": …}"#)
      }
      resizing = .exact(.box(box))
      return (box, "key 'size'")
    }
    guard let side = try inner?.whole("shortest_edge") ?? keys.whole("size") ?? usual.size,
      1...1 << 14 ~= side
    else {
      throw keys.wrong("size", "the shorter side is not 1 to 16384", fix: "give its pixels")
    }
    let percentage = try keys.fraction("crop_pct") ?? usual.cropPercentage
    let square = Image.Size(width: side, height: side)
    switch usual.habit {
    case .convNext:
      resizing =
        side < 384
        ? .shorter(.side(Int(Double(side) / (percentage ?? 1)))) : .exact(.box(square))
      return (square, "key 'size'")
    case .poolFormer: resizing = .shorter(.side(Int(Double(side) / (percentage ?? 1))))
    case .levit: resizing = .shorter(.side(Int(256.0 / 224 * Double(side))))
    case .none: resizing = .shorter(.side(side))
    }
    guard crops else {
      throw keys.wrong(
        "do_center_crop", "pictures keep their proportions, and are not cropped to one size",
        fix: #"give "size" a height and a width, or describe it in a YAML file"#)
    }
    return nil
  }

  /// A height and a width: of a mapping, a list or one number.
  private static func box(
    _ keys: PreprocessingKeys, _ key: String, usual: Int?
  ) throws -> Image.Size? {
    if keys.values[key] is [String: Any], let inner = try keys.keys(key) {
      guard let height = try inner.whole("height"), let width = try inner.whole("width"),
        1...1 << 14 ~= height, 1...1 << 14 ~= width
      else {
        throw keys.wrong(
          key, "there is no height and width", fix: #"write {"height": 224, "width": 224}"#)
      }
      return Image.Size(width: width, height: height)
    }
    return try keys.size(key) ?? usual.map { Image.Size(width: $0, height: $0) }
  }

  private static func resampling(
    _ keys: PreprocessingKeys, _ usual: HuggingFaceProcessor
  ) throws -> Interpolation {
    guard let number = try keys.whole("resample") ?? usual.resample else {
      throw missing(keys, "resample")
    }
    // The numbers of Pillow's filters.
    let filters: [Interpolation] = [.nearest, .lanczos, .bilinear, .bicubic, .area]
    guard filters.indices.contains(number) else {
      throw keys.wrong(
        "resample", "Pillow's filter \(number) is not supported",
        fix: "use 0 (nearest), 1 (lanczos), 2 (bilinear), 3 (bicubic) or 4 (box)")
    }
    return filters[number]
  }

  private mutating func normalize(
    _ keys: PreprocessingKeys, _ usual: HuggingFaceProcessor
  ) throws {
    let scale: Float
    if try keys.truth("do_rescale") ?? true {
      scale = try keys.number("rescale_factor").map { Float($0) } ?? Preprocessing.unitScale
      guard scale.isFinite, scale > 0 else {
        throw keys.wrong("rescale_factor", "the factor is not above 0", fix: "1/255 is usual")
      }
    } else {
      scale = 1
    }
    var (mean, deviation): ([Float], [Float]) = ([0], [1])
    let stated = try keys.deviations("image_std") ?? usual.deviation
    if try keys.truth("do_normalize") ?? usual.normalizes {
      guard let own = try keys.numbers("image_mean") ?? usual.mean else {
        throw Self.missing(keys, "image_mean")
      }
      guard let stated else { throw Self.missing(keys, "image_std") }
      (mean, deviation) = (own, stated)
    }
    if try keys.truth("rescale_offset") ?? false { mean = mean.map { $0 + 1 } }
    // EfficientNet's `include_top` divides by the deviation once more.
    if usual.dividesAgain, try keys.truth("include_top") ?? true, let stated {
      deviation =
        deviation.count == stated.count
        ? zip(deviation, stated).map { $0 * $1 } : stated.map { $0 * deviation[0] }
    }
    numbers = Preprocessing.Numbers(scale: scale, mean: mean, deviation: deviation)
    if try keys.truth("do_flip_channel_order") ?? usual.reversesColours { colours = .bgr }
  }

  /// - Throws: `unsupported` for keys that make the size of an input depend on its picture.
  private static func refuseVaryingSizes(_ keys: PreprocessingKeys) throws {
    func refuse(_ key: String, _ what: String) -> SwiftletError {
      SwiftletError(
        .unsupported, what, at: "key '\(key)'",
        fix: "describe one size in a YAML file, such as 'resize: exact' or 'resize: letterbox'")
    }
    let inner = keys.values["size"] is [String: Any] ? try keys.keys("size") : nil
    for key in ["longest_edge", "max_height", "max_width"] where inner?.has(key) ?? false {
      throw refuse("size", "pictures keep their proportions up to '\(key)', so sizes differ")
    }
    if keys.has("max_size"), keys.values["size"] is Int {
      throw refuse("max_size", "pictures keep their proportions up to 'max_size', so sizes differ")
    }
    for key in [
      "keep_aspect_ratio", "do_thumbnail", "do_align_long_axis", "do_image_splitting",
      "do_split_image", "do_crop_margin",
    ] where try keys.truth(key) ?? false {
      throw refuse(key, "what '\(key)' does is not supported")
    }
    for key in ["max_pixels", "size_divisor", "pad_size", "max_image_size"] where keys.has(key) {
      throw refuse(key, "sizes of pictures that '\(key)' decides are not supported")
    }
  }

  private static func missing(_ keys: PreprocessingKeys, _ key: String) -> SwiftletError {
    keys.wrong(
      key, "the key is missing, and the class of the processor does not imply it",
      fix: "add it to the file")
  }
}
