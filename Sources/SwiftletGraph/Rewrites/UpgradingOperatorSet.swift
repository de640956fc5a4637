// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore

extension Graph {
  /// The same model in a newer operator set, if the changes to its operators allow it.
  ///
  /// Per-channel quantization needs operator set 13, 4-bit weights 21. Attributes that became
  /// inputs (axes, bounds, paddings) are moved; the graph is unchanged if it is new enough.
  ///
  /// - Parameters:
  ///   - opset: The target operator set, 21 at most.
  ///   - ranks: Known ranks of values, by name.
  /// - Throws: `unsupported` naming a node whose meaning cannot be preserved.
  public func upgraded(toOpset opset: Int, ranks: [String: Int] = [:]) throws -> Graph {
    guard self.opset < opset else { return self }
    precondition(opset <= 21, "operator set \(opset) is newer than 21")
    var upgrade = OperatorSetUpgrade(from: self.opset, to: opset, ranks, self)
    for node in nodes { try locating(node.label) { try upgrade.add(node) } }
    return upgrade.result
  }
}

/// A graph that is being converted to another operator set, node by node.
struct OperatorSetUpgrade {
  let source, target: Int
  let ranks: [String: Int]
  var result: Graph
  var names: FreshNames

  init(from source: Int, to target: Int, _ ranks: [String: Int], _ graph: Graph) {
    (self.source, self.target, self.ranks) = (source, target, ranks)
    result = graph
    result.nodes = []
    result.opset = target
    names = FreshNames(graph)
  }

  /// Whether the operator changed in the given operator set, between source and target.
  private func crosses(_ version: Int) -> Bool { source < version && version <= target }

  mutating func add(_ node: Node) throws {
    var node = node
    for (name, attribute) in node.attributes {
      if case .graph(let graph) = attribute {
        node.attributes[name] = .graph(
          try graph.upgraded(toOpset: target, ranks: ranks))
      }
    }
    guard node.isStandard else { return result.nodes.append(node) }
    if crosses(7) { try modernize(&node) }
    switch node.opType {
    case "Clip" where crosses(11):
      for (index, name) in ["min", "max"].enumerated() {
        try moveFloat(name, of: &node, to: index + 1)
      }
    case "Pad" where crosses(11):
      try moveInts("pads", of: &node, to: 1)
      try moveFloat("value", of: &node, to: 2)
    case "Slice" where crosses(10):
      for (index, name) in ["starts", "ends", "axes"].enumerated() {
        try moveInts(name, of: &node, to: index + 1)
      }
    case "TopK" where crosses(10):
      let count = try node.int("k", default: 0)
      node.attributes["k"] = nil
      setInput(1, of: &node, constant("\(node.outputs[0]).k", .int64(Tensor([1], [Int64(count)]))))
    case "Dropout" where crosses(10) && node.outputs.count > 1: throw unknown(node)
    case "Dropout" where crosses(12):
      try moveFloat("ratio", of: &node, to: 1)
    case "Upsample" where crosses(11), "Resize" where crosses(11): try addResize(&node)
    case "Softmax" where crosses(13), "LogSoftmax" where crosses(13), "Hardmax" where crosses(13):
      return try addSoftmax(node)
    case "Squeeze" where crosses(13), "Unsqueeze" where crosses(13), "ReduceSum" where crosses(13):
      try moveInts("axes", of: &node, to: 1)
    case "ReduceMax", "ReduceMin", "ReduceMean", "ReduceProd", "ReduceL1", "ReduceL2",
      "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare":
      if crosses(18) { try moveInts("axes", of: &node, to: 1) }
    case "Split":
      if crosses(13) { try moveInts("split", of: &node, to: 1) }
      if crosses(18), node.inputs.count < 2 || node.inputs[1].isEmpty {
        node.attributes["num_outputs"] = .int(node.outputs.count)
      }
    case "BatchNormalization":
      guard node.outputs.count == 1 else { throw unknown(node) }
      if crosses(9) {
        if try node.int("spatial", default: 1) == 0 { return try addPositionwise(node) }
        node.attributes["spatial"] = nil
      }
    case "RoiAlign" where crosses(16):
      node.attributes["coordinate_transformation_mode"] = .string("output_half_pixel")
    case "GridSample" where crosses(20):
      let mode = try node.string("mode", default: "bilinear")
      node.attributes["mode"] = .string(
        mode == "bicubic" ? "cubic" : mode == "nearest" ? mode : "linear")
    case "Scan" where crosses(9): throw unknown(node)
    case "Scatter": node.opType = "ScatterElements"
    case "GroupNormalization" where crosses(21), "DFT" where crosses(20): throw unknown(node)
    default: break
    }
    result.nodes.append(node)
  }

  func unknown(_ node: Node) -> SwiftletError {
    SwiftletError(
      .unsupported, "\(node.opType) has a different meaning in ONNX operator set \(target)",
      mend: "export the model again with operator set \(target)")
  }

  // MARK: Attributes that became inputs

  mutating func constant(_ base: String, _ tensor: AnyTensor) -> String {
    let name = names.next(base)
    result.initializers[name] = tensor
    return name
  }

  private func setInput(_ index: Int, of node: inout Node, _ name: String) {
    while node.inputs.count <= index { node.inputs.append("") }
    node.inputs[index] = name
  }

  mutating func moveInts(_ name: String, of node: inout Node, to index: Int) throws {
    guard let values = try node.ints(name) else { return }
    node.attributes[name] = nil
    setInput(
      index, of: &node,
      constant(
        "\(node.outputs[0]).\(name)", .int64(Tensor([values.count], values.map(Int64.init)))))
  }

  private mutating func moveFloat(_ name: String, of node: inout Node, to index: Int) throws {
    guard node.attributes[name] != nil else { return }
    let value = try node.float(name, default: 0)
    node.attributes[name] = nil
    setInput(
      index, of: &node, constant("\(node.outputs[0]).\(name)", .float32(Tensor([], [value]))))
  }

  // MARK: Operators that were replaced

  /// `Upsample`, and `Resize` of operator set 10, sample at integer multiples.
  private mutating func addResize(_ node: inout Node) throws {
    if source >= 11 { throw unknown(node) }
    if node.opType == "Upsample", let scales = try node.floats("scales") {
      node.attributes["scales"] = nil
      setInput(
        1, of: &node,
        constant("\(node.outputs[0]).scales", .float32(Tensor([scales.count], scales))))
    }
    guard node.inputs.count == 2 else { throw unknown(node) }
    node.opType = "Resize"
    node.inputs = [node.inputs[0], "", node.inputs[1]]
    node.attributes["coordinate_transformation_mode"] = .string("asymmetric")
    node.attributes["nearest_mode"] = .string("floor")
  }

  /// Before operator set 13 all axes from the given one on were normalized jointly.
  private mutating func addSoftmax(_ node: Node) throws {
    var node = node
    let axis = try node.int("axis", default: 1)
    let rank = ranks[node.inputs[0]]
    if axis == -1 || rank.map({ axis == $0 - 1 }) ?? false {
      node.attributes["axis"] = .int(axis)
      return result.nodes.append(node)
    }
    let (input, output) = (node.inputs[0], node.outputs[0])
    let values = ["shape", "flat", "normalized"].map { names.next("\(output).\($0)") }
    node.inputs = [values[1]]
    node.outputs = [values[2]]
    node.attributes["axis"] = .int(1)
    result.nodes += [
      Node(
        "Shape", name: names.next("\(output).Shape"), inputs: [input], outputs: [values[0]]),
      Node(
        "Flatten", name: names.next("\(output).Flatten"), inputs: [input],
        outputs: [values[1]], attributes: ["axis": .int(axis)]),
      node,
      Node(
        "Reshape", name: names.next("\(output).Reshape"), inputs: [values[2], values[0]],
        outputs: [output]),
    ]
  }
}
