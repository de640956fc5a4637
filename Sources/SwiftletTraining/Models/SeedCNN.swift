// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
public import SwiftletGraph

/// The built-in convolutional network: four times conv 3×3 + ReLU + max-pool 2, then two fully
/// connected layers. Input 3×32×32.
public enum SeedCNN {
  /// - Parameters:
  ///   - classes: The number of classes.
  ///   - width: Scales the numbers of channels and hidden units: 1 is the full network
  ///     (3→32→64→128→128, 512), less is a narrower one for distillation.
  ///   - seed: The seed of the initial weights: uniform within ±1/√fanIn (Kaiming uniform with a =
  ///     √5).
  public static func make(classes: Int, width: Double = 1, seed: UInt64) -> Graph {
    func scaled(_ units: Int) -> Int { max(4, Int((Double(units) * width).rounded())) }
    var builder = GraphBuilder(name: "seed-cnn", seed: seed)
    let channels = [3] + [32, 64, 128, 128].map(scaled)
    var value = builder.input("input", [.symbolic("N"), .fixed(3), .fixed(32), .fixed(32)])
    for layer in 1...4 {
      value = builder.conv(
        "conv\(layer)", value, inputs: channels[layer - 1], outputs: channels[layer])
      value = builder.apply("Relu", "relu\(layer)", [value])
      value = builder.apply(
        "MaxPool", "pool\(layer)", [value],
        ["kernel_shape": .ints([2, 2]), "strides": .ints([2, 2])])
    }
    value = builder.apply("Flatten", "flatten", [value], ["axis": .int(1)])
    let hidden = scaled(512)
    value = builder.linear("fc1", value, inputs: channels[4] * 4, outputs: hidden)
    value = builder.apply("Relu", "relu5", [value])
    value = builder.linear("fc2", value, inputs: hidden, outputs: classes, result: "logits")
    return builder.finish(output: value, [.symbolic("N"), .fixed(classes)])
  }
}
