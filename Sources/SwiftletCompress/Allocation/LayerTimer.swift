// SPDX-License-Identifier: Apache-2.0

import Glibc
import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletRuntime
import Synchronization

/// Times layers, and the chains that could replace them, with the runtime's own kernels. Each is
/// timed alone, but together with the activation and pooling after it, which kernels fuse, and with
/// a consumer that reads the results in the same layout as in a model.
///
/// Times depend on shapes, not on weights, so results are cached by shape.
struct LayerTimer: Sendable {
  private let graph: Graph
  private let infos: [String: TensorInfo]
  private let settings: any AllocationSettings
  private let cache: LatencyCache
  private let batch: Int

  /// Creates a timer for the layers of a graph.
  ///
  /// - Throws: An error if the graph's shapes cannot be inferred.
  init(_ graph: Graph, _ settings: any AllocationSettings, cache: LatencyCache) throws {
    let interpreter = try Interpreter(graph)
    self.graph = graph
    self.settings = settings
    self.cache = cache
    batch = try settings.timingBatch ?? Self.batch(interpreter)
    infos = try interpreter.infer(interpreter.inputShapes(batch: batch))
  }

  /// 32, or less if the inputs are large: their layers keep the kernels busy anyway.
  private static func batch(_ interpreter: Interpreter) throws -> Int {
    let elements = try interpreter.inputShapes(batch: 1).values.reduce(0) { $0 + $1.count }
    return max(1, min(32, (1 << 20) / max(1, elements)))
  }

  /// Milliseconds per batch on one thread, from the cache if known.
  ///
  /// - Parameters:
  ///   - layer: A layer of the graph, possibly with other numbers of channels.
  ///   - chain: The chain that replaces the layer; `nil`: the layer itself.
  ///   - precision: `nil`: the precision of the settings.
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

  /// Multiply–accumulate operations per batch.
  func macs(_ layer: WeightedLayer, _ chain: FactorChain? = nil) throws -> Double {
    var model = model(layer, try inputShape(layer))
    try chain?.write(layer, to: &model)
    return try Double(Interpreter(model).macs(batch: batch).dropLast().reduce(0, +))
  }

  /// Cost per batch in the unit of the settings: milliseconds, operations or bytes of weights.
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

  /// The shape in the graph, with the number of channels that the layer reads.
  private func inputShape(_ layer: WeightedLayer) throws -> Shape {
    guard let shape = infos[layer.node.inputs[0]]?.shape else {
      throw SwiftletError(.internal, "the shape of its input is unknown", at: layer.node.label)
    }
    return shape.replacing(axis: layer.linear.channelAxis(rank: shape.rank), with: layer.inputs)
  }

  /// The activations and pools after the layer, as long as each has a single consumer.
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
  /// Version of the measuring method, so that times of an earlier one are not used.
  private static let way = "2"
  /// Target duration of one measurement in milliseconds.
  private static let patience = 30.0
  /// Maximum number of measurements while the machine is busy.
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

  /// A key with everything that the time depends on.
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
    // A fused chain that ends in the probe computes the layer too: leave out only rows of the probe
    // alone.
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
        let isEdge = row.computations.contains { $0.kind == .layout } || row.layer == probe
        return isEdge ? sum : sum + row.milliseconds
      }
    }
    // Warm up once, then measure twice and keep the faster time: other work only slows a layer
    // down. Repeat while other processes take processor time.
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

/// Compares wall-clock time with the processor time of the thread.
struct ThreadClock {
  private let start = ContinuousClock.now
  private let worked = Self.workedNow

  /// Largest fraction of wall-clock time that an undisturbed thread loses.
  private static let lost = 0.1

  private static var workedNow: Duration {
    var time = timespec()
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
  }

  /// Whether other work used the processor since the start.
  var sharesProcessor: Bool {
    let passed = start.duration(to: .now)
    let worked = Self.workedNow - worked
    return passed - worked > passed * Self.lost && passed - worked > .milliseconds(1)
  }
}
