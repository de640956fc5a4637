// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
public import SwiftletCore

/// A graph prepared for execution: operators built, names resolved to slots, lifetimes known.
///
/// Building it detects every defect that does not depend on the input shapes: unknown operators,
/// bad attributes, undefined values, cycles.
public struct Interpreter: Sendable {
  /// One node, ready to run.
  package struct Step: Sendable {
    package let label: String
    package let `operator`: any Operator
    /// Slots of the inputs; `nil` for an omitted optional input.
    package let inputs: [Int?]
    package let outputs: [Int]
    /// Slots whose last reader is this step.
    package let releases: Set<Int>
  }

  package let steps: [Step]
  /// Value name of each slot.
  package let names: [String]
  package let constants: [Int: AnyTensor]
  /// By slot; `nil` for all other values.
  private let constantsInPlace: [AnyTensor?]
  private let hasInnerGraphs: Bool
  package let inputs: [(info: ValueInfo, slot: Int)]
  package let outputs: [(name: String, slot: Int)]
  private let inputSlots, outputSlots: [Int]
  /// As ``Graph/extents``.
  let extents: [String: Int]
  /// The outputs declared by the model; empty for a subgraph.
  let declaredOutputs: [ValueInfo]
  /// Slots of the values that a subgraph captures from the enclosing graph; `nil` for those that
  /// only a sibling reads.
  private let captures: [Int?]
  private let capturedSlots: Set<Int>

  /// - Throws: `unsupported` naming every node whose operator is unknown; `badInput` if the graph
  ///   is inconsistent.
  public init(_ graph: Graph) throws { try self.init(graph, captured: nil) }

  /// - Parameters:
  ///   - captured: Names that a subgraph, or a sibling, captures from the enclosing graph; `nil`
  ///     for a top-level graph.
  ///   - custom: Operators of nodes that are not ONNX's, by node name.
  package init(
    _ graph: Graph, captured: [String]?, custom: [String: any Operator] = [:]
  ) throws {
    declaredOutputs = captured == nil ? graph.outputs : []
    extents = graph.extents
    let captured = captured ?? []
    try Self.checkOperators(graph, custom)
    var slots: OrderedDictionary<String, Int> = [:]
    func slot(_ name: String) -> Int {
      if let known = slots[name] { return known }
      slots[name] = slots.count
      return slots.count - 1
    }
    inputs = graph.dataInputs.map { ($0, slot($0.name)) }
    let own = captured.isEmpty ? [] : graph.captures
    captures = captured.map { own.contains($0) ? slot($0) : nil }
    capturedSlots = Set(captures.compactMap { $0 })
    var constants: [Int: AnyTensor] = [:]
    for (name, tensor) in graph.initializers {
      _ = try TensorInfo(tensor.dtype, tensor.shape).limited("constant '\(name)'")
      constants[slot(name)] = tensor
    }
    var written = Set(slots.keys)
    var drafts: [(node: Node, op: any Operator, inputs: [Int?], outputs: [Int])] = []
    for node in graph.nodes {
      for name in node.reads where !name.isEmpty && !written.contains(name) {
        throw SwiftletError(
          .badInput, "no earlier node writes input '\(name)'", at: node.label,
          fix: "nodes must be in execution order")
      }
      guard node.outputs.contains(where: { !$0.isEmpty }) else {
        throw SwiftletError(.badInput, "the node has no outputs", at: node.label)
      }
      let inputs = node.reads.map { $0.isEmpty ? nil : slot($0) }
      // Omitted outputs have slots too, under names that cannot occur in a file.
      let names = node.outputs.enumerated().map {
        $1.isEmpty ? "\u{0}\(drafts.count).\($0)" : $1
      }
      for name in names where !written.insert(name).inserted {
        throw SwiftletError(.badInput, "value '\(name)' is written twice", at: node.label)
      }
      let op = try locating(node.label) {
        try custom[node.name] ?? OperatorRegistry.make(node, opset: graph.opset)
      }
      drafts.append((node, op, inputs, names.map(slot)))
    }
    outputs = try graph.outputs.map {
      guard written.contains($0.name) else {
        throw SwiftletError(.badInput, "no node writes output '\($0.name)'")
      }
      return ($0.name, slot($0.name))
    }
    guard Set(outputs.map(\.slot)).count == outputs.count else {
      throw SwiftletError(.badInput, "two outputs of the model have the same name")
    }
    // A value is released after its last reader, unless it is a result or a constant.
    var kept = Set(outputs.map(\.slot)).union(constants.keys)
    var steps: [Step] = []
    for draft in drafts.reversed() {
      // Filtered because a subtraction would visit all kept values.
      let own = Set(draft.inputs.compactMap { $0 } + draft.outputs)
      let releases = own.filter { !kept.contains($0) }
      kept.formUnion(releases)
      steps.append(
        Step(
          label: draft.node.label, operator: draft.op, inputs: draft.inputs,
          outputs: draft.outputs, releases: releases))
    }
    self.steps = steps.reversed()
    self.constants = constants
    names = Array(slots.keys)
    inputSlots = inputs.map(\.slot)
    outputSlots = outputs.map(\.slot)
    constantsInPlace = names.indices.map { constants[$0] }
    hasInnerGraphs = graph.nodes.contains {
      $0.attributes.values.contains { if case .graph = $0 { true } else { false } }
    }
    try checkConstants()
  }

  func isCaptured(_ slot: Int) -> Bool { capturedSlots.contains(slot) }

  private static func checkOperators(
    _ graph: Graph, _ custom: [String: any Operator]
  ) throws {
    var graph = graph
    graph.nodes.removeAll { custom[$0.name] != nil }
    let refusals = OperatorRegistry.refusals(in: graph)
    guard let first = refusals.first else { return }
    if refusals.count == 1 { throw first.error }
    throw SwiftletError(
      .unsupported,
      "\(refusals.count) nodes have operators that are not supported, the first: "
        + first.error.what,
      at: refusals.map(\.node).joined(separator: ", "), fix: first.error.fix)
  }

  /// Names of the inputs to bind, in the graph's order.
  public var inputNames: [String] { inputs.map(\.info.name) }

  // MARK: Shapes

  /// Element types and shapes of all values for given input shapes, by value name.
  ///
  /// - Throws: `badInput` naming the node whose inputs do not match, `unsupported` if a shape
  ///   depends on data.
  public func infer(_ inputShapes: [String: Shape]) throws -> [String: TensorInfo] {
    var result: [String: TensorInfo] = [:]
    for (slot, info) in try inferAll(inputShapes).enumerated() { result[names[slot]] = info }
    return result
  }

  /// As ``infer(_:)``, with all checks that precede a run: symbols, the declared types of outputs,
  /// and the peak memory of the values.
  package func inferForRun(_ inputShapes: [String: Shape]) throws -> [String: TensorInfo] {
    try checkSymbols(inputShapes)
    let infos = try inferAll(inputShapes)
    try checkResults(infos)
    try RunBudget.within { try checkPeak(infos, known: steps.count, $0) }
    return Dictionary(
      uniqueKeysWithValues: zip(names, infos).compactMap { name, info in info.map { (name, $0) } })
  }

  /// As ``infer(_:)``, by slot.
  private func inferAll(_ inputShapes: [String: Shape]) throws -> [TensorInfo?] {
    try RunBudget.within { budget in
      let (infos, known) = try inferSlots(inputInfos(inputShapes), budget)
      guard known == steps.count else { throw dataDependent(known) }
      return infos
    }
  }

  private func dataDependent(_ step: Int) -> SwiftletError {
    SwiftletError(
      .unsupported, "the shape of the result depends on data", at: steps[step].label,
      fix: "such models can be run, but not trained or analyzed before a run")
  }

  private func inputInfos(_ shapes: [String: Shape]) throws -> [Int: TensorInfo] {
    var infos: [Int: TensorInfo] = [:]
    for (info, slot) in inputs {
      guard let shape = shapes[info.name] else {
        throw SwiftletError(.badInput, "input '\(info.name)' is missing")
      }
      infos[slot] = try TensorInfo(info.dtype, shape).limited("input '\(info.name)'")
    }
    return infos
  }

  /// The known properties of each slot given those of the inputs, and the number of steps before a
  /// shape depends on data: every run checks its shapes with this.
  private func inferSlots(
    _ given: [Int: TensorInfo], _ budget: RunBudget, isInner: Bool = false
  ) throws -> (infos: [TensorInfo?], known: Int) {
    var infos = [TensorInfo?](repeating: nil, count: names.count)
    for (slot, tensor) in constants {
      infos[slot] = TensorInfo(tensor.dtype, tensor.shape)
      if tensor.shape.count <= TensorInfo.knownLimit { infos[slot]!.value = tensor }
    }
    for (slot, info) in given { infos[slot] = info }
    var knownBytes = 0
    for (index, step) in steps.enumerated() {
      let operands = step.inputs.map { $0.flatMap { infos[$0] } }
      do {
        if isInner { try budget.takeStep() }
        for (slot, info) in zip(step.outputs, try infer(step, operands)) {
          infos[slot] = info
          knownBytes += info.value?.byteCount ?? 0
          if knownBytes > Self.knownBytesLimit { infos[slot]!.value = nil }
        }
      } catch is DataDependentShape {
        return (infos, index)
      }
    }
    return (infos, steps.count)
  }

  /// Element types and shapes of the results of one step.
  private func check(_ step: Step, _ operands: [TensorInfo?]) throws -> [TensorInfo] {
    try locating(step.label) {
      let results = try step.operator.infer(operands)
      guard step.outputs.count <= results.count else {
        throw SwiftletError(
          .badInput, "\(step.outputs.count) outputs, but at most \(results.count) are possible")
      }
      // An operator may pass on its input's info, whose elements are not the result's.
      return try results.map { TensorInfo($0.dtype, try $0.limited(step.label).shape) }
    }
  }

  private func infer(_ step: Step, _ operands: [TensorInfo?]) throws -> [TensorInfo] {
    var results = try check(step, operands)
    let known = try locating(step.label) { try Self.known(step.operator, operands, results) }
    for (index, value) in zip(results.indices, known ?? []) { results[index].value = value }
    return results
  }

  /// The elements of small results that need no data, from what is known of the operands: shape
  /// arithmetic.
  static func known(
    _ operator: any Operator, _ operands: [TensorInfo?], _ results: [TensorInfo]
  ) throws -> [AnyTensor]? {
    if let known = `operator`.knownResults(operands) { return known }
    guard operands.allSatisfy({ $0 == nil || $0!.value != nil }),
      results.allSatisfy({ $0.shape.count <= TensorInfo.knownLimit })
    else { return nil }
    var values = operands.map { $0?.value }
    return try `operator`.forward(&values, ExecutionContext())
  }

  /// The shapes of the inputs for `batch` samples; other open extents are as
  /// ``openExtents(batch:given:)`` takes them.
  public func inputShapes(batch: Int) throws -> [String: Shape] {
    try inputShapes(openExtents(batch: batch))
  }

  /// Multiply–accumulate operations per node, in execution order.
  public func macs(batch: Int = 1, extents: OpenExtents? = nil) throws -> [Int] {
    let infos = try inferAll(inputShapes(extents ?? openExtents(batch: batch)))
    return steps.map { step in
      step.operator.macs(
        inputs: step.inputs.map { $0.flatMap { infos[$0]?.shape } },
        outputs: step.outputs.compactMap { infos[$0]?.shape })
    }
  }

  /// The largest total size of values, excluding constants, that are alive at the same time, in
  /// bytes.
  public func peakActivationBytes(_ infos: [String: TensorInfo]) -> Int {
    var peak = 0
    forEachStep(steps[...], names.map { infos[$0] }) { _, alive in peak = max(peak, alive) }
    return peak
  }

  /// Reports the size of the values, excluding constants and captured ones, that are alive before
  /// the first step (`nil`) and during each step.
  func forEachStep(
    _ steps: ArraySlice<Step>, _ infos: [TensorInfo?],
    _ body: (_ step: Step?, _ alive: Int) throws -> Void
  ) rethrows {
    func bytes(_ slot: Int) -> Int {
      guard constants[slot] == nil, !isCaptured(slot), let info = infos[slot] else { return 0 }
      return info.byteCount
    }
    var alive = inputs.reduce(0) { $0 + bytes($1.slot) }
    try body(nil, alive)
    for step in steps {
      alive += step.outputs.reduce(0) { $0 + bytes($1) }
      try body(step, alive)
      alive -= step.releases.reduce(0) { $0 + bytes($1) }
    }
  }

  // MARK: Running

  /// Computes the outputs from the inputs, by name. `observe` receives every value as it is
  /// computed, for calibration.
  ///
  /// - Throws: `badInput` for a missing, unknown or mismatched input.
  public func run(
    _ inputs: [String: AnyTensor], _ context: ExecutionContext,
    observe: ((_ name: String, _ value: AnyTensor) throws -> Void)? = nil
  ) throws -> [String: AnyTensor] {
    let results = try RunBudget.within { budget in
      let (values, known) = try bindKnown(inputs, budget)
      return try run(values, known: known, budget, context, observe: observe)
    }
    return Dictionary(uniqueKeysWithValues: zip(outputs, results).map { ($0.name, $1) })
  }

  /// Computes the outputs from the inputs, both in the interpreter's order, with types and shapes
  /// known to match.
  package func run(fitting inputs: [AnyTensor], _ context: ExecutionContext) throws -> [AnyTensor] {
    var values = constantsInPlace
    for (slot, tensor) in zip(inputSlots, inputs) { values[slot] = tensor }
    // Only subgraphs need the budget of the enclosing run.
    guard hasInnerGraphs else {
      return try run(values, known: steps.count, RunBudget(), context)
    }
    return try RunBudget.within { try run(values, known: steps.count, $0, context) }
  }

  /// Computes the outputs from slots with constants and inputs filled in. From step `known` on,
  /// shapes are checked once the data is available.
  private func run(
    _ bound: consuming [AnyTensor?], known: Int, _ budget: RunBudget,
    isInner: Bool = false, _ context: ExecutionContext,
    observe: ((_ name: String, _ value: AnyTensor) throws -> Void)? = nil
  ) throws -> [AnyTensor] {
    var values = bound
    var alive = values.indices.reduce(0) { $0 + bytes(values[$1], at: $1) }
    try budget.take(alive)
    defer { budget.give(alive) }
    for (index, step) in steps.enumerated() {
      if isInner { try budget.takeStep() }
      var operands = step.inputs.map { $0.flatMap { values[$0] } }
      if index >= known {
        // A shape that only the computation determines is not an error here.
        do {
          let results = try check(step, operands.map { $0.map(TensorInfo.init) })
          let count = zip(step.outputs, results).reduce(0) { $0 + $1.1.byteCount }
          try locating(step.label) { try budget.check(count) }
        } catch is DataDependentShape {}
      }
      // Moving a value out of its slot at its last use lets the operator overwrite it.
      for slot in step.releases {
        let count = bytes(values[slot], at: slot)
        (alive, values[slot]) = (alive - count, nil)
        budget.give(count)
      }
      let results = try locating(step.label) { try step.operator.forward(&operands, context) }
      for (slot, result) in zip(step.outputs, results) {
        try observe?(names[slot], result)
        guard !step.releases.contains(slot) else { continue }
        values[slot] = result
        let count = bytes(result, at: slot)
        try locating(step.label) { try budget.take(count) }
        alive += count
      }
    }
    return outputSlots.map { values[$0]! }
  }

  /// The bytes of a value that count for the run: captured values are counted outside.
  private func bytes(_ value: AnyTensor?, at slot: Int) -> Int {
    isCaptured(slot) ? 0 : value?.byteCount ?? 0
  }

  // MARK: Subgraphs

  /// What is known of the outputs of a subgraph.
  ///
  /// - Parameter own: What is known of the graph's own inputs.
  /// - Throws: ``DataDependentShape`` if their shapes depend on data.
  func inferInner(_ captured: [TensorInfo], inputs own: [TensorInfo] = []) throws -> [TensorInfo] {
    try RunBudget.within { budget in
      let (infos, known) = try inferSlots(bySlot(captured, own), budget, isInner: true)
      guard known == steps.count else { throw DataDependentShape() }
      return outputs.map { infos[$0.slot]! }
    }
  }

  /// Computes the outputs of a subgraph.
  func runInner(
    _ captured: [AnyTensor], inputs own: [AnyTensor] = [], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    var values = [AnyTensor?](repeating: nil, count: names.count)
    for (slot, tensor) in constants { values[slot] = tensor }
    for (slot, tensor) in bySlot(captured, own) { values[slot] = tensor }
    let given = bySlot(captured.map(TensorInfo.init), own.map(TensorInfo.init))
    return try RunBudget.within { budget in
      let (infos, known) = try inferSlots(given, budget, isInner: true)
      try checkPeak(infos, known: known, budget)
      return try run(values, known: known, budget, isInner: true, context)
    }
  }

  private func bySlot<Value>(_ captured: [Value], _ own: [Value]) -> [Int: Value] {
    var result = Dictionary(
      zip(inputs.map(\.slot), own), uniquingKeysWith: { first, _ in first })
    for (slot, value) in zip(captures, captured) {
      if let slot { result[slot] = value }
    }
    return result
  }

  /// Slot values with constants and inputs filled in; the shapes of all steps are checked.
  ///
  /// - Throws: `unsupported` if a shape depends on data.
  package func bind(_ tensors: [String: AnyTensor]) throws -> [AnyTensor?] {
    let (values, known) = try RunBudget.within { try bindKnown(tensors, $0) }
    guard known == steps.count else { throw dataDependent(known) }
    return values
  }

  /// As ``bind(_:)``, with the number of steps whose shapes could be checked.
  private func bindKnown(
    _ tensors: [String: AnyTensor], _ budget: RunBudget
  ) throws -> (values: [AnyTensor?], known: Int) {
    var values = [AnyTensor?](repeating: nil, count: names.count)
    for (slot, tensor) in constants { values[slot] = tensor }
    var shapes: [String: Shape] = [:]
    for (info, slot) in inputs {
      guard let tensor = tensors[info.name] else {
        let known = tensors.keys.sorted().joined(separator: ", ")
        throw SwiftletError(
          .badInput, "input '\(info.name)' is missing", fix: "the given inputs are: \(known)")
      }
      guard tensor.dtype == info.dtype, info.accepts(tensor.shape) else {
        throw SwiftletError(
          .badInput,
          "input '\(info.name)' is \(tensor.dtype) \(tensor.shape), expected "
            + "\(info.dtype) \(info.shapeDescription)")
      }
      values[slot] = tensor
      shapes[info.name] = tensor.shape
    }
    for name in tensors.keys where !inputs.contains(where: { $0.info.name == name }) {
      let known = inputs.map(\.info.name).joined(separator: ", ")
      throw SwiftletError(
        .badInput, "there is no input '\(name)'", fix: "the model's inputs are: \(known)")
    }
    try checkSymbols(shapes)
    let (infos, known) = try inferSlots(inputInfos(shapes), budget)
    try checkResults(infos)
    try checkPeak(infos, known: known, budget)
    return (values, known)
  }
}
