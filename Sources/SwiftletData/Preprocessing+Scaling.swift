// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

extension Preprocessing {
  /// The scaling of pixels, by name.
  public enum Scaling: String, Sendable, CaseIterable {
    /// By ImageNet's means and deviations; if there are not three channels, as ``half``.
    case imagenet
    /// To −1…1.
    case half
    /// To 0…1.
    case unit
    /// Unscaled, 0…255; for int8 inputs, less 128.
    case raw
    /// In the order BGR, 0…255, less ImageNet's means: models from Caffe, and Keras' ResNet50.
    case caffe
  }

  /// What turns pixels into numbers.
  struct Numbers {
    var scale = Preprocessing.unitScale
    var mean: [Float]
    var deviation: [Float]

    /// The same for all channels.
    init(scale: Float = Preprocessing.unitScale, _ mean: Float, _ deviation: Float, _ count: Int) {
      self.scale = scale
      self.mean = [Float](repeating: mean, count: count)
      self.deviation = [Float](repeating: deviation, count: count)
    }

    /// - Parameters:
    ///   - mean: One for each channel, or one for all.
    ///   - deviation: As `mean`.
    init(scale: Float, mean: [Float], deviation: [Float]) {
      (self.scale, self.mean, self.deviation) = (scale, mean, deviation)
    }

    /// - Throws: `badInput` for `caffe` without three channels.
    init(_ scaling: Scaling, channels: Int, for input: ValueInfo) throws {
      switch scaling {
      case .imagenet where channels == 3:
        self.init(
          scale: Preprocessing.unitScale, mean: Preprocessing.imageNet.mean,
          deviation: Preprocessing.imageNet.deviation)
      case .imagenet, .half: self.init(0.5, 0.5, channels)
      case .unit: self.init(0, 1, channels)
      case .raw where input.dtype.isFloat: self.init(0, 1 / 255, channels)
      case .raw: self.init(scale: 1, input.dtype == .int8 ? 128 : 0, 1, channels)
      case .caffe:
        guard channels == 3 else {
          throw SwiftletError(
            .badInput, "caffe scales three channels, the model's input has \(channels)",
            fix: "use raw, half or unit")
        }
        self.init(scale: 1, mean: [103.939, 116.779, 123.68], deviation: [1, 1, 1])
      }
    }
  }

  /// ImageNet's means and deviations, in the order red, green, blue.
  static let imageNet: (mean: [Float], deviation: [Float]) = (
    [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
  )

  /// Whether an input of integers can represent the numbers that pixels become: within its range,
  /// and not so close together that most pixels become equal. Always for floats.
  func fits(_ input: ValueInfo) -> Bool {
    let range: ClosedRange<Float>
    switch input.dtype {
    case .uint8: range = -0.5...255.5
    case .int8: range = -128.5...127.5
    default: return true
    }
    return zip(mean, deviation).allSatisfy { mean, deviation in
      let (low, high) = ((scaled(0) - mean) / deviation, (scaled(255) - mean) / deviation)
      return range.contains(low) && range.contains(high) && high - low >= 64
    }
  }
}
