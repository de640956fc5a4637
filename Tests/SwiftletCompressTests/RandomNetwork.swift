// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// Networks put together at random from what real ones are made of: chains, sums, concatenations,
/// depthwise convolutions, squeeze-and-excite, normalisation, pools.
struct RandomNetwork {
  private var model: ModelBuilder
  private var random: RandomGenerator
  private var value = "x"
  private var channels = 3
  private var side = 8
  private var count = 0

  static func make(seed: UInt64) -> Graph {
    var network = RandomNetwork(seed: seed)
    network.convolve(to: 8)
    for _ in 0..<4 { network.addBlock() }
    return network.finish()
  }

  private init(seed: UInt64) {
    model = ModelBuilder(seed: seed, input: [3, 8, 8])
    random = RandomGenerator(seed: seed, stream: 1)
  }

  private mutating func name(_ base: String) -> String {
    count += 1
    return "\(base)\(count)"
  }

  private mutating func apply(_ opType: String, _ attributes: [String: Attribute] = [:]) {
    let result = name(opType.lowercased())
    model.node(opType, [value], result, attributes)
    value = result
  }

  private mutating func convolve(to outputs: Int, kernel: Int = 3, groups: Int = 1) {
    let result = name("conv")
    model.conv(value, result, (channels, outputs), kernel: kernel, groups: groups)
    (value, channels) = (result, outputs)
  }

  private mutating func normalize() {
    let result = name("norm")
    let parameters = ["scale", "shift", "mean", "variance"].map { "\(result).\($0)" }
    for (name, range) in zip(parameters, [0.5...1.5, -0.5...0.5, -0.5...0.5, 0.5...2]) {
      model.graph.initializers[name] = .float32(
        Tensor([channels], uniformIn: range, using: &random))
    }
    model.node("BatchNormalization", [value] + parameters, result)
    value = result
  }

  private mutating func activate() {
    switch random.below(4) {
    case 0: apply("Relu")
    case 1: apply("HardSwish")
    case 2: apply("LeakyRelu")
    default:
      let slope = name("slope")
      model.graph.initializers[slope] = .float32(
        Tensor([channels, 1, 1], uniformIn: 0.1...0.4, using: &random))
      let result = name("prelu")
      model.node("PRelu", [value, slope], result)
      value = result
    }
  }

  private mutating func addBlock() {
    switch random.below(6) {
    case 0:
      convolve(to: 4 + random.below(9), kernel: 1)
      activate()
    case 1: addResidual()
    case 2:
      let (start, before) = (value, channels)
      convolve(to: 5)
      activate()
      let result = name("concat")
      model.node("Concat", [start, value], result, ["axis": .int(1)])
      (value, channels) = (result, before + 5)
    case 3:
      convolve(to: 12, kernel: 1)
      normalize()
      convolve(to: 12, groups: 12)
      activate()
      convolve(to: 7, kernel: 1)
    case 4: addExcitation()
    default:
      guard side > 2 else { return addResidual() }
      apply(
        random.below(2) == 0 ? "MaxPool" : "AveragePool",
        ["kernel_shape": .ints([2, 2]), "strides": .ints([2, 2])])
      side /= 2
    }
  }

  private mutating func addResidual() {
    let (start, before) = (value, channels)
    convolve(to: 6)
    normalize()
    activate()
    convolve(to: before)
    let result = name("sum")
    model.node("Add", [value, start], result)
    value = result
    activate()
  }

  private mutating func addExcitation() {
    let (start, before) = (value, channels)
    apply("GlobalAveragePool")
    convolve(to: 3, kernel: 1)
    apply("Relu")
    convolve(to: before, kernel: 1)
    apply("Sigmoid")
    let result = name("scaled")
    model.node("Mul", [start, value], result)
    value = result
  }

  private mutating func finish() -> Graph {
    let units = name("flat")
    var depth = channels
    switch random.below(3) {
    case 0:
      apply("GlobalAveragePool")
      model.node("Flatten", [value], units)
    case 1:
      model.node("Flatten", [value], units)
      depth *= side * side
    default:
      model.graph.initializers["shape"] = .int64(Tensor([2], [0, -1]))
      model.node("Reshape", [value, "shape"], units)
      depth *= side * side
    }
    model.gemm(units, "hidden", (depth, 10))
    model.node("Relu", ["hidden"], "rectified")
    model.gemm("rectified", "y", (10, 4))
    model.output("y", [4])
    return model.graph
  }
}
