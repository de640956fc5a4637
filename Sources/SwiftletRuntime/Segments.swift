// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// A graph divided into segments that run on fused kernels, and nodes that run on the reference.
///
/// Nodes are sorted into phases: even ones hold nodes that become instructions, odd ones the rest,
/// and each node is in the first phase of its kind that follows all of its inputs. An even phase is
/// one segment.
struct Segments {
  /// The graph with each segment as one node, and the segments by node name.
  private(set) var graph: Graph
  private(set) var segments: [String: Segment] = [:]
  private var names: FreshNames

  init(
    _ given: GraphFacts, _ infos: [String: TensorInfo], threads: Threads, cache: PackedWeights
  ) {
    var facts = given
    let graph = facts.graph
    // A phase left to the reference merges with its neighbours. The later phases move up without
    // meeting others, because all their nodes follow some of its nodes: one pass finds all of them.
    for index in Self.worthless(facts, Self.phases(facts)) { facts.exclude(index) }
    let phases = Self.phases(facts)
    self.graph = graph
    names = FreshNames(graph)
    self.graph.nodes = []
    let order = graph.nodes.indices.sorted { (phases[$0], $0) < (phases[$1], $1) }
    for start in order.indices where start == 0 || phases[order[start]] != phases[order[start - 1]]
    {
      let phase = phases[order[start]]
      let members = order[start...].prefix { phases[$0] == phase }
      if phase % 2 != 0 {
        self.graph.nodes += members.map { graph.nodes[$0] }
      } else {
        add(Array(members), facts, infos, threads, cache)
      }
    }
    // This includes weights that a segment has absorbed.
    self.graph.removeUnusedNodes()
    self.graph.removeUnusedInitializers()
  }

  private mutating func add(
    _ members: [Int], _ facts: GraphFacts, _ infos: [String: TensorInfo], _ threads: Threads,
    _ cache: PackedWeights
  ) {
    let inside = Set(members)
    let written = OrderedSet(members.flatMap { facts.graph.nodes[$0].outputs })
      .filter { !$0.isEmpty }
    let inputs = OrderedSet(members.flatMap(facts.data)).filter { !written.contains($0) }
    let outputs = written.filter { name in
      facts.isOutput(name) || facts.consumers(name).contains { !inside.contains($0) }
    }
    let name = names.next("segment \(segments.count)")
    var lowering = Lowering(facts, inputs: inputs, outputs: outputs, cache: cache)
    lowering.lower(members)
    segments[name] = Segment(
      Program(
        ChainInstruction.joining(lowering.instructions, lowering.values), lowering.values,
        images: facts.images, threads: threads),
      results: outputs.map { infos[$0]! }, images: facts.images)
    graph.nodes.append(
      Node(
        Segment.opType, name: name, domain: "swiftlet", inputs: Array(inputs),
        outputs: Array(outputs)))
  }

  private static func phases(_ facts: GraphFacts) -> [Int] {
    var byName: [String: Int] = [:]
    return facts.graph.nodes.indices.map { index in
      let node = facts.graph.nodes[index]
      let isLowered = facts.isLowered(index)
      let reads = isLowered ? facts.data(index) : node.reads
      let latest = reads.compactMap { byName[$0] }.max() ?? -1
      let phase = (latest % 2 == 0) == isLowered ? latest : latest + 1
      for name in node.outputs { byName[name] = phase }
      return phase
    }
  }

  /// The members of segments with only elementwise work, for which converting the layout of values
  /// does not pay.
  private static func worthless(_ facts: GraphFacts, _ phases: [Int]) -> [Int] {
    let lowered = phases.indices.filter { facts.isLowered($0) }
    let worthy = Set(
      lowered.filter {
        [
          "Attention", "Conv", DynamicQuantizeMatMul.opType, "Gemm", "LayerNormalization", "MatMul",
          "Softmax",
        ].contains(facts.graph.nodes[$0].opType)
      }.map { phases[$0] })
    return lowered.filter { !worthy.contains(phases[$0]) }
  }
}

/// A part of a graph that runs as a ``Program``.
struct Segment: Operator {
  static let opType = "Segment"
  let program: Program
  private let results: [TensorInfo]
  private let images: Int

  init(_ program: Program, results: [TensorInfo], images: Int) {
    (self.program, self.results, self.images) = (program, results, images)
  }

  init(_ node: Node, opset: Int) throws {
    throw SwiftletError(.unsupported, "only compiling a graph creates segments", at: node.label)
  }

  func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] { results }

  func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] { run(inputs.map { $0! }) }

  func run(_ inputs: [AnyTensor], observe: Program.Observer? = nil) -> [AnyTensor] {
    let packed = inputs.map(\.contiguous)
    let outputs = results.map { AnyTensor(uninitialized: $0.dtype, $0.shape) }
    withExtendedLifetime((packed, outputs)) {
      let ends = unsafe Program.Ends(
        inputs: packed.map { unsafe (UnsafeRawPointer($0.unsafeStart), $0.byteCount / images) },
        outputs: outputs.map { unsafe ($0.unsafeStart, $0.byteCount / images) })
      program.run(ends, observe: observe)
    }
    return outputs
  }
}
