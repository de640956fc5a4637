// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletGraph
import SwiftletLinalg
import SwiftletRuntime
import Testing

/// Chains in place of layers.
@Suite struct DecompositionTests {
  /// A convolution, its input's extents and its attributes.
  struct Case: Sendable, CustomTestStringConvertible {
    let weights: Shape
    let extents: [Int]
    var attributes: [String: Attribute] = [:]
    var testDescription: String { "\(weights) of \(extents), \(attributes)" }
  }

  static let cases = [
    Case(weights: [24, 16, 3, 3], extents: [9, 8], attributes: ["pads": .ints([1, 1, 1, 1])]),
    Case(weights: [16, 12, 3, 3], extents: [9, 11], attributes: ["strides": .ints([2, 2])]),
    Case(
      weights: [16, 9, 3, 5], extents: [12, 13],
      attributes: [
        "pads": .ints([2, 1, 0, 3]), "strides": .ints([1, 2]), "dilations": .ints([2, 1]),
      ]),
    Case(
      weights: [10, 8, 5, 3], extents: [10, 7],
      attributes: ["auto_pad": .string("SAME_UPPER"), "strides": .ints([2, 1])]),
    Case(weights: [20, 16, 3], extents: [15], attributes: ["pads": .ints([1, 1])]),
    Case(weights: [20, 16, 1, 1], extents: [6, 5]),
  ]

  private func layer(_ item: Case, seed: UInt64 = 3) throws -> (Graph, WeightedLayer) {
    var generator = RandomGenerator(seed: seed)
    var graph = Graph(name: "one")
    let symbols = (0..<item.extents.count).map { Dimension.symbolic("o\($0)") }
    graph.inputs = [
      ValueInfo(
        "x", .float32,
        [.symbolic("N"), .fixed(item.weights[1])] + item.extents.map { .fixed($0) })
    ]
    graph.outputs = [
      ValueInfo("y", .float32, [.symbolic("N"), .fixed(item.weights[0])] + symbols)
    ]
    graph.nodes = [
      Node("Conv", name: "c", inputs: ["x", "w", "b"], outputs: ["y"], attributes: item.attributes)
    ]
    graph.initializers["w"] = .float32(Tensor(item.weights, normalUsing: &generator))
    graph.initializers["b"] = .float32(Tensor([item.weights[0]], normalUsing: &generator))
    guard case .layer(let layer)? = try WeightedLayer.find(graph.nodes[0], in: graph) else {
      throw SwiftletError(.internal, "no layer")
    }
    return (graph, layer)
  }

  /// Inputs whose channels hang together, so that there is something to find.
  private func inputs(_ graph: Graph, count: Int, seed: UInt64) throws -> Tensor<Float> {
    var generator = RandomGenerator(seed: seed)
    let shape = try graph.inputs[0].shape(batch: count)
    let rank = max(1, shape[1] / 3)
    let area = shape.count(of: 2..<shape.rank)
    let mix = Tensor<Float>([shape[1], rank], normalUsing: &generator)
    var result: [Float] = []
    for _ in 0..<count {
      let few = Tensor<Float>([rank, area], normalUsing: &generator)
      result += matrixProduct(mix, few).elements
    }
    return Tensor(shape, result)
  }

  private func moments(_ layer: WeightedLayer, _ input: Tensor<Float>) throws -> Moments {
    var moments = Moments(width: layer.depth)
    moments.add(
      try WindowRows(
        layer.node, kernel: Array(layer.weight.shape.dimensions[2...]), depth: layer.depth,
        perSample: 1000
      ).inputs(input))
    return moments
  }

  private func largest(_ a: Tensor<Float>, _ b: Tensor<Float>) -> Float {
    let scale = a.elements.reduce(1e-20) { max($0, abs($1)) }
    return zip(a.elements, b.elements).reduce(0) { max($0, abs($1.0 - $1.1)) } / scale
  }

  /// A chain computes what one layer with the product of its stages as weights computes, whatever
  /// the layer's strides, pads and dilations; and the error that is told is that of its responses.
  @Test(arguments: cases, DecompositionMethod.allCases)
  func chainsAreTheirProduct(item: Case, method: DecompositionMethod) throws {
    let (graph, layer) = try layer(item)
    let input = try inputs(graph, count: 4, seed: 5)
    let moments = try moments(layer, input)
    for covariance in [nil, moments.secondMoment] {
      let problem = DecompositionProblem(layer, covariance: covariance, threads: .serial)
      guard let prepared = try method.prepare(problem) else { continue }
      let fitted = try prepared.fitted(prepared.ranks(cost: 0.6))
      var (chained, whole) = (graph, graph)
      try fitted.chain(bias: layer.bias).write(layer, to: &chained)
      let product = fitted.product(.serial)
      whole.initializers["w"] = .float32(
        product.converted(to: Float.self).reshaped(to: layer.weight.shape))
      let (a, b) = (try Session(whole).run(input), try Session(chained).run(input))
      #expect(a.shape == b.shape && largest(a, b) < 1e-4)
      guard covariance != nil else { continue }
      let y = try Session(graph).run(input)
      let bias = layer.bias!.elements
      var (noise, signal) = (0.0, 0.0)
      let area = y.shape.count(of: 2..<y.shape.rank)
      for (i, value) in y.elements.enumerated() {
        let response = Double(value - bias[i / area % bias.count])
        signal += response * response
        noise += Double((value - a.elements[i]) * (value - a.elements[i]))
      }
      #expect(abs(noise / signal - fitted.error) < 0.02 * fitted.error + 1e-5)
    }
  }

  /// Factors that are fitted to the data answer to it better than those fitted to the weights.
  @Test(arguments: cases, DecompositionMethod.allCases)
  func dataHelp(item: Case, method: DecompositionMethod) throws {
    let (graph, layer) = try layer(item)
    let covariance = try moments(layer, inputs(graph, count: 8, seed: 6)).secondMoment
    let problem = DecompositionProblem(layer, covariance: covariance, threads: .serial)
    let blind = DecompositionProblem(layer, covariance: nil, threads: .serial)
    guard let aware = try method.prepare(problem), let plain = try method.prepare(blind) else {
      return
    }
    let ranks = aware.ranks(cost: 0.5)
    let product = try plain.fitted(ranks).product(.serial)
    var difference = problem.weights
    for i in 0..<difference.shape[0] {
      for j in 0..<difference.shape[1] { difference[i, j] -= product[i, j] }
    }
    let error = problem.power(difference) / problem.power(problem.weights)
    #expect(try aware.fitted(ranks).error < 0.9 * error)
  }

  /// Data that show nothing at all, or one direction only, are no trap.
  @Test(arguments: DecompositionMethod.allCases, [0, 1] as [Float])
  func dataWithoutRankAreNoTrap(method: DecompositionMethod, value: Float) throws {
    let (graph, layer) = try layer(Self.cases[0])
    let shape = try graph.inputs[0].shape(batch: 2)
    let moments = try moments(layer, Tensor(shape, repeating: value))
    let problem = DecompositionProblem(layer, covariance: moments.covariance, threads: .serial)
    let prepared = try #require(try method.prepare(problem))
    let fitted = try prepared.fitted(prepared.ranks(cost: 0.5))
    #expect(fitted.error.isFinite && fitted.product(.serial).isFinite)
  }

  /// Behind a layer that has been cut the next one makes up for it; behind a ReLU, for what passes
  /// it.
  @Test(arguments: [false, true])
  func reconstructionFollowsTheOriginal(isRectified: Bool) throws {
    let (graph, layer) = try layer(Self.cases[0])
    let clean = try inputs(graph, count: 24, seed: 8)
    var generator = RandomGenerator(seed: 9)
    let noise = Tensor<Float>(clean.shape, normalUsing: &generator)
    let spoilt = Tensor(
      clean.shape, zip(clean.elements, noise.elements).map { $0 * 0.7 + $1 * 0.5 })
    // The original saw clean images; the compressed model shows the layer spoilt ones.
    let rows = WindowRows(
      layer.node, kernel: [3, 3], depth: layer.depth, perSample: 1000)
    var statistics = LayerStatistics(layer)
    statistics.add(
      windows: try rows.inputs(spoilt), responses: rows.responses(try Session(graph).run(clean)))
    let problem = DecompositionProblem(
      layer, covariance: statistics.windows.covariance, threads: .serial)
    let prepared = try #require(try DecompositionMethod.channel.prepare(problem))
    let fitted = try prepared.fitted([8])
    let refined = try ResponseReconstruction(
      fitted, statistics, isRectified: isRectified, threads: .serial)
    func error(_ last: Tensor<Double>, _ bias: [Double]) throws -> Double {
      var own = fitted
      own.last = last
      var chained = graph
      try own.chain(bias: Tensor([bias.count], bias.map(Float.init))).write(layer, to: &chained)
      let (wanted, answer) = (try Session(graph).run(clean), try Session(chained).run(spoilt))
      return zip(wanted.elements, answer.elements).reduce(0) { sum, pair in
        let miss =
          isRectified ? Double(max(0, pair.0) - max(0, pair.1)) : Double(pair.0 - pair.1)
        return sum + miss * miss
      }
    }
    let before = try error(fitted.last, layer.bias!.elements.map(Double.init))
    #expect(try error(refined.last, refined.bias) < 0.95 * before)
  }

  @Test func biasesOfMatMulAreAdded() throws {
    var generator = RandomGenerator(seed: 4)
    var graph = Graph(name: "rows")
    graph.inputs = [ValueInfo("x", .float32, [.symbolic("N"), .fixed(5), .fixed(64)])]
    graph.outputs = [ValueInfo("y", .float32, [.symbolic("N"), .fixed(5), .fixed(48)])]
    graph.nodes = [Node("MatMul", name: "m", inputs: ["x", "w"], outputs: ["y"])]
    graph.initializers["w"] = .float32(Tensor([64, 48], normalUsing: &generator))
    guard case .layer(let layer)? = try WeightedLayer.find(graph.nodes[0], in: graph) else {
      Issue.record("no layer")
      return
    }
    let problem = DecompositionProblem(layer, covariance: nil, threads: .serial)
    let fitted = try ChannelDecomposition(problem).fitted([12])
    var chained = graph
    try fitted.chain(bias: Tensor([48], repeating: 2)).write(layer, to: &chained)
    #expect(chained.nodes.map(\.opType) == ["MatMul", "MatMul", "Add"])
    let input = Tensor<Float>([3, 5, 64], normalUsing: &generator)
    let product = fitted.product(.serial).converted(to: Float.self)
    let rows = input.reshaped(to: [15, 64])
    let wanted = matrixProduct(rows, product, transposeB: true).map { $0 + 2 }
    #expect(largest(wanted, try Session(chained).run(input)) < 1e-5)
  }
}
