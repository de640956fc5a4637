// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import RealModule
import SwiftletCompress
import SwiftletCore
import SwiftletGraph
import SwiftletLinalg
import SwiftletRuntime
import Testing

/// What lies between the factors of a layer has one scale of 8 bits: channels must have one range.
@Suite struct FeatureBalanceTests {
  enum Kind: String, Sendable, CaseIterable { case conv, gemm, matmul }

  /// One layer of 64 outputs whose singular values fall over some decades.
  private func layer(_ kind: Kind, decades: Double, seed: UInt64 = 11) throws -> Graph {
    var generator = RandomGenerator(seed: seed)
    let (outputs, inputs, kernel) = (64, kind == .conv ? 32 : 96, kind == .conv ? 3 : 1)
    let depth = inputs * kernel * kernel
    let weights = try SVD(Tensor<Double>([outputs, depth], normalUsing: &generator))
    var left = weights.u
    for i in 0..<outputs {
      for j in 0..<outputs { left[i, j] *= Double.pow(10, -decades * Double(j) / Double(outputs)) }
    }
    let matrix = matrixProduct(left, weights.vt).converted(to: Float.self)
    var graph = Graph(name: "decaying")
    switch kind {
    case .conv:
      graph.inputs = [ValueInfo("x", .float32, [.symbolic("N"), .fixed(32), .fixed(8), .fixed(8)])]
      graph.outputs = [
        ValueInfo("y", .float32, [.symbolic("N"), .fixed(64), .fixed(8), .fixed(8)])
      ]
      graph.initializers["w"] = .float32(matrix.reshaped(to: [64, 32, 3, 3]))
      graph.nodes = [
        Node(
          "Conv", name: "c", inputs: ["x", "w", "b"], outputs: ["y"],
          attributes: ["pads": .ints([1, 1, 1, 1])])
      ]
    case .gemm, .matmul:
      graph.inputs = [ValueInfo("x", .float32, [.symbolic("N"), .fixed(96)])]
      graph.outputs = [ValueInfo("y", .float32, [.symbolic("N"), .fixed(64)])]
      graph.initializers["w"] = .float32(
        kind == .gemm ? matrix : matrix.transposed().contiguous())
      graph.nodes = [
        kind == .gemm
          ? Node(
            "Gemm", name: "c", inputs: ["x", "w", "b"], outputs: ["y"],
            attributes: ["transB": .int(1)])
          : Node("MatMul", name: "c", inputs: ["x", "w"], outputs: ["y"])
      ]
    }
    if kind != .matmul {
      graph.initializers["b"] = .float32(Tensor([64], normalUsing: &generator))
    }
    return graph
  }

  private func input(_ graph: Graph, count: Int, seed: UInt64) throws -> Tensor<Float> {
    var generator = RandomGenerator(seed: seed)
    return Tensor(try graph.inputs[0].shape(batch: count), normalUsing: &generator)
  }

  private func compressed(_ graph: Graph, _ steps: [CompressionStep]) throws -> Graph {
    let samples = try input(graph, count: 64, seed: 12)
    let context = CompressionContext(
      original: graph, samples: ["x": .float32(samples)], threads: .serial)
    return try Compressor(context).apply(Recipe(steps)).graph
  }

  private func noise(_ graph: Graph, _ other: Graph) throws -> Double {
    let source = try CalibrationSource(
      ["x": .float32(input(graph, count: 64, seed: 13))], for: graph)
    return try Agreement.measure(graph, other, source, threads: .serial).noiseToSignal
  }

  private func factoring(
    _ kind: Kind, _ methods: [FactorMethod]?, dataAware: Bool = true
  ) -> CompressionStep {
    func change(_ settings: inout FactorSettings) {
      settings.allocation = .ratio
      settings.methods = methods
      settings.dataAware = dataAware
      settings.ratio = 0.8
    }
    return kind == .conv ? .lowrank(change) : .svd(change)
  }

  /// What 8 bits and factors do together is hardly more than what they do alone.
  @Test(arguments: Kind.allCases, [3, 4])
  func eightBitsAndFactorsAddUp(kind: Kind, decades: Double) throws {
    let dense = try layer(kind, decades: decades)
    let integers = CompressionStep(.quantize)
    let alone = try noise(dense, compressed(dense, [integers]))
    let methods: [FactorMethod?] = kind == .conv ? [.channel, .spatial, .tucker] : [nil]
    for method in methods {
      for dataAware in [true, false] {
        let factors = factoring(kind, method.map { [$0] }, dataAware: dataAware)
        let factored = try noise(dense, compressed(dense, [factors]))
        let both = try noise(dense, compressed(dense, [factors, integers]))
        let loss = 10 * Double.log10(both / (alone + factored))
        #expect(loss < 2, "\(method.map(\.rawValue) ?? "svd"), \(dataAware)")
      }
    }
  }

  /// The ranges of the channels between all stages, the largest over the smallest.
  private func spread(_ chained: Graph, _ input: Tensor<Float>) throws -> [Float] {
    try chained.nodes.dropLast().filter { $0.opType != "Add" }.map { node in
      var part = chained
      part.outputs = [ValueInfo(node.outputs[0], .float32, [])]
      let value = try #require(try Session(part).run(["x": .float32(input)]).values.first)
      let tensor: Tensor<Float> = try value.require()
      let area = tensor.shape.count(of: 2..<tensor.shape.rank)
      var largest = [Float](repeating: 0, count: tensor.shape[1])
      for (i, element) in tensor.elements.enumerated() {
        let channel = i / area % largest.count
        largest[channel] = max(largest[channel], abs(element))
      }
      return largest.max()! / largest.min()!
    }
  }

  /// All channels between factors have about one range, and the factors compute what they did.
  @Test(arguments: DecompositionMethod.allCases, [true, false])
  func channelsHaveOneRange(method: DecompositionMethod, dataAware: Bool) throws {
    let graph = try layer(.conv, decades: 3)
    guard case .layer(let layer)? = try WeightedLayer.find(graph.nodes[0], in: graph) else {
      Issue.record("no layer")
      return
    }
    let samples = try input(graph, count: 32, seed: 14)
    var moments = Moments(width: layer.depth)
    moments.add(
      try WindowRows(layer.node, kernel: [3, 3], depth: layer.depth, perSample: 64).inputs(samples))
    let moment = dataAware ? moments.secondMoment : nil
    let problem = DecompositionProblem(layer, covariance: moment, threads: .serial)
    let prepared = try #require(try method.prepare(problem))
    let fitted = try prepared.fitted(prepared.ranks(cost: 0.8))
    var (plain, balanced) = (graph, graph)
    try fitted.chain(bias: layer.bias).write(layer, to: &plain)
    try fitted.balanced(bias: layer.bias, secondMoment: moment, threads: .serial)
      .write(layer, to: &balanced)
    let (a, b) = (try Session(plain).run(samples), try Session(balanced).run(samples))
    let largest = a.elements.reduce(0) { max($0, abs($1)) }
    #expect(zip(a.elements, b.elements).allSatisfy { abs($0 - $1) < 1e-5 * largest })
    let (before, after) = (try spread(plain, samples), try spread(balanced, samples))
    #expect(after.count == (method == .channel || method == .spatial ? 1 : 2))
    // Whitened channels are even already, and have to stay so.
    if method == .channel || method == .tucker { #expect(before.max()! > 20) }
    #expect(after.allSatisfy { $0 < 4 })
  }

  @Test(arguments: [1, 2, 3, 5, 6, 7, 8, 12, 24, 48, 90])
  func spreadingIsOrthogonalAndEven(count: Int) {
    let spread = FeatureBalance.spread(count)
    let product = matrixProduct(spread, spread, transposeB: true)
    for i in 0..<count {
      for j in 0..<count { #expect(abs(product[i, j] - (i == j ? 1 : 0)) < 1e-12) }
    }
    let limit = (2 / Double(count)).squareRoot() + 1e-12
    #expect(spread.elements.allSatisfy { abs($0) <= limit })
  }

  /// Channels that nothing reads, that are never anything but 0, or that say the same are no trap.
  @Test func channelsWithoutEnergyStayFinite() throws {
    var moment = Tensor<Double>(zeros: [4, 4])
    (moment[0, 0], moment[1, 1], moment[0, 1], moment[1, 0]) = (1, 1, 1, 1)
    moment[2, 2] = 1e-12
    let rows = Tensor<Double>([2, 4], [1, 1, 5, 7, 2, 2, 5, 0])
    for (moment, rows) in [
      (moment, rows), (Tensor(zeros: [4, 4]), rows), (moment, Tensor(zeros: [2, 4])),
    ] {
      let (into, back) = try FeatureBalance(secondMoment: moment, rows: rows, threads: 1)
        .maps(rank: 4)
      let product = matrixProduct(back, into)
      for i in 0..<4 {
        for j in 0..<4 { #expect(abs(product[i, j] - (i == j ? 1 : 0)) < 1e-6) }
      }
    }
  }
}
