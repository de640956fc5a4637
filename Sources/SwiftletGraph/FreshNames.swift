import OrderedCollections

/// Names for values and nodes that a graph does not use, none of them twice.
package struct FreshNames {
  private var used: Set<String>

  package init(_ graph: Graph) {
    used = Set(graph.initializers.keys).union(graph.inputs.map(\.name))
    for node in graph.nodes {
      used.insert(node.name)
      used.formUnion(node.outputs)
    }
  }

  /// The name itself if it is free, else with the first number behind it that makes it so.
  package mutating func next(_ base: String) -> String {
    var (name, suffix) = (base, 1)
    while !used.insert(name).inserted {
      suffix += 1
      name = "\(base)_\(suffix)"
    }
    return name
  }
}
