// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
public import SwiftletCore
public import SwiftletGraph
import Synchronization

/// A model that is ready to run repeatedly, on a given number of threads.
///
/// The graph is simplified once, and compiled for each new set of input shapes: nodes with fused
/// kernels run on these, channels-last; the rest runs on the operators' reference. Weights are
/// packed once for all batch sizes.
///
/// Safe to use from several threads at once. One of them holds the process's worker threads at a
/// time; the others run on their own thread.
public struct Session: Sendable {
  let core: Core

  /// Prepares a graph; fp32 layers multiply in the given precision.
  ///
  /// - Throws: `unsupported` or `badInput` if the graph cannot be run; see `Interpreter`.
  public init(
    _ graph: Graph, threads: Threads = .available, precision: Precision = .fp32
  ) throws {
    core = try Core(graph, threads, precision)
  }

  /// What has to be given, with open extents by name.
  public var inputs: [ValueInfo] { core.reference.inputs.map(\.info) }
  /// Names of the results, in the model's order.
  public var outputNames: [String] { core.reference.outputs.map(\.name) }

  /// Computes all outputs from all inputs, by name.
  ///
  /// - Throws: `badInput` for a missing, unknown or mismatched input.
  public func run(_ inputs: [String: AnyTensor]) throws -> [String: AnyTensor] {
    guard let tensors = core.fitting(inputs) else {
      // Reports what is wrong with them.
      return try core.reference.run(inputs, core.context)
    }
    let results = try core.run(tensors)
    return Dictionary(uniqueKeysWithValues: zip(outputNames, results))
  }

  /// Computes the first output of a model with one input.
  ///
  /// - Throws: As ``run(_:)-([String:AnyTensor])``; `badInput` also if the output is not fp32.
  public func run(_ input: Tensor<Float>) throws -> Tensor<Float> {
    let (inputs, outputs) = (core.reference.inputs, core.reference.outputs)
    guard inputs.count == 1, let output = outputs.first else {
      throw SwiftletError(
        .unsupported, "the model has \(inputs.count) inputs and \(outputs.count) outputs",
        mend: "only models with one input can be used here")
    }
    let tensor = AnyTensor(input)
    let info = inputs[0].info
    // For a mismatched input, the run by names reports what is wrong.
    let result =
      Core.fits(tensor, info)
      ? try core.run([tensor])[0] : try run([info.name: tensor])[output.name]!
    return try locating("output '\(output.name)'") { try result.require() }
  }

  /// Compiles for the given input shapes, if that has not been done yet.
  ///
  /// - Throws: `badInput` if they do not match the model.
  public func prepare(_ shapes: [String: Shape]) throws {
    let ordered = try inputs.map { info in
      guard let shape = shapes[info.name] else {
        throw SwiftletError(.badInput, "input '\(info.name)' is missing")
      }
      return shape
    }
    _ = try core.compiled(for: ordered)
  }

  /// The memory of the session besides the model, in bytes: the packed weights, shared by all
  /// shapes, and the values of a run for the given shapes.
  ///
  /// - Throws: As ``prepare(_:)``.
  public func memory(for shapes: [String: Shape]) throws -> (weights: Int, values: Int) {
    try prepare(shapes)
    let segments = try core.compiled(for: inputs.map { shapes[$0.name]! }).segments.values
    return (core.cache.byteCount, segments.reduce(0) { $0 + $1.program.peakBytes })
  }

  /// The compiled model for inputs of given shapes.
  final class Compiled: Sendable {
    let shapes: [Shape]
    /// The graph with its segments; `nil` if shapes depend on data, so that the reference runs it.
    let interpreter: Interpreter?
    let segments: [String: Segment]
    /// The peak memory of a run, in bytes: the values between segments, and those within one.
    let byteCount: Int

    init(
      _ shapes: [Shape], _ interpreter: Interpreter?, _ segments: [String: Segment],
      peakBytes: Int = 0
    ) {
      (self.shapes, self.interpreter, self.segments) = (shapes, interpreter, segments)
      byteCount = peakBytes + (segments.values.map(\.program.peakBytes).max() ?? 0)
    }
  }

  final class Core: Sendable {
    let graph: Graph
    let reference: Interpreter
    let context: ExecutionContext
    let precision: Precision
    let cache: PackedWeights
    /// The most recently used first.
    private let known = Mutex<[Compiled]>([])
    /// The number of sets of shapes that stay compiled.
    private static let capacity = 16

    init(_ graph: Graph, _ threads: Threads, _ precision: Precision) throws {
      let graph = graph.expandingQuantizedOperators()
      // Errors in a graph are reported in terms of its original nodes.
      _ = try Interpreter(graph)
      self.graph = graph.simplified()
      reference = try Interpreter(self.graph)
      context = ExecutionContext(threads: threads)
      self.precision = precision
      cache = PackedWeights(threads)
    }

    /// The inputs in the interpreter's order, if they are present and of the declared type.
    func fitting(_ inputs: [String: AnyTensor]) -> [AnyTensor]? {
      guard inputs.count == reference.inputs.count else { return nil }
      var tensors: [AnyTensor] = []
      for (info, _) in reference.inputs {
        guard let tensor = inputs[info.name], Self.fits(tensor, info) else { return nil }
        tensors.append(tensor)
      }
      return tensors
    }

    static func fits(_ tensor: AnyTensor, _ info: ValueInfo) -> Bool {
      tensor.dtype == info.dtype && info.accepts(tensor.shape)
    }

    func run(_ tensors: [AnyTensor]) throws -> [AnyTensor] {
      try run(tensors, compiled(for: tensors.map(\.shape)))
    }

    func run(_ tensors: [AnyTensor], _ compiled: Compiled) throws -> [AnyTensor] {
      if let interpreter = compiled.interpreter {
        try MemoryLimit.requireAvailable(Double(compiled.byteCount), for: "the values of the run")
        return try interpreter.run(fitting: tensors, context)
      }
      let names = reference.inputs.map(\.info.name)
      let results = try reference.run(
        Dictionary(uniqueKeysWithValues: zip(names, tensors)), context)
      return reference.outputs.map { results[$0.name]! }
    }

    func compiled(for shapes: [Shape]) throws -> Compiled {
      let found = known.withLock { known -> Compiled? in
        guard let index = known.firstIndex(where: { $0.shapes == shapes }) else { return nil }
        if index > 0 { known.insert(known.remove(at: index), at: 0) }
        return known[0]
      }
      if let found { return found }
      let made = try compile(shapes)
      known.withLock { known in
        known.insert(made, at: 0)
        if known.count > Self.capacity { known.removeLast() }
      }
      return made
    }

    private func compile(_ shapes: [Shape]) throws -> Compiled {
      let names = reference.inputs.map(\.info.name)
      let infos: [String: TensorInfo]
      do {
        infos = try reference.inferForRun(Dictionary(uniqueKeysWithValues: zip(names, shapes)))
      } catch let error as SwiftletError where error.code == .unsupported {
        return Compiled(shapes, nil, [:])
      }
      // Kernels store weights in a separate order.
      let weights = graph.initializers.values.reduce(0) { $0 + $1.byteCount }
      try MemoryLimit.requireAvailable(
        Double(max(0, weights - cache.byteCount)), for: "the model's weights")
      let images = shapes.first { $0.rank > 0 }?[0] ?? 1
      let segments = Segments(
        GraphFacts(graph.fusingPatterns(infos), infos, images: images, precision: precision), infos,
        threads: context.threads, cache: cache)
      let interpreter = try Interpreter(segments.graph, captured: nil, custom: segments.segments)
      return Compiled(
        shapes, interpreter, segments.segments, peakBytes: interpreter.peakActivationBytes(infos))
    }
  }
}
