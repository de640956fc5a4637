// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// Chooses the values that are stored as bf16.
///
/// In bf16 sessions a value is bf16 if all of its readers prefer that: products, and operators that
/// pass it on to such. Otherwise it is fp32, and products round their input. Either way rounding
/// happens once between two layers.
///
/// In other sessions the model requests rounding by `Cast` (``CastLowering``), and a value is bf16
/// if only such a `Cast` reads it, or an operator that commutes with the rounding.
extension Lowering {
  /// Determines which values, among those the nodes read and write, should be bf16.
  ///
  /// Readers come before what they read, so that no chain of them is followed twice.
  mutating func findBFloats(_ nodes: [Int]) {
    for index in nodes.reversed() {
      for name in facts.graph.nodes[index].outputs where !name.isEmpty { considerBFloat(name) }
    }
    for name in inputs.keys { considerBFloat(name) }
  }

  private mutating func considerBFloat(_ name: String) {
    guard !outputs.contains(name), !facts.isOutput(name), facts.dtype(name) == .float32,
      facts.channels(of: name) % 2 == 0 || inputs[name] != nil
    else { return }
    let readers = facts.consumers(name)
    let areWilling =
      !readers.isEmpty
      && readers.allSatisfy { index in
        guard facts.isLowered(index) else { return false }
        let node = facts.graph.nodes[index]
        guard facts.precision == .bf16 || Self.commuting.contains(node.opType) else { return false }
        return LoweringRegistry.operators[node.opType]!.takesBFloat(node, name, self)
      }
    if areWilling { bfloats.insert(name) }
  }

  /// Operators whose result is the same whether values are rounded before or after them. The
  /// preceding instruction absorbs the limits of a clamp, and rounds them with the rest.
  private static let commuting: Set<String> = [
    "Cast", "Relu", "Clip", "MaxPool", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose",
    "Concat",
  ]

  /// Whether a value should be bf16 rather than fp32.
  func prefersBFloat(_ name: String) -> Bool { bfloats.contains(name) }

  /// The type of a value that an instruction writes as fp32 or bf16.
  func floatKind(_ name: String) -> Value.Kind { prefersBFloat(name) ? .bfloat : .float }

  /// The binding of a name after an instruction has written a value of either type.
  func floatBinding(_ value: Int) -> Binding {
    values[value].kind == .bfloat ? .bfloat(value) : .float(value)
  }

  /// The bf16 value of the name, computed if necessary.
  mutating func bfloat(_ name: String) -> Int {
    switch binding(name) {
    case .bfloat(let value): return value
    case .external(let place, let shape)
    where prefersBFloat(name) && facts.isOuter(facts.layout(name), name):
      let layout = facts.layout(name)
      let value = add(Value(shape: shape, layout, images: facts.images, .bfloat))
      add(LoadInstruction(input: place, output: value, isRows: layout.isRows))
      bind(name, .bfloat(value))
      return value
    default:
      return converted(float(name), to: .bfloat, .f32ToBF16, name)
    }
  }

  /// The same in one of the name's layouts.
  mutating func bfloat(_ name: String, _ layout: Layout) -> Int {
    layout == facts.layout(name)
      ? bfloat(name) : converted(float(name, layout), to: .bfloat, .f32ToBF16, name)
  }

  /// The value of the name in its current type, or fp32, in one of its layouts.
  mutating func anyFloat(_ name: String, _ layout: Layout) -> Int {
    if layout == facts.layout(name), case .bfloat(let value) = binding(name) { return value }
    return float(name, layout)
  }

  /// A copy of a value in the other type, created on first use.
  mutating func converted(
    _ source: Int, to kind: Value.Kind, _ operation: ElementwiseInstruction.Operation,
    _ name: String
  ) -> Int {
    if let copy = copies[source] { return copy }
    let copy = add(Value(like: values[source], kind))
    add(ElementwiseInstruction(label: name, inputs: [source], output: copy, operation: operation))
    copies[source] = copy
    return copy
  }

  /// A sum of two values as bf16.
  mutating func addBFloats(_ node: Node, _ result: String, low: Float, high: Float) {
    let inputs = node.inputs.map { bfloat($0) }
    let output = add(Value(like: values[inputs[0]], .bfloat))
    bind(result, .bfloat(output))
    add(
      ElementwiseInstruction(
        label: node.label, inputs: inputs, output: output,
        operation: .addBFloats(low: low, high: high)))
  }

  /// Whether a layer's factors may be bf16: those of all layers of a bf16 session, and those that
  /// are already bf16 numbers.
  func mayRoundFactors(_ input: String, _ weights: Tensor<Float>) -> Bool {
    if facts.precision == .bf16 { return true }
    guard case .bfloat = binding(input) else { return false }
    return weights.elements.allSatisfy(\.isBFloat)
  }
}
