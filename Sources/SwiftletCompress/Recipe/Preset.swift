// SPDX-License-Identifier: Apache-2.0

/// Recipes for those who do not want to choose.
public enum Preset: String, Sendable, Codable, CaseIterable {
  /// Without training: low-rank convolutions where they save time here, then int8. Seconds, and no
  /// labels needed.
  case fast
  /// Less than half of the channels, what is left learns from the whole model, then int8 with
  /// quantization in the loop. Minutes.
  case balanced
  /// A third of the channels, a longer lesson, int8.
  case smallest

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

  /// The recipe with another number of samples to calibrate with.
  ///
  /// - Throws: `badInput` if that is out of range.
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

  /// Weights of 7 bits: whatever runs the model computes the same then, onnxruntime's kernels for
  /// CPUs without VNNI too, which saturate with 8; and ours for such CPUs are faster.
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
