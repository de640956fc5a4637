// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
import SwiftletGraph

/// The time of one layer of a model, or of several that are computed together.
public struct LayerProfile: Sendable, Codable {
  /// The label of its node.
  public let layer: String
  /// What computes it and the name of the kernel, for display.
  public let kernel: String
  /// Median time of one run of the whole batch on one thread, in milliseconds.
  public let milliseconds: Double
  /// Operations per second, two per multiply–accumulate, in billions; 0 for layers without.
  /// Operations that a kernel saves (Winograd) are included.
  public let gigaOperationsPerSecond: Double
  /// What ``kernel`` shows: several if layers are computed in stripes. Not encoded.
  package private(set) var computations: [Computation] = []

  private enum CodingKeys: String, CodingKey {
    case layer, kernel, milliseconds, gigaOperationsPerSecond
  }

  fileprivate init(_ timing: Timing, seconds: Double) {
    (layer, computations) = (timing.layer, timing.computations)
    kernel = computations.map(\.description).joined(separator: " → ")
    milliseconds = seconds * 1e3
    gigaOperationsPerSecond = seconds > 0 ? 2e-9 * timing.macs / seconds : 0
  }
}

/// The steps of one run, and their time.
private struct Timing {
  let layer: String
  let computations: [Computation]
  var macs = 0.0, seconds = 0.0
}

extension Session {
  /// Times each layer on one thread, `runs` times, and returns the medians.
  ///
  /// - Throws: As ``run(_:)-([String:AnyTensor])``; `unsupported` if shapes depend on data.
  public func profile(_ inputs: [String: AnyTensor], runs: Int = 10) throws -> [LayerProfile] {
    guard let tensors = core.fitting(inputs) else {
      _ = try core.reference.run(inputs, core.context)
      return []
    }
    guard let interpreter = try core.compiled(for: tensors.map(\.shape)).interpreter else {
      throw SwiftletError(
        .unsupported, "the model's shapes depend on data", mend: "it can be run, but not profiled")
    }
    var rounds: [[Timing]] = []
    for _ in 0..<max(1, runs) { rounds.append(try Self.timings(interpreter, tensors)) }
    return rounds[0].indices.map { index in
      let times = rounds.map { $0[index].seconds }.sorted()
      return LayerProfile(rounds[0][index], seconds: times[times.count / 2])
    }
  }

  /// One run, step by step.
  private static func timings(_ interpreter: Interpreter, _ inputs: [AnyTensor]) throws -> [Timing]
  {
    var values = interpreter.constants
    for (input, tensor) in zip(interpreter.inputs, inputs) { values[input.slot] = tensor }
    let clock = ContinuousClock()
    var timings: [Timing] = []
    for step in interpreter.steps {
      var operands = step.inputs.map { $0.flatMap { values[$0] } }
      for slot in step.releases { values[slot] = nil }
      let results: [AnyTensor]
      if let segment = step.operator as? Segment {
        var own = segment.program.steps.map {
          Timing(layer: $0.label, computations: $0.computations)
        }
        results = segment.run(operands.map { $0! }) { index, images, seconds in
          own[index].seconds += seconds
          own[index].macs += Double(segment.program.steps[index].macs * images)
        }
        timings += zip(own, segment.program.steps).filter { !$1.isBorder }.map { $0.0 }
      } else {
        let shapes = operands.map { $0?.shape }
        let start = clock.now
        results = try step.operator.forward(&operands, ExecutionContext())
        let seconds = start.duration(to: clock.now) / .seconds(1)
        let macs = step.operator.macs(inputs: shapes, outputs: results.map(\.shape))
        timings.append(
          Timing(
            layer: step.label, computations: [Computation(.reference)], macs: Double(macs),
            seconds: seconds))
      }
      for (slot, result) in zip(step.outputs, results) where !step.releases.contains(slot) {
        values[slot] = result
      }
    }
    return timings
  }
}
