// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletKernels

/// Turns the nodes of a segment into instructions, fusing several nodes where that is faster.
///
/// Nodes are processed in order. The file of each operator in Lowering/ looks ahead for nodes that
/// can be computed together with it (activations, additions, quantization) and marks them as done.
/// A ``Binding`` records what a name refers to; conversions are deferred until they are needed.
struct Lowering {
  let facts: GraphFacts
  let cache: PackedWeights
  private(set) var values: [Value] = []
  private(set) var instructions: [any Instruction] = []
  private var bindings: [Place: Binding] = [:]
  /// Names of values that should be bf16; see BFloatLowering.swift.
  var bfloats: Set<String> = []
  /// fp32 values with a bf16 copy, and the reverse.
  var copies: [Int: Int] = [:]
  /// The bytes of fp32 values, by name; see DynamicQuantizeLowering.swift.
  var dynamicBytes: [String: DynamicBytes] = [:]
  private var done: Set<Int> = []
  /// Names and positions of the segment's inputs and outputs.
  let inputs: [String: Int]
  let outputs: OrderedSet<String>

  /// A name, and a layout if it is not the name's own.
  private struct Place: Hashable {
    let name: String
    var layout: Layout?

    init(_ name: String, _ layout: Layout? = nil) { (self.name, self.layout) = (name, layout) }
  }

  /// What a name refers to.
  enum Binding {
    /// An input of the segment that has not been requested yet.
    case external(Int, Shape)
    case float(Int)
    case bfloat(Int)
    /// 8-bit values.
    case quantized(Int, Quantized)
    /// Dequantized fp32 values that have not been computed yet.
    case dequantized(Int, Quantized)
  }

  /// Values of bytes, and of the ranges from which each run derives their scale and zero point.
  typealias DynamicBytes = (bytes: Int, ranges: Int)

  /// (q − zeroPoint) · scale, with int8 shifted to bytes.
  struct Quantized: Equatable {
    let scale: Float
    let zeroPoint: UInt8
    let isSigned: Bool

    /// - Parameter zeroPoint: As stored in the model.
    init?(scale: AnyTensor?, zeroPoint: AnyTensor?) {
      guard case .float32(let scales)? = scale, scales.count == 1 else { return nil }
      let value = scales.elements[0]
      guard value.isFinite, value > 0 else { return nil }
      self.scale = value
      switch zeroPoint {
      case nil: (self.zeroPoint, isSigned) = (0, false)
      case .uint8(let point) where point.count == 1:
        (self.zeroPoint, isSigned) = (point.elements[0], false)
      case .int8(let point) where point.count == 1:
        (self.zeroPoint, isSigned) = (UInt8(Int(point.elements[0]) + 128), true)
      default: return nil
      }
    }

    var kind: Value.Kind { .byte(zeroPoint: zeroPoint) }
    /// The limits of the type, in steps from the zero point.
    var low: Float { -Float(zeroPoint) }
    var high: Float { Float(255 - zeroPoint) }

    /// The codes of fp32 limits.
    func limits(_ low: Float, _ high: Float) -> (low: Int32, high: Int32) {
      func code(_ limit: Float) -> Int32 {
        let steps = min(max(limit / scale, self.low), self.high)
        return Int32(steps.rounded(.toNearestOrEven)) + Int32(zeroPoint)
      }
      return (code(low), code(high))
    }
  }

  init(
    _ facts: GraphFacts, inputs: OrderedSet<String>, outputs: OrderedSet<String>,
    cache: PackedWeights
  ) {
    (self.facts, self.cache, self.outputs) = (facts, cache, outputs)
    self.inputs = Dictionary(uniqueKeysWithValues: inputs.enumerated().map { ($1, $0) })
  }

  /// The instructions for the given nodes, positions in the graph in execution order.
  ///
  /// - Precondition: ``GraphFacts/canLower(_:)`` holds for each of them.
  mutating func lower(_ nodes: [Int]) {
    findBFloats(nodes)
    for index in nodes where !done.contains(index) {
      let node = facts.graph.nodes[index]
      LoweringRegistry.operators[node.opType]!.lower(node, into: &self)
    }
    for (place, name) in outputs.enumerated() { store(name, at: place) }
  }

  // MARK: Values

  mutating func add(_ value: Value) -> Int {
    values.append(value)
    return values.count - 1
  }

  mutating func add(_ instruction: some Instruction) { instructions.append(instruction) }

  /// A new value for the result of a node, of the inferred shape.
  mutating func newValue(for name: String, _ kind: Value.Kind) -> Int {
    add(facts.value(name, kind))
  }

  mutating func require(_ halo: Value.Halo, on value: Int) {
    values[value].halo = values[value].halo.union(halo)
  }

  mutating func bind(_ name: String, _ binding: Binding) { bindings[Place(name)] = binding }

  /// The value and its quantization, if the name refers to dequantized 8-bit values.
  func dequantized(_ name: String) -> (value: Int, by: Quantized)? {
    if case .dequantized(let value, let by)? = bindings[Place(name)] { (value, by) } else { nil }
  }

  /// The same in one of the name's layouts.
  mutating func dequantized(_ name: String, _ layout: Layout) -> (value: Int, by: Quantized)? {
    guard dequantized(name) != nil else { return nil }
    let place = Place(name, layout == facts.layout(name) ? nil : layout)
    if case .dequantized(let value, let by) = binding(place) { return (value, by) }
    return nil
  }

  func quantized(_ name: String) -> (value: Int, by: Quantized)? {
    if case .quantized(let value, let by)? = bindings[Place(name)] { (value, by) } else { nil }
  }

  /// The fp32 value of the name, computed if necessary.
  ///
  /// - Parameter layout: By default that of the name.
  mutating func float(_ name: String, _ layout: Layout? = nil) -> Int {
    let place = Place(name, layout == facts.layout(name) ? nil : layout)
    switch binding(place) {
    case .float(let value): return value
    case .bfloat(let value): return converted(value, to: .float, .bf16ToF32, name)
    case .external(let input, let shape):
      let layout = layout ?? facts.layout(name)
      let value = add(Value(shape: shape, layout, images: facts.images, .float))
      instructions.append(LoadInstruction(input: input, output: value, isRows: layout.isRows))
      bindings[place] = .float(value)
      return value
    case .dequantized(let source, let by), .quantized(let source, let by):
      let value = add(Value(like: values[source], .float))
      instructions.append(
        ElementwiseInstruction(
          label: name, inputs: [source], output: value, operation: .dequantize(by)))
      bindings[place] = .float(value)
      return value
    }
  }

  /// The channels and extents of the value that the name refers to.
  func size(of name: String) -> Value {
    switch binding(name) {
    case .external: facts.value(name, .float)
    case .float(let value), .bfloat(let value), .quantized(let value, _),
      .dequantized(let value, _):
      values[value]
    }
  }

  /// The same in one of the name's layouts.
  func size(of name: String, _ layout: Layout) -> Value {
    layout == facts.layout(name)
      ? size(of: name) : Value(shape: facts.shape(name), layout, images: facts.images, .float)
  }

  /// Whether the name already has a value, so that an instruction added now can read it.
  func isReady(_ name: String) -> Bool { bindings[Place(name)] != nil || inputs[name] != nil }

  func binding(_ name: String) -> Binding {
    bindings[Place(name)] ?? .external(inputs[name]!, facts.shape(name))
  }

  /// What a name refers to in one of its layouts; rearranged on first use.
  private mutating func binding(_ place: Place) -> Binding {
    if let known = bindings[place] { return known }
    let own = binding(place.name)
    let layout = place.layout ?? facts.layout(place.name)
    var before = facts.layout(place.name)
    if case .external = own {
      if facts.isOuter(layout, place.name) { return own }
      // Other segments and the reference leave it in one of these.
      before = .rows(layout.rank)
    } else if place.layout == nil {
      return own
    }
    let (shape, images) = (facts.shape(place.name), facts.images)
    let made = moved(place.name, before) { lowering, source in
      let kind = lowering.values[source].kind
      let target = lowering.add(Value(shape: shape, layout, images: images, kind))
      if before.matches(layout, shape) {
        lowering.add(ReshapeInstruction(label: place.name, input: source, output: target))
      } else {
        lowering.add(
          CopyInstruction(
            label: place.name,
            boxes: [
              CopyInstruction.Box(
                .value(source), shape.perImage(images, before),
                from: before.distances(shape), to: layout.distances(shape))
            ], output: target))
      }
      return target
    }
    bindings[place] = made
    return made
  }

  /// The result of instructions that move the elements of a value, of whatever type they are.
  ///
  /// - Parameters:
  ///   - layout: The layout in which they read it; by default that of the name.
  ///   - keepsChannels: Whether all channels of a pixel move together. Otherwise bf16 is widened,
  ///     because a zero may follow its last channel.
  mutating func moved(
    _ name: String, _ layout: Layout? = nil, keepsChannels: Bool = false,
    _ move: (inout Lowering, _ source: Int) -> Int
  ) -> Binding {
    switch binding(Place(name, layout == facts.layout(name) ? nil : layout)) {
    case .quantized(let value, let by): .quantized(move(&self, value), by)
    case .dequantized(let value, let by): .dequantized(move(&self, value), by)
    case .bfloat(let value) where keepsChannels: .bfloat(move(&self, value))
    case .float, .bfloat, .external: .float(move(&self, float(name, layout)))
    }
  }

  /// Makes another name refer to what a name refers to.
  mutating func rename(_ name: String, to other: String) {
    var known = binding(name)
    if case .external = known {
      let value = prefersBFloat(name) ? bfloat(name) : float(name)
      known = floatBinding(value)
    }
    bind(other, known)
  }

  private mutating func store(_ name: String, at place: Int) {
    let own = facts.layout(name)
    let layout = facts.isOuter(own, name) ? own : .rows(own.rank)
    let isRows = layout.isRows
    switch binding(Place(name, layout == own ? nil : layout)) {
    case .quantized(let value, let by):
      instructions.append(
        StoreBytesInstruction(input: value, output: place, isRows: isRows, isSigned: by.isSigned))
    case .dequantized(let value, let by):
      instructions.append(
        StoreInstruction(input: value, output: place, isRows: isRows, dequantized: by))
    case .float, .bfloat, .external:
      instructions.append(
        StoreInstruction(input: float(name, layout), output: place, isRows: isRows))
    }
  }

  // MARK: Looking ahead

  mutating func markDone(_ index: Int) { done.insert(index) }

  /// The only reader of a value, if it is in the segment and there are no others.
  func onlyReader(of name: String) -> (index: Int, node: Node)? {
    let readers = facts.consumers(name)
    guard !outputs.contains(name), !facts.isOutput(name), readers.count == 1,
      facts.isLowered(readers[0])
    else { return nil }
    let node = facts.graph.nodes[readers[0]]
    return node.reads.count { $0 == name } == 1 ? (readers[0], node) : nil
  }

  /// The clamps (`Relu`, `Clip`) that follow a value and are its only readers in turn.
  ///
  /// - Returns: Their positions, and the name of the last result.
  private func clamps(
    after name: String, _ low: inout Float, _ high: inout Float
  ) -> (nodes: [Int], last: String) {
    var (nodes, name) = ([Int](), name)
    while let (index, node) = onlyReader(of: name), let bounds = facts.clamp(node) {
      (low, high) = (
        min(max(low, bounds.low), bounds.high), min(max(high, bounds.low), bounds.high)
      )
      name = node.outputs[0]
      nodes.append(index)
    }
    return (nodes, name)
  }

  /// Absorbs the clamps that follow a value.
  ///
  /// - Returns: The name of the last result.
  mutating func takeClamps(
    after name: String, low: inout Float, high: inout Float
  ) -> String {
    let (nodes, last) = clamps(after: name, &low, &high)
    done.formUnion(nodes)
    return last
  }

  /// The quantization after a value and its clamps, and the nodes to mark as done if it is
  /// absorbed.
  func quantizedResult(
    of name: String, _ low: inout Float, _ high: inout Float
  ) -> (nodes: [Int], name: String, by: Quantized)? {
    let (nodes, last) = clamps(after: name, &low, &high)
    guard let (index, name, by) = quantization(after: last) else { return nil }
    return (nodes + [index], name, by)
  }

  /// Absorbs the quantization of a value that has no other readers.
  mutating func takeQuantization(after name: String) -> (name: String, by: Quantized)? {
    guard let (index, name, by) = quantization(after: name) else { return nil }
    markDone(index)
    return (name, by)
  }

  private func quantization(
    after name: String
  ) -> (index: Int, name: String, by: Quantized)? {
    guard let (index, node) = onlyReader(of: name), node.opType == "QuantizeLinear",
      node.inputs[0] == name, let by = facts.quantization(node)
    else { return nil }
    return (index, node.outputs[0], by)
  }
}

extension Value {
  init(like other: Value, _ kind: Kind) {
    self.init(kind: kind, channels: other.channels, height: other.height, width: other.width)
  }
}

extension Shape {
  /// The extents of an image's part of a tensor.
  func perImage(_ images: Int, _ layout: Layout) -> [Int] {
    var extents = dimensions
    extents[layout.order[0]] /= images
    return extents
  }
}
