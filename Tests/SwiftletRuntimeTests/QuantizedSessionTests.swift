// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletRuntime
import Testing

/// Sessions of quantized graphs compute in integers what the reference computes in fp32.
struct QuantizedSessionTests {
  private func numbers(_ tensor: AnyTensor) -> [Float] {
    func opened<Element: TensorElement>(_: Element.Type) -> [Float] {
      tensor.typed(as: Element.self)!.elements.map { Float($0.asDouble) }
    }
    return opened(tensor.dtype.elementType)
  }

  /// Values of quantized outputs, and how many of them got another code.
  private struct Tally {
    var values = 0
    var other = 0
  }

  /// fp32 rounds where sums are exact in integers, so that a value near the middle between two
  /// codes may get the other one: a step in rare places, which can be a few where a finer scale
  /// follows.
  private func complaint(
    _ result: AnyTensor, _ expected: AnyTensor, step: Float?, _ tally: inout Tally
  ) -> String? {
    guard result.dtype == expected.dtype, result.shape == expected.shape else {
      return "is \(result.dtype) \(result.shape)"
    }
    let (x, y) = (numbers(result), numbers(expected))
    let largest = y.reduce(0) { max($0, abs($1)) }
    let errors = zip(x, y).map { abs($0 - $1) }
    let worst = errors.max() ?? 0
    guard let step else {
      // Sums that are not rounded show what a few steps in their inputs make.
      let bound = 0.02 * max(largest, 0.1)
      return worst <= bound ? nil : "is off by \(worst) of \(largest)"
    }
    tally.values += errors.count
    tally.other += errors.count { $0 > 1e-4 * step + 1e-6 * largest }
    return worst <= 4.001 * step ? nil : "is off by \(worst / step) steps"
  }

  /// Twelve graphs each, because in one graph a single other code early on has many followers.
  @Test(arguments: 0..<20)
  func equalsTheReference(group: Int) throws {
    var tally = Tally()
    for seed in 12 * group..<12 * (group + 1) { try check(seed, &tally) }
    #expect(tally.other * 200 <= tally.values, "\(tally)")
  }

  private func check(_ seed: Int, _ tally: inout Tally) throws {
    let plain = RandomGraph.make(seed: UInt64(5000 + seed), onlyLowered: seed % 4 > 0)
    var generator = RandomGenerator(seed: UInt64(seed))
    func input(_ batch: Int) throws -> AnyTensor {
      .float32(Tensor(try plain.inputs[0].shape(batch: batch), normalUsing: &generator))
    }
    let quantized = try QuantizedGraph(plain, seed: UInt64(seed), sample: input(8))
    let graph = quantized.graph
    let reference = try Interpreter(graph)
    let sessions = try [1, 2, 3].map { try Session(graph, threads: Threads(count: $0)) }
    var wrong: [String] = []
    for batch in [1, 3, 8] {
      let input = try ["x": input(batch)]
      let expected = try reference.run(input, ExecutionContext())
      let results = try sessions.map { try $0.run(input) }
      for name in graph.outputs.map(\.name) {
        let step = quantized.steps[name]
        if let text = complaint(results[0][name]!, expected[name]!, step: step, &tally) {
          wrong.append("batch \(batch): \(name) \(text)")
        }
        // Among themselves there is no difference.
        for threads in 1...2 where seed % 4 > 0 && results[threads][name]! != results[0][name]! {
          wrong.append("batch \(batch): \(name) on \(threads + 1) threads")
        }
        for image in 0..<batch where seed % 4 > 0 {
          let one = try sessions[image % 3].run(
            ["x": images(image..<image + 1, of: input["x"]!)])
          if one[name]! != images(image..<image + 1, of: results[0][name]!) {
            wrong.append("batch \(batch): \(name) of image \(image) alone")
          }
        }
      }
    }
    #expect(wrong.isEmpty, "\(wrong.joined(separator: "\n"))\n\(graph.listing)")
  }
}
