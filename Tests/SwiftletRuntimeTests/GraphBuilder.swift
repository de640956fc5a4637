// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// Builds graphs of one input with a symbolic batch, and knows the shapes of all values.
struct GraphBuilder {
  private(set) var graph: Graph
  var numbers: RandomGenerator
  /// Shapes with this batch.
  static let batch = 7
  private(set) var shapes: OrderedDictionary<String, Shape> = [:]

  /// - Parameters:
  ///   - shape: Of one image.
  ///   - batch: The batch for which shapes are known.
  init(seed: UInt64, input shape: [Int], batch: Int = Self.batch) {
    numbers = RandomGenerator(seed: seed, stream: 1)
    graph = Graph(name: "seed \(seed)")
    graph.inputs = [ValueInfo("x", .float32, [.symbolic("N")] + shape.map(Dimension.fixed))]
    shapes["x"] = Shape([batch] + shape)
  }

  mutating func pick<Value>(_ values: [Value]) -> Value { values[numbers.below(values.count)] }

  /// True once in so many times.
  mutating func chance(_ rarity: Int) -> Bool { numbers.below(rarity) == 0 }

  mutating func constant(_ tensor: AnyTensor) -> String {
    let name = "c\(graph.initializers.count)"
    graph.initializers[name] = tensor
    return name
  }

  /// Normal numbers times a factor.
  mutating func weights(_ shape: Shape, times factor: Float, plus shift: Float = 0) -> String {
    let tensor = Tensor<Float>(shape, normalUsing: &numbers)
    return constant(.float32(tensor.map { $0 * factor + shift }))
  }

  /// Adds a node.
  ///
  /// - Returns: The name of its result; `nil` if the operator refuses its inputs.
  mutating func add(
    _ opType: String, _ inputs: [String], _ attributes: [String: Attribute] = [:]
  ) -> String? {
    let name = "v\(graph.nodes.count)"
    let node = Node(
      opType, name: name, inputs: inputs, outputs: [name], attributes: attributes)
    let infos = inputs.map { input -> TensorInfo? in
      if let tensor = graph.initializers[input] { return TensorInfo(tensor) }
      return shapes[input].map { TensorInfo(.float32, $0) }
    }
    guard let op = try? OperatorRegistry.make(node, opset: graph.opset),
      let result = try? op.infer(infos)[0], result.shape.count > 0
    else { return nil }
    graph.nodes.append(node)
    shapes[name] = result.shape
    return name
  }

  /// Makes a value an output of the graph.
  mutating func output(_ name: String, _ dtype: DType = .float32) {
    guard !graph.outputs.contains(where: { $0.name == name }) else { return }
    let rank = shapes[name]?.rank ?? 0
    graph.outputs.append(ValueInfo(name, dtype, (0..<rank).map { .symbolic("d\($0)") }))
  }
}

extension Graph {
  /// All nodes with their attributes and the shapes of their constants, for messages.
  var listing: String {
    let lines = nodes.map { node in
      let inputs = node.inputs.map { name in
        initializers[name].map { "\(name): \($0.dtype) \($0.shape)" } ?? name
      }
      let attributes = node.attributes.sorted { $0.key < $1.key }.map { "\($0) \($1)" }
      return "\(node.outputs[0]) = \(node.opType)(\(inputs.joined(separator: ", "))) "
        + attributes.joined(separator: ", ")
    }
    return "\(name): x \(inputs.map(\.shapeDescription)) → \(outputs.map(\.name))\n"
      + lines.joined(separator: "\n")
  }
}

/// max|a − b| / max|b|, where a few small numbers count as 0.1, because they may be what is left of
/// larger ones; infinite if one of them has a NaN where the other has not.
func difference(_ a: AnyTensor, _ b: AnyTensor) -> Float {
  guard a.dtype == b.dtype, a.shape == b.shape else { return .infinity }
  guard let x = a.typed(as: Float.self), let y = b.typed(as: Float.self) else {
    return a == b ? 0 : .infinity
  }
  var (error, largest): (Float, Float) = (0, 0.1)
  for (x, y) in zip(x.elements, y.elements) where x != y && !(x.isNaN && y.isNaN) {
    guard (x - y).isFinite else { return .infinity }
    error = max(error, abs(x - y))
  }
  for y in y.elements where y.isFinite { largest = max(largest, abs(y)) }
  return error / largest
}

/// The images at some positions of a batch.
func images(_ range: Range<Int>, of batch: AnyTensor) -> AnyTensor {
  func opened<Element: TensorElement>(_: Element.Type) -> AnyTensor {
    let tensor = batch.typed(as: Element.self)!
    let size = tensor.count / tensor.shape[0]
    return AnyTensor(
      Tensor<Element>(
        tensor.shape.replacing(axis: 0, with: range.count),
        Array(tensor.elements[range.lowerBound * size..<range.upperBound * size])))
  }
  return opened(batch.dtype.elementType)
}
