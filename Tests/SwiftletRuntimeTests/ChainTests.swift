// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletKernels
import SwiftletRuntime
import Testing

/// Layers that run stripe by stripe give what the reference gives, however stripes fall to threads.
struct ChainTests {
  /// Chains of factored convolutions and of blocks that are wide in the middle, on images too large
  /// for the cache.
  private static func graph(seed: Int, size: Int = 59) -> Graph {
    var builder = GraphBuilder(
      seed: UInt64(seed), input: [3, size + seed % 7, size + 2 + seed % 5])
    var value = builder.conv("x", to: 48, kernel: 1)
    for _ in 0..<2 {
      let channels = builder.shapes[value]![1]
      let entry = value
      switch builder.numbers.below(4) {
      case 0:
        value = builder.conv(value, to: 56, kernel: 1)
        value = builder.conv(value, to: 50, kernel: 5)
      case 1:
        value = builder.conv(value, to: 64, kernel: 1)
        value = builder.add("Relu", [value])!
        value = builder.conv(value, to: 64, kernel: 3, stride: 2, groups: 64)
        value = builder.add("Clip", [value, builder.constant(.float32(Tensor([], [-1])))])!
      case 2:
        value = builder.conv(value, to: 60, kernel: 3, dilation: 2)
        value = builder.add("Tanh", [value])!
      default:
        value = builder.conv(value, to: 44, kernel: 5, stride: 2)
        value = builder.add(
          "MaxPool", [value], ["kernel_shape": .ints([2, 2]), "strides": .ints([2, 2])])!
        return builder.finished(value)
      }
      value = builder.conv(value, to: channels, kernel: 1)
      if builder.shapes[value] == builder.shapes[entry] {
        value = builder.add("Add", [value, entry])!
      }
    }
    return builder.finished(value)
  }

  @Test(arguments: 0..<16)
  func equalsTheReference(seed: Int) throws {
    let graph = Self.graph(seed: seed)
    let x = try randomInput(graph, batch: 2)
    let expected = try Interpreter(graph).run(["x": x], ExecutionContext())
    var first: [String: AnyTensor]?
    for threads in [1, 2, 3] {
      let session = try Session(graph, threads: Threads(count: threads))
      let results = try session.run(["x": x])
      #expect(difference(results["y"]!, expected["y"]!) <= 1e-5, "\(graph.listing)")
      // One image, shared by the threads, goes through other stripes first.
      let one = try session.run(["x": images(0..<1, of: x)])
      #expect(one["y"]! == images(0..<1, of: results["y"]!), "\(threads) threads: \(graph.listing)")
      #expect(first == nil || first == results, "\(threads) threads: \(graph.listing)")
      first = results
      let chains = try session.profile(["x": x], runs: 1).filter { $0.computations.count > 1 }
      #expect(!chains.isEmpty, "\(graph.listing)")
    }
  }

  /// A 3×3 convolution for which products are faster, though tiles would be for one of its stripes,
  /// whose rows are a multiple of four: an algorithm is chosen for the layer, not for the stripe.
  @Test func stripesDoNotChooseTheirAlgorithm() throws {
    var builder = GraphBuilder(seed: 1, input: [3, 207, 208])
    let thin = builder.conv("x", to: 4, kernel: 1)
    let graph = builder.finished(builder.conv(thin, to: 46, kernel: 3))
    let x = try randomInput(graph, batch: 1)
    let expected = try Interpreter(graph).run(["x": x], ExecutionContext())
    for threads in [1, 2] {
      let session = try Session(graph, threads: Threads(count: threads))
      #expect(try difference(session.run(["x": x])["y"]!, expected["y"]!) <= 1e-5)
      let chain = try session.profile(["x": x], runs: 1).first { $0.computations.count > 1 }
      #expect(
        chain?.computations.map(\.kind) == [
          .weighted(.product(.float)), .weighted(.product(.float)),
        ])
    }
  }

  @Test(arguments: 0..<8)
  func equalsTheReferenceInBytes(seed: Int) throws {
    let graph = Self.graph(seed: 100 + seed, size: 118)
    let x = try randomInput(graph, batch: 2)
    let quantized = try QuantizedGraph(graph, seed: UInt64(seed), sample: x)
    let expected = try Interpreter(quantized.graph).run(["x": x], ExecutionContext())
    for threads in [1, 3] {
      let session = try Session(quantized.graph, threads: Threads(count: threads))
      let results = try session.run(["x": x])
      let chains = try session.profile(["x": x], runs: 1).filter { $0.computations.count > 1 }
      #expect(!chains.isEmpty, "\(quantized.graph.listing)")
      for (name, step) in quantized.steps {
        let (a, b) = (results[name]!, expected[name]!)
        let wrong = zip(a.numbers, b.numbers).count { abs($0 - $1) > 1.001 * Double(step) }
        // A sum in fp32 on the way may round to the next step, which few outputs see.
        #expect(wrong * 1000 <= a.shape.count, "\(name): \(wrong), \(quantized.graph.listing)")
      }
    }
  }
}

extension GraphBuilder {
  fileprivate mutating func conv(
    _ input: String, to outputs: Int, kernel: Int, stride: Int = 1, dilation: Int = 1,
    groups: Int = 1
  ) -> String {
    let channels = shapes[input]![1] / groups
    let area = channels * kernel * kernel
    let pad = (kernel - 1) * dilation / 2
    return add(
      "Conv",
      [
        input,
        weights([outputs, channels, kernel, kernel], times: 1 / Float(area).squareRoot()),
        weights([outputs], times: 0.1),
      ],
      [
        "kernel_shape": .ints([kernel, kernel]), "pads": .ints([pad, pad, pad, pad]),
        "strides": .ints([stride, stride]), "dilations": .ints([dilation, dilation]),
        "group": .int(groups),
      ])!
  }

  fileprivate mutating func finished(_ value: String) -> Graph {
    let result = add("Identity", [value])!
    var graph = graph
    graph.nodes[graph.nodes.count - 1].outputs = ["y"]
    graph.outputs = [
      ValueInfo("y", .float32, shapes[result]!.dimensions.map { _ in .symbolic("d") })
    ]
    return graph
  }
}

extension AnyTensor {
  fileprivate var numbers: [Double] {
    if let floats = typed(as: Float.self) { return floats.elements.map(Double.init) }
    if let bytes = typed(as: UInt8.self) { return bytes.elements.map(Double.init) }
    return typed(as: Int8.self)!.elements.map(Double.init)
  }
}
