import SwiftletCore
import SwiftletGraph

/// Which values are kept as bf16.
///
/// In bf16 sessions a value is bf16 where all that read it would rather have it so: products, and layers
/// that hand it on to such. It is fp32 otherwise, and products round what they read. Either way rounding
/// happens once between two layers.
///
/// In other sessions a model says by `Cast` what it wants rounded (``CastLowering``), and a value is bf16
/// where nothing but such a `Cast` reads it, or what comes to the same before rounding and after it.
extension Lowering {
  /// The names of values that are better bf16, of what the nodes read and write.
  ///
  /// Readers are looked at before what they read, so that no chain of them is followed twice.
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

  /// Operators whose result is the same whether values are rounded before or after them. The limits of a
  /// clamp are numbers that the layer before it takes in, and rounds with the rest.
  private static let commuting: Set<String> = [
    "Cast", "Relu", "Clip", "MaxPool", "Flatten", "Reshape", "Concat",
  ]

  /// Whether a value is better bf16 than fp32.
  func prefersBFloat(_ name: String) -> Bool { bfloats.contains(name) }

  /// The type of a value that a layer writes as fp32 or as bf16.
  func floatKind(_ name: String) -> Value.Kind { prefersBFloat(name) ? .bfloat : .float }

  /// What a name stands for once a layer has written a value of either type.
  func floatBinding(_ value: Int) -> Binding {
    values[value].kind == .bfloat ? .bfloat(value) : .float(value)
  }

  /// The bf16 value of the name, computed now if need be.
  mutating func bfloat(_ name: String) -> Int {
    switch binding(name) {
    case .bfloat(let value): return value
    case .external(let place, let shape) where prefersBFloat(name):
      let value = add(Value(shape: shape, .bfloat))
      add(LoadLayer(input: place, output: value, isRows: shape.rank == 3))
      bind(name, .bfloat(value))
      return value
    default:
      return converted(float(name), to: .bfloat, .narrow, name)
    }
  }

  /// The value of the name as it is, or fp32.
  mutating func anyFloat(_ name: String) -> Int {
    if case .bfloat(let value) = binding(name) { value } else { float(name) }
  }

  /// A copy of a value in the other type, made when it is first asked for.
  mutating func converted(
    _ source: Int, to kind: Value.Kind, _ operation: ElementwiseLayer.Operation, _ name: String
  ) -> Int {
    if let copy = copies[source] { return copy }
    let copy = add(Value(like: values[source], kind))
    add(ElementwiseLayer(label: name, inputs: [source], output: copy, operation: operation))
    copies[source] = copy
    return copy
  }

  /// A sum of two values as bf16.
  mutating func addBFloats(_ node: Node, _ result: String, low: Float, high: Float) {
    let inputs = node.inputs.map { bfloat($0) }
    let output = add(Value(like: values[inputs[0]], .bfloat))
    bind(result, .bfloat(output))
    add(
      ElementwiseLayer(
        label: node.label, inputs: inputs, output: output,
        operation: .addBFloats(low: low, high: high)))
  }

  /// Whether a convolution or matrix product with such weights multiplies bf16. It does not where
  /// fp32 is expected to be faster, and where groups would share words.
  func multipliesBFloats(
    _ window: Window, groups: Int, _ weights: Weights, _ image: Value, _ result: Value
  ) -> Bool {
    guard case .float = weights,
      groups == 1 || image.channels / groups % 2 == 0 && result.channels / groups % 2 == 0
    else { return false }
    return !WinogradLayer.isFaster(window, groups: groups, weights, image, result)
  }

  /// Whether a layer's factors are to be bf16: those of all layers of a bf16 session are, and those that
  /// are bf16 numbers already.
  func hasBFloatFactors(_ input: String, _ weights: Tensor<Float>) -> Bool {
    if facts.precision == .bf16 { return true }
    guard case .bfloat = binding(input) else { return false }
    return weights.elements.allSatisfy(\.isBFloat)
  }
}

extension GraphFacts {
  /// Channels of an image, vector or row.
  func channels(of name: String) -> Int {
    let shape = shape(name)
    switch shape.rank {
    case 4, 2: return shape[1]
    default: return shape.dimensions.last ?? 1
    }
  }
}
