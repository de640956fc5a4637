// SPDX-License-Identifier: Apache-2.0

/// Ready-made recipes.
public enum Preset: String, Sendable, Codable, CaseIterable {
  /// No training: low-rank convolutions where they save time on this machine, then int8. Takes
  /// seconds and needs no labels.
  case fast
  /// Prunes to 43 % of the channels, distills from the original model, then int8 with
  /// quantization-aware training. Takes minutes and needs labels.
  case balanced
  /// Like ``balanced``, with 33 % of the channels and longer distillation.
  case smallest

  /// The steps of the preset.
  public var recipe: Recipe {
    switch self {
    case .fast:
      let factors = CompressionStep.lowrank {
        $0.ratio = 0.7
        $0.timingPrecision = .int8
      }
      return Recipe([factors, Self.integers()])
    case .balanced: return Self.thinned(width: 0.43, epochs: 6)
    case .smallest: return Self.thinned(width: 0.33, epochs: 10)
    }
  }

  /// The recipe with another number of calibration samples.
  ///
  /// - Parameter calibrationImages: A whole number; `nil` keeps the defaults.
  ///
  /// - Throws: `badInput` if the number is out of range.
  public func recipe(_ calibrationImages: SettingValue?) throws -> Recipe {
    var recipe = recipe
    if case .whole(let count)? = calibrationImages {
      for index in recipe.steps.indices {
        recipe.steps[index].update { $0.calibrationImages = count }
      }
    }
    try recipe.validate(.options)
    return recipe
  }

  /// Weights of 7 bits give the same results in every runtime: with 8 bits, onnxruntime's kernels
  /// for CPUs without VNNI saturate. On such CPUs, our 7-bit kernels are also faster.
  private static func integers(qatEpochs: Int = 0) -> CompressionStep {
    .quantize {
      $0.bits = 7
      $0.qatEpochs = qatEpochs
    }
  }

  private static func thinned(width: Double, epochs: Int) -> Recipe {
    Recipe([
      .prune { $0.width = width },
      .distill {
        $0.epochs = epochs
        $0.learningRate = 2e-3
      },
      integers(qatEpochs: 1),
    ])
  }
}
