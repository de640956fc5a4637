// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore

/// What is known of the shapes of a graph's values before it runs, from its inputs on.
///
/// Extents that inputs leave open are guessed, twice: what both guesses agree on does not depend on
/// them.
struct KnownShapes {
  /// Types and shapes by name, for each of the guesses.
  private var guesses: [[String: TensorInfo]] = [[:], [:]]
  /// Where inference does not get, ranks by name.
  private var ranks: [String: Int]
  /// Extents that are left open, as they were met.
  private var open: [String: Int] = [:]
  /// Constants that nodes hold.
  private var held: [String: AnyTensor] = [:]
  /// Bytes of the values that nodes write and that are known.
  private var knownBytes = 0

  init(_ ranks: [String: Int]) { self.ranks = ranks }

  /// Notes the inputs and constants of a graph, in place of those around it that have the same
  /// names.
  mutating func enter(_ graph: Graph) {
    for input in graph.inputs {
      forget(input.name)
      guard input.isTyped, input.isShaped else { continue }
      ranks[input.name] = input.dimensions.count
      for guess in guesses.indices {
        let extents = input.dimensions.indices.map { extent(input, $0, guess) }
        if let shape = try? Shape(checking: extents) {
          guesses[guess][input.name] = TensorInfo(input.dtype, shape)
        }
      }
    }
    for (name, value) in graph.initializers { note(name, value) }
  }

  /// Different for all that are left open, and from guess to guess.
  private mutating func extent(_ input: ValueInfo, _ axis: Int, _ guess: Int) -> Int {
    if case .fixed(let extent) = input.dimensions[axis] { return extent }
    let label = OpenExtents.label(input, axis)
    let place = open[label] ?? open.count
    open[label] = place
    return 37 + 10 * place + 5 * guess
  }

  private mutating func forget(_ name: String) {
    (ranks[name], held[name]) = (nil, nil)
    for guess in guesses.indices { guesses[guess][name] = nil }
  }

  mutating func note(_ name: String, _ value: AnyTensor) {
    held[name] = nil
    ranks[name] = value.shape.rank
    var info = TensorInfo(value.dtype, value.shape)
    if value.shape.count <= TensorInfo.knownLimit { info.value = value }
    for guess in guesses.indices { guesses[guess][name] = info }
  }

  // MARK: What is known

  func rank(_ name: String) -> Int? { guesses[0][name]?.shape.rank ?? ranks[name] }

  /// The extent along an axis, counted from the end if it is negative.
  func extent(_ name: String, _ axis: Int) -> Int? {
    let extents = extents(name, axis)
    return extents.first.flatMap { first in extents.allSatisfy { $0 == first } ? first : nil }
  }

  /// The extent along an axis for each guess; none if one is not known.
  func extents(_ name: String, _ axis: Int) -> [Int] {
    let found = guesses.compactMap { guess -> Int? in
      guard let shape = guess[name]?.shape else { return nil }
      let place = axis < 0 ? axis + shape.rank : axis
      return 0..<shape.rank ~= place ? shape[place] : nil
    }
    return found.count == guesses.count ? found : []
  }

  /// The elements, if they are the same whatever the inputs are.
  func value(_ name: String) -> AnyTensor? {
    if let held = held[name] { return held }
    guard let first = guesses[0][name]?.value, guesses.allSatisfy({ $0[name]?.value == first })
    else { return nil }
    return first
  }

  // MARK: Nodes

  /// Notes what a node writes.
  mutating func note(_ node: Node, opset: Int) {
    noteRank(node)
    if node.opType == "Constant", let name = node.outputs.first,
      case .tensor(let value)? = node.attributes["value"]
    {
      held[name] = value
    }
    let isKnown = guesses.allSatisfy { guess in
      node.reads.allSatisfy { $0.isEmpty || guess[$0] != nil }
    }
    // What a node makes of an unknown value is unknown, and what graphs within it make is left to a
    // run.
    let hasGraphs = node.attributes.values.contains {
      if case .graph = $0 { true } else { false }
    }
    guard isKnown, !hasGraphs, let `operator` = try? OperatorRegistry.make(node, opset: opset)
    else { return }
    for guess in guesses.indices {
      let operands = node.reads.map { $0.isEmpty ? nil : guesses[guess][$0] }
      guard let infos = try? `operator`.infer(operands),
        infos.allSatisfy({ (try? $0.limited("")) != nil })
      else { return }
      let values = (try? Interpreter.known(`operator`, operands, infos)) ?? nil
      for (index, name) in node.outputs.enumerated() where index < infos.count && !name.isEmpty {
        var info = TensorInfo(infos[index].dtype, infos[index].shape)
        if let values, index < values.count, knownBytes < Interpreter.knownBytesLimit {
          info.value = values[index]
          knownBytes += values[index].byteCount
        }
        guesses[guess][name] = info
      }
    }
  }

  private static let rankKeepers: Set<String> = [
    "Cast", "Clip", "Conv", "DequantizeLinear", "Dropout", "Elu", "Erf", "Exp", "Gelu", "Identity",
    "LayerNormalization", "LeakyRelu", "Log", "Neg", "Pad", "QuantizeLinear", "Relu", "Sigmoid",
    "Slice", "Softmax", "Sqrt", "Tanh", "Transpose",
  ]
  private static let rankJoiners: Set<String> = [
    "Add", "Div", "MatMul", "Mul", "Pow", "Sub", "Where",
  ]

  /// Notes the rank of what a node writes, where its operator says it of any inputs.
  private mutating func noteRank(_ node: Node) {
    guard let output = node.outputs.first, ranks[output] == nil else { return }
    let own = node.inputs.map { rank($0) }
    var found: Int?
    switch node.opType {
    case let name where Self.rankKeepers.contains(name): found = own.first ?? nil
    case let name where Self.rankJoiners.contains(name):
      found = own.contains(nil) ? nil : own.compactMap { $0 }.max()
    case "Gemm", "Flatten": found = 2
    case "Gather":
      if own.count == 2, let data = own[0], let indices = own[1] { found = data + indices - 1 }
    case "Reshape" where node.inputs.count > 1:
      found = extent(node.inputs[1], 0)
    default: break
    }
    ranks[output] = found
  }
}
