// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore

extension Graph {
  /// The same graph without nodes that pass on their input: `Identity`, `Dropout` outside training,
  /// and `Cast` of fp32 constants to fp32, which files of 16-bit constants need.
  ///
  /// A node stays if it connects names that must both exist: an input, a constant or an output of
  /// the graph to another output.
  public func removingIdentities() -> Graph {
    let captured = Set(nodes.flatMap(\.captures))
    var fixed = Set(outputs.map(\.name)).union(captured)
    let given = Set(inputs.map(\.name)).union(initializers.keys)
    var renaming: [String: String] = [:]
    func renamed(_ name: String) -> String {
      var name = name
      while let next = renaming[name] { name = next }
      return name
    }
    var result = self
    result.nodes.removeAll { node in
      guard handsOn(node) else { return false }
      let (source, target) = (renamed(node.inputs[0]), node.outputs[0])
      if !fixed.contains(target) {
        renaming[target] = source
        return true
      }
      guard !given.contains(source), !fixed.contains(source), !captured.contains(target) else {
        return false
      }
      // The output keeps its name; the node that computes the value takes it over.
      renaming[source] = target
      fixed.insert(source)
      return true
    }
    for index in result.nodes.indices {
      result.nodes[index].inputs = result.nodes[index].inputs.map(renamed)
      result.nodes[index].outputs = result.nodes[index].outputs.map(renamed)
    }
    result.removeUnusedInitializers()
    return result
  }

  private func handsOn(_ node: Node) -> Bool {
    guard OperatorRegistry.supports(node), node.inputs.first?.isEmpty == false,
      node.outputs.first?.isEmpty == false, node.outputs.dropFirst().allSatisfy(\.isEmpty)
    else { return false }
    switch node.opType {
    case "Identity": return true
    case "Cast":
      return initializers[node.inputs[0]]?.dtype == .float32 && node.attributes["to"] == .int(1)
    case "Dropout":
      guard node.inputs.count > 2, !node.inputs[2].isEmpty else { return true }
      guard case .bool(let trains)? = initializers[node.inputs[2]] else { return false }
      return trains.elements == [false]
    default: return false
    }
  }
}
