// SPDX-License-Identifier: Apache-2.0

import Glibc
import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletRuntime
import Synchronization

/// Times layers, and chains in place of them, with the runtime's own kernels: alone, but with the
/// clamp and pool behind them, which the kernels take in, and in front of a layer that reads what
/// they write as a model would.
///
/// Weights are irrelevant to the time, shapes are not: results are kept by shape.
struct LayerTimer: Sendable {
  private let graph: Graph
  private let infos: [String: TensorInfo]
  private let settings: any AllocationSettings
  private let cache: LatencyCache
  private let batch: Int

  /// - Throws: If the graph's shapes cannot be inferred.
  init(_ graph: Graph, _ settings: any AllocationSettings, cache: LatencyCache) throws {
    let interpreter = try Interpreter(graph)
    self.graph = graph
    self.settings = settings
    self.cache = cache
    batch = try settings.timingBatch ?? Self.batch(interpreter)
    infos = try interpreter.infer(interpreter.inputShapes(batch: batch))
  }

  /// 32 images, fewer of large ones: their layers fill the kernels all the same.
  private static func batch(_ interpreter: Interpreter) throws -> Int {
    let elements = try interpreter.inputShapes(batch: 1).values.reduce(0) { $0 + $1.count }
    return max(1, min(32, (1 << 20) / max(1, elements)))
  }

  /// Milliseconds of one batch on one thread.
  ///
  /// - Parameters:
  ///   - layer: A layer of the graph, or one with other numbers of channels.
  ///   - chain: What takes the layer's place; `nil`: the layer itself.
  ///   - precision: `nil`: that of the settings.
  func milliseconds(
    _ layer: WeightedLayer, _ chain: FactorChain? = nil, in precision: LayerPrecision? = nil
  ) throws -> Double {
    let precision = precision ?? settings.timingPrecision
    let shape = try inputShape(layer)
    var model = model(layer, shape)
    try chain?.write(layer, to: &model)
    let key = key(model, shape, precision)
    if let known = cache[key] { return known }
    let (measured, isDisturbed) = try measure(model, shape, precision)
    if isDisturbed { cache.setDisturbed(key, measured) } else { cache[key] = measured }
    return measured
  }

  /// Multiply–accumulate operations of one batch.
  func macs(_ layer: WeightedLayer, _ chain: FactorChain? = nil) throws -> Double {
    var model = model(layer, try inputShape(layer))
    try chain?.write(layer, to: &model)
    return try Double(Interpreter(model).macs(batch: batch).dropLast().reduce(0, +))
  }

  /// What the settings want to have less of.
  func cost(
    _ layer: WeightedLayer, _ chain: FactorChain? = nil, in precision: LayerPrecision? = nil
  ) throws -> Double {
    switch settings.cost {
    case .milliseconds: try milliseconds(layer, chain, in: precision)
    case .macs: try macs(layer, chain)
    case .bytes:
      Double(chain?.weightCount ?? layer.weight.count)
        * (precision ?? settings.timingPrecision).bytes
    }
  }

  /// As the graph has it, with the channels that the layer reads.
  private func inputShape(_ layer: WeightedLayer) throws -> Shape {
    guard let shape = infos[layer.node.inputs[0]]?.shape else {
      throw SwiftletError(.internal, "the shape of its input is unknown", at: layer.node.label)
    }
    return shape.replacing(axis: layer.linear.channelAxis(rank: shape.rank), with: layer.inputs)
  }

  /// Clamps and pools behind the layer that nothing else reads.
  private func tail(of value: String) -> [Node] {
    var (value, nodes) = (value, [Node]())
    while let reader = graph.onlyReader(of: value),
      ["Relu", "MaxPool"].contains(graph.nodes[reader].opType)
    {
      nodes.append(graph.nodes[reader])
      value = graph.nodes[reader].outputs[0]
    }
    return nodes
  }

  private static let probe = "probe"
  /// The way of timing, so that what was kept of another one is not believed: chains count whole.
  private static let way = "2"
  /// Milliseconds to spend on one measurement.
  private static let patience = 30.0
  /// Measurements of one layer while others use the processor.
  private static let mostTrials = 4

  private func model(_ layer: WeightedLayer, _ shape: Shape) -> Graph {
    let tail = tail(of: layer.node.outputs[0])
    var model = Graph(name: "layer", opset: graph.opset)
    model.inputs = [ValueInfo(layer.node.inputs[0], .float32, shape.dimensions.map { .fixed($0) })]
    model.nodes = [layer.node] + tail
    model.initializers[layer.linear.weights] = .float32(layer.stored)
    if let bias = layer.bias { model.initializers[layer.node.inputs[2]] = .float32(bias) }
    let value = model.nodes.last!.outputs[0]
    let output = "\(value).\(Self.probe)"
    var reader = Node(
      layer.node.opType, name: Self.probe, inputs: [value, "\(Self.probe).weight"],
      outputs: [output])
    let ones = layer.isConv ? [Int](repeating: 1, count: layer.weight.shape.rank - 2) : []
    if layer.isConv { reader.attributes = ["kernel_shape": .ints(ones)] }
    model.initializers["\(Self.probe).weight"] = .float32(
      Tensor(
        layer.isConv ? Shape([1, layer.outputs] + ones) : [layer.outputs, 1], repeating: 0.01))
    model.nodes.append(reader)
    let rank = infos[value]?.shape.rank ?? shape.rank
    model.outputs = [ValueInfo(output, .float32, (0..<rank).map { .symbolic("d\($0)") })]
    return model
  }

  /// What the time depends on.
  private func key(_ model: Graph, _ shape: Shape, _ precision: LayerPrecision) -> String {
    let nodes = model.nodes.dropLast().map { node in
      let weights = node.inputs.dropFirst().first.flatMap { model.initializers[$0]?.shape }
      let attributes = node.attributes.filter { $0.key != "kernel_shape" }
        .map { "\($0.key)=\($0.value)" }.sorted().joined(separator: ",")
      return "\(node.opType) \(weights.map { "\($0)" } ?? "") \(attributes)"
    }
    let bits = precision.quantization(bits: settings.laterBits ?? 8).map { " \($0.bits)" } ?? ""
    return ([Self.way, "\(precision.rawValue)\(bits)", "\(shape)"] + nodes)
      .joined(separator: " | ")
  }

  private func measure(
    _ model: Graph, _ shape: Shape, _ precision: LayerPrecision
  ) throws -> (milliseconds: Double, isDisturbed: Bool) {
    var generator = RandomGenerator(seed: 1)
    let input = AnyTensor(Tensor<Float>(shape, normalUsing: &generator))
    let inputs = [model.inputs[0].name: input]
    // A chain that ends in the probe computes the layer, too: only the probe alone is left out.
    let probe = model.nodes.last!.label
    var model = model
    if let quantization = precision.quantization(bits: settings.laterBits ?? 8) {
      model = try Quantizer(quantization, threads: .serial)
        .apply(to: model, CalibrationSource(inputs, for: model)).graph
    }
    let session = try Session(
      model, threads: .serial, precision: precision == .bf16 ? .bf16 : .fp32)
    func run(_ runs: Int) throws -> Double {
      try session.profile(inputs, runs: runs).reduce(0) { sum, row in
        let isEdge = row.kernel.hasPrefix("layout") || row.layer == probe
        return isEdge ? sum : sum + row.milliseconds
      }
    }
    // Once to warm up; then twice, and the faster one: what else the machine does only makes it
    // slower. While it takes the processor away, once more.
    let runs = max(2, min(9, Int(Self.patience / max(try run(1), 1e-3))))
    var best = (milliseconds: Double.infinity, isDisturbed: true)
    for trial in 0..<Self.mostTrials where trial < 2 || best.isDisturbed {
      let start = ThreadClock()
      let time = try run(runs)
      let isDisturbed = start.sharesProcessor
      if isDisturbed == best.isDisturbed {
        best.milliseconds = min(best.milliseconds, time)
      } else if !isDisturbed {
        best = (time, false)
      }
    }
    return best
  }
}

/// Time that passes, and time that the thread computes meanwhile.
struct ThreadClock {
  private let start = ContinuousClock.now
  private let worked = Self.workedNow

  /// A thread that runs alone loses less.
  private static let lost = 0.1

  private static var workedNow: Duration {
    var time = timespec()
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
  }

  /// Whether other work has had the processor since.
  var sharesProcessor: Bool {
    let passed = start.duration(to: .now)
    let worked = Self.workedNow - worked
    return passed - worked > passed * Self.lost && passed - worked > .milliseconds(1)
  }
}
