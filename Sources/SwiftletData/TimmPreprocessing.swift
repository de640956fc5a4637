// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletImages

extension PreprocessingPlan {
  /// Names of timm, `hamming` aside.
  private static let timmInterpolations: [(word: String, value: Interpolation)] = [
    ("nearest", .nearest), ("bilinear", .bilinear), ("bicubic", .bicubic), ("box", .area),
    ("lanczos", .lanczos),
  ]

  /// timm's `config.json`: the keys below `pretrained_cfg`, or in old files at the top, as
  /// `timm.data.resolve_data_config` and `transforms_imagenet_eval` read them.
  ///
  /// - Parameter graph: Of `input_size` and `test_input_size`, the model's own counts.
  /// - Throws: `badInput` or `unsupported` naming the key.
  init(timm root: PreprocessingKeys, for graph: Graph) throws {
    let keys = try root.keys("pretrained_cfg") ?? root
    func extents(_ key: String) throws -> (channels: Int, size: Image.Size)? {
      guard let numbers = try keys.wholes(key) else { return nil }
      guard numbers.count == 3, numbers.allSatisfy({ 1...1 << 14 ~= $0 }) else {
        throw keys.wrong(
          key, "these are not channels, height and width", fix: "give three numbers: [3, 224, 224]")
      }
      return (numbers[0], Image.Size(width: numbers[2], height: numbers[1]))
    }
    var (input, key) = (try extents("input_size"), "input_size")
    var fraction = try keys.fraction("crop_pct") ?? 0.875
    if let test = try extents("test_input_size"), test.size != input?.size,
      let own = try? Preprocessing.imageInput(of: graph),
      Array(own.dimensions.dropFirst(2)) == [.fixed(test.size.height), .fixed(test.size.width)]
    {
      (input, key) = (test, "test_input_size")
      fraction = try keys.fraction("test_crop_pct") ?? fraction
    }
    size = input.map { ($0.size, "key '\(key)'") }
    channels = input.map { ($0.channels, "key '\(key)'") }
    let mean = try keys.numbers("mean") ?? Preprocessing.imageNet.mean
    let deviation = try keys.deviations("std") ?? Preprocessing.imageNet.deviation
    numbers = Preprocessing.Numbers(
      scale: Preprocessing.unitScale, mean: mean, deviation: deviation)
    interpolation = try keys.choice("interpolation", Self.timmInterpolations) ?? .bicubic
    antialias = true
    yieldsToIntegers = true
    enum Mode: String, CaseIterable { case center, squash, border }
    switch try keys.choice("crop_mode", Mode.allCases.map { ($0.rawValue, $0) }) ?? .center {
    case .center:
      resizing = .shorter(.cropping(fraction))
      if let size = input?.size, size.width != size.height {
        throw SwiftletError(
          .unsupported, "the center of \(size.height)×\(size.width) pixels is not a square",
          at: "key '\(key)'", fix: "give a YAML file with 'resize: shorter' and 'to'")
      }
    case .squash: resizing = .exact(.cropping(fraction))
    case .border:
      resizing = .letterbox(.cropping(fraction))
      border = mean.map { UInt8(min(max(($0 * 255).rounded(.toNearestOrEven), 0), 255)) }
    }
  }
}
