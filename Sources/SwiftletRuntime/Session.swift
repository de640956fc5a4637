public import SwiftletCore
public import SwiftletGraph

/// A model ready to be run, again and again, on some number of threads.
///
/// Safe to use from several threads at once: running changes nothing in the session.
public struct Session: Sendable {
  private let plan: Plan
  private let context: ExecutionContext

  /// - Throws: `unsupported` or `badInput` if the graph cannot be run; see ``Plan``.
  public init(_ graph: Graph, threads: ThreadPool = .available) throws {
    plan = try Plan(graph)
    context = ExecutionContext(pool: threads)
  }

  public var inputs: [ValueInfo] { plan.inputs.map(\.info) }
  public var outputNames: [String] { plan.outputs.map(\.name) }

  /// Computes all outputs from all inputs, by name.
  ///
  /// - Throws: `badInput` for a missing, unknown or misshapen input.
  public func run(_ inputs: [String: AnyTensor]) throws -> [String: AnyTensor] {
    try plan.run(inputs, context)
  }

  /// Computes the first output of a model that has one input.
  ///
  /// - Throws: As ``run(_:)-([String:AnyTensor])``; `badInput` too if the output is not fp32.
  public func run(_ input: Tensor<Float>) throws -> Tensor<Float> {
    guard plan.inputs.count == 1, let output = plan.outputs.first else {
      throw SwiftletError(
        .unsupported, "the model has \(plan.inputs.count) inputs and \(plan.outputs.count) outputs",
        mend: "only models with one input can be used here")
    }
    let results = try plan.run([plan.inputs[0].info.name: AnyTensor(input)], context)
    return try locating("output '\(output.name)'") { try results[output.name]!.require() }
  }
}
