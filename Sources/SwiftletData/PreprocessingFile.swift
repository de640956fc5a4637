// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFiles
import SwiftletFormats
public import SwiftletGraph
import SwiftletImages

extension Preprocessing {
  /// The preprocessing that a file describes: Hugging Face's `preprocessor_config.json`, timm's
  /// `config.json`, or YAML with the keys of docs/preprocessing.md. What it leaves out is guessed,
  /// as by `init(for:images:scaling:)`.
  ///
  /// - Parameters:
  ///   - path: The file.
  ///   - graph: The model.
  ///   - images: The data set.
  /// - Throws: `io` if the file cannot be read; `badInput` or `unsupported` naming file, key
  ///   and remedy; as `init(for:images:scaling:)`.
  public init(reading path: String, for graph: Graph, images: ImageDataset) throws {
    var plan = try locating(path) {
      let bytes = try InputFile.read(path, limit: 1 << 20)
      return try PreprocessingPlan(parsing: String(decoding: bytes, as: UTF8.self), for: graph)
    }
    plan.file = path
    try self.init(plan, for: graph, images: images)
  }
}

extension PreprocessingPlan {
  /// Reads the content of a file.
  ///
  /// - Throws: `badInput` or `unsupported` naming the key.
  fileprivate init(parsing text: String, for graph: Graph) throws {
    let json = PreprocessingKeys(json: text)
    let values = try json?.values ?? YAML.parse(text) as? [String: Any] ?? [:]
    let keys = PreprocessingKeys(values: values)
    if keys.has("pretrained_cfg") || keys.has("input_size") {
      try self.init(timm: keys, for: graph)
    } else if let inner = try keys.keys("image_processor") ?? keys.ownKeysOfHuggingFace {
      try self.init(huggingFace: inner)
    } else if json == nil && !values.isEmpty || values.keys.contains(where: Self.keys.contains) {
      try self.init(yaml: keys)
    } else {
      throw Self.unknown
    }
  }

  private static var unknown: SwiftletError {
    SwiftletError(
      .badInput, "this does not describe how images become a model's input",
      fix: "give Hugging Face's preprocessor_config.json, timm's config.json or a YAML file as in "
        + "'swiftlet help data'")
  }
}

extension PreprocessingKeys {
  /// These keys, if they are those of an image processor, or of something else that Hugging Face's
  /// library prepares inputs with.
  fileprivate var ownKeysOfHuggingFace: PreprocessingKeys? {
    let telling = [
      "image_processor_type", "feature_extractor_type", "do_resize", "do_normalize", "do_rescale",
      "do_center_crop", "image_mean", "image_std", "crop_size", "sampling_rate",
    ]
    return telling.contains(where: has) ? self : nil
  }
}

// MARK: YAML of our own

extension PreprocessingPlan {
  /// The keys of our own files.
  static let keys = [
    "size", "resize", "to", "crop", "interpolation", "antialias", "cropRounding", "border",
    "colours", "layout", "scale", "mean", "deviation",
  ]
  /// What other programs call them.
  private static let otherNames = [
    "std": "deviation", "image_std": "deviation", "image_mean": "mean", "crop_pct": "crop",
    "resample": "interpolation", "filter": "interpolation", "fill": "border", "padding": "border",
    "channel_order": "colours", "color": "colours", "colors": "colours", "rescale": "scale",
    "rescale_factor": "scale", "side": "to", "format": "layout", "mode": "resize",
  ]

  /// - Throws: `badInput` for keys that are unknown or do not go together, and for values that are
  ///   not possible.
  init(yaml keys: PreprocessingKeys) throws {
    for key in keys.values.keys.sorted() where !Self.keys.contains(key) {
      let meant = Self.otherNames[key.lowercased()] ?? Nearest.word(to: key, among: Self.keys)
      throw keys.wrong(
        key, "there is no such key",
        fix: meant.map { "did you mean '\($0)'?" }
          ?? "the keys are \(Self.keys.joined(separator: ", "))")
    }
    size = try keys.size("size").map { ($0, "key 'size'") }
    try readResizing(keys)
    interpolation = try keys.choice("interpolation", Self.interpolations) ?? .bilinear
    antialias = try keys.truth("antialias") ?? true
    cropRounding =
      try keys.choice("cropRounding", Preprocessing.CropRounding.allCases.map { ($0.rawValue, $0) })
      ?? .even
    colours = try keys.choice("colours", Preprocessing.Colours.allCases.map { ($0.rawValue, $0) })
    layout = try keys.choice("layout", Preprocessing.Layout.allCases.map { ($0.rawValue, $0) })
    border = try keys.wholes("border").map { numbers in
      try numbers.map { number in
        guard let value = UInt8(exactly: number) else {
          throw keys.wrong("border", "\(number) is not a pixel", fix: "give 0 to 255")
        }
        return value
      }
    }
    try readNumbers(keys)
    for key in idle where keys.has(key) {
      throw keys.wrong(
        key, "nothing uses it here", fix: "leave it out, or change 'resize'")
    }
  }

  static let interpolations = Interpolation.allCases.map { (word: $0.rawValue, value: $0) }

  private mutating func readResizing(_ keys: PreprocessingKeys) throws {
    enum Way: String, CaseIterable { case shorter, exact, letterbox, none }
    let (to, crop) = (try keys.size("to"), try keys.fraction("crop"))
    if to != nil, crop != nil {
      throw keys.wrong("crop", "'to' says the same", fix: "leave out one of them")
    }
    let extent =
      to.map { $0.width == $0.height ? Extent.side($0.width) : Extent.box($0) }
      ?? crop.map { Extent.cropping($0) }
    switch try keys.choice("resize", Way.allCases.map { ($0.rawValue, $0) }) {
    case nil:
      guard extent == nil else {
        throw keys.wrong(
          to == nil ? "crop" : "to", "there is no 'resize'",
          fix: "add resize: shorter, exact or letterbox")
      }
    case .some(.none): resizing = Resizing.none
    case .exact: resizing = .exact(extent ?? .model)
    case .letterbox: resizing = .letterbox(extent ?? .model)
    case .shorter:
      if case .box = extent {
        throw keys.wrong("to", "the shorter side is one number", fix: "give one, such as 256")
      }
      resizing = .shorter(extent ?? .model)
    }
  }

  private mutating func readNumbers(_ keys: PreprocessingKeys) throws {
    var scale: Float?
    if keys.has("scale") {
      // Fractions as people write them: 1/255.
      let parts = (try? keys.text("scale"))?.split(separator: "/").map { Float($0) }
      if let parts, parts.count == 2, let upper = parts[0], let lower = parts[1] {
        scale = upper / lower
      } else {
        scale = try keys.number("scale").map { Float($0) }
      }
      guard let scale, scale.isFinite, scale > 0 else {
        throw keys.wrong("scale", "the factor is not above 0", fix: "give 1/255 or 1")
      }
    }
    let (mean, deviation) = (try keys.numbers("mean"), try keys.deviations("deviation"))
    guard scale != nil || mean != nil || deviation != nil else { return }
    numbers = Preprocessing.Numbers(
      scale: scale ?? Preprocessing.unitScale, mean: mean ?? [0], deviation: deviation ?? [1])
  }

  /// Keys without an effect.
  private var idle: [String] {
    switch resizing {
    case nil, .letterbox: []
    case .some(.none): ["to", "crop", "interpolation", "antialias"]
    case .exact, .shorter: ["border"]
    }
  }
}
