// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore

extension OperatorSetUpgrade {
  /// Attributes that had a meaning up to operator set 6 and no longer exist.
  private static let obsolete = ["consumed_inputs", "is_test", "output_sequence"]
  /// Operators whose right side could be aligned with a given axis of the left side.
  private static let aligned: Set<String> = [
    "Add", "And", "Div", "Equal", "Greater", "Less", "Mul", "Or", "Pow", "PRelu", "Sub", "Xor",
  ]

  /// Converts the node to operator set 7, with the constants it needs; nodes that must precede it
  /// are added.
  ///
  /// - Throws: `unsupported` if its meaning depends on unknown elements or ranks.
  mutating func modernize(_ node: inout Node) throws {
    if node.opType != "BatchNormalization" { try alignRightSide(of: &node) }
    switch node.opType {
    case "Concat" where node.attributes["axis"] == nil: node.attributes["axis"] = .int(1)
    case "Reshape": try moveInts("shape", of: &node, to: 1)
    case "Pad":
      if let pads = node.attributes.removeValue(forKey: "paddings") {
        node.attributes["pads"] = pads
      }
    case "Cast": node.attributes["to"] = .int(try Cast.typeNumber(node))
    case "Clip" where source < 6:
      // Later, an omitted bound is a finite number.
      for (name, bound) in [("min", -Float.infinity), ("max", .infinity)]
      where node.attributes[name] == nil { node.attributes[name] = .float(bound) }
    case "Selu" where source < 6:
      node.attributes["alpha"] = .float(try node.float("alpha", default: 1.6732))
      node.attributes["gamma"] = .float(try node.float("gamma", default: 1.0507))
    case "Split" where node.inputs.count > 1:
      node.attributes["split"] = .ints(try wholeConstant(node, 1))
      node.inputs.removeLast()
    case "Tile" where source < 6:
      guard node.inputs.count == 3, let rank = rank(node.inputs[0]) else { throw unknown(node) }
      let (count, axis) = (try wholeConstant(node, 1), try wholeConstant(node, 2))
      guard count.count == 1, axis.count == 1, 0..<rank ~= axis[0] else { throw unknown(node) }
      var repeats = [Int64](repeating: 1, count: rank)
      repeats[axis[0]] = Int64(count[0])
      node.inputs.removeLast()
      node.inputs[1] = constant("\(node.outputs[0]).repeats", .int64(Tensor([rank], repeats)))
    case "Upsample" where node.attributes["scales"] == nil:
      let scales = try ["height_scale", "width_scale"].map { try node.float($0, default: 1) }
      node.attributes = node.attributes.filter { !$0.key.hasSuffix("_scale") }
      node.attributes["scales"] = .floats([1, 1] + scales)
    case "LpPool", "GlobalLpPool":
      if case .float(let p) = node.attributes["p"], let whole = Int(exactly: p) {
        node.attributes["p"] = .int(whole)
      }
    case "GRU" where node.attributes["direction"] == .string("foward"):
      node.attributes["direction"] = nil
    case "BatchNormalization":
      // Reports what is wrong with a node that was saved in training mode.
      _ = try OperatorRegistry.make(node, opset: source)
    default: break
    }
    for name in Self.obsolete { node.attributes[name] = nil }
    if node.opType == "Gemm" { node.attributes["broadcast"] = nil }
  }

  /// Appends axes of extent 1 to the right side if it is not aligned with the end of the left side.
  private mutating func alignRightSide(of node: inout Node) throws {
    guard Self.aligned.contains(node.opType), node.inputs.count == 2 else { return }
    let isSlope = node.opType == "PRelu"
    let given = node.attributes["axis"] == nil ? nil : try node.int("axis", default: 0)
    let repeats = try node.int("broadcast", default: 0) != 0
    (node.attributes["axis"], node.attributes["broadcast"]) = (nil, nil)
    guard let axis = isSlope ? 1 : repeats ? given : nil else { return }
    if let value = result.initializers[node.inputs[1]], value.shape.count == 1 { return }
    guard let rank = rank(node.inputs[0]), let own = self.rank(node.inputs[1]) else {
      throw unknown(node)
    }
    let first = (axis < 0 ? axis + rank : axis) + own
    guard first < rank else { return }
    let output = names.next("\(node.outputs[0]).aligned")
    var unsqueeze = Node(
      "Unsqueeze", name: names.next("\(output).Unsqueeze"), inputs: [node.inputs[1]],
      outputs: [output], attributes: ["axes": .ints((own..<own + rank - first).map { $0 })])
    if target >= 13 { try moveInts("axes", of: &unsqueeze, to: 1) }
    result.nodes.append(unsqueeze)
    node.inputs[1] = output
  }

  /// `BatchNormalization` with parameters for every position, as arithmetic.
  mutating func addPositionwise(_ node: Node) throws {
    let output = node.outputs[0]
    let epsilon = try node.float("epsilon", default: 1e-5)
    var inputs = node.inputs
    let values = ["difference", "sum", "deviation", "quotient", "scaled"].map {
      names.next("\(output).\($0)")
    }
    inputs.append(constant("\(output).epsilon", .float32(Tensor([], [epsilon]))))
    let steps: [(opType: String, inputs: [String], output: String)] = [
      ("Sub", [inputs[0], inputs[3]], values[0]), ("Add", [inputs[4], inputs[5]], values[1]),
      ("Sqrt", [values[1]], values[2]), ("Div", [values[0], values[2]], values[3]),
      ("Mul", [values[3], inputs[1]], values[4]), ("Add", [values[4], inputs[2]], output),
    ]
    for step in steps {
      result.nodes.append(
        Node(
          step.opType, name: names.next("\(step.output).\(step.opType)"),
          inputs: step.inputs, outputs: [step.output]))
    }
  }

  private func rank(_ name: String) -> Int? {
    result.initializers[name]?.shape.rank ?? ranks[name]
  }

  private func wholeConstant(_ node: Node, _ index: Int) throws -> [Int] {
    guard let value = result.initializers[node.inputs[index]], value.shape.count <= 1 << 16
    else { throw unknown(node) }
    return value.integers
  }
}
